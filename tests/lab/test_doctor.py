# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector doctor` finds faults that are put in by hand, and names their mend."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import pytest
from lab import Lab, plan
from lab.director import CALM_CHECK, Director, binary, cluster, director_block
from lab.system import wait_for

# Native mode of veth is the one that the lab is made for.
SERVERS = {"s1": 1, "s2": 1}
GOOD = director_block(interfaces=2, mode="native") + cluster(SERVERS, check=CALM_CHECK)


@pytest.fixture(scope="module")
def doctor_lab(can_direct):
    """A lab of its own, with two interfaces, whose faults hurt nobody else."""
    with Lab(servers=["answer"] * 2, interfaces=2) as lab:
        yield lab


@pytest.fixture
def patient(doctor_lab):
    """A director that does not run, on a machine that is well."""
    director = Director(doctor_lab, GOOD)
    doctor_lab.director_host.ip("link set eth0 up", "link set eth1 up")
    for number in (1, 2):  # somebody has asked for the servers' MAC addresses
        for address in (plan.server_v4(number), plan.server_v6(number)):
            director.host.run("ping", "-c1", "-W5", address)
    yield director
    director.cleanup()


def doctor(director, *more, binary_path=None, config=None, **options):
    """(exit status, findings) of the doctor for this director's file."""
    argv = [binary_path or binary(), "doctor", "-f", config or director.config, "--json",
            "--run-dir", director.run_dir, "--pin-dir", director.pin_dir, *more]
    done = director.host.run(*argv, check=False, **options)
    assert done.stderr == "", done.stderr
    report = json.loads(done.stdout)
    assert report["fine"] == (done.returncode == 0)
    return done.returncode, report["findings"]


def troubles(director, **options):
    """The findings that count, as (level, check, about): what, and the mend."""
    status, findings = doctor(director, **options)
    counted = [f for f in findings if f["level"] in ("warn", "fail")]
    assert status == (1 if counted else 0)
    return {(f["level"], f["check"], f["about"]): f["text"] + " -> " + f["mend"]
            for f in counted}


def kernel_state(host) -> str:
    """What a look must not change: links, addresses, neighbours, routes, settings."""
    shown = [host.run("ip", *what.split()).stdout
             for what in ("-d link", "addr", "route", "-6 route", "rule")]
    neighbours = json.loads(host.run("ip", "-j", "neigh").stdout)
    shown.append(str(sorted((n["dst"], n["dev"]) for n in neighbours)))
    shown.append(host.run("ethtool", "-k", "eth0").stdout)
    shown.append(host.run("sysctl", "-a").stdout.replace("\t", " "))
    return "\n".join(line for line in "\n".join(shown).splitlines()
                     if not any(moving in line for moving in
                                ("dirty", "random", "ns_last_pid", "-nr", "valid_lft", "cad_pid",
                                 "drift", "dentry", "inode", "file-nr", "nr_", "expires")))


def test_a_healthy_machine_has_no_finding(patient):
    status, findings = doctor(patient)
    assert status == 0, [f for f in findings if f["level"] in ("warn", "fail")]
    checks = {f["check"] for f in findings if f["level"] == "ok"}
    assert checks >= {"file", "kernel", "program", "capabilities", "memory", "bpffs", "run-dir",
                      "check-source", "interface", "xdp-program", "receive-offloads",
                      "vlan-offload", "queues", "mtu", "service-interface", "arp",
                      "reverse-path", "neighbour-table", "route", "gateway", "neighbour",
                      "egress"}, checks


def test_nor_has_one_whose_director_runs_or_was_killed(patient):
    patient.start()
    patient.wait_states(s1="up", s2="up")
    assert troubles(patient) == {}
    _, findings = doctor(patient)
    assert any(f["check"] == "run-dir" and "answers" in f["text"] for f in findings)
    patient.kill9()
    assert troubles(patient) == {}


def test_it_changes_nothing(patient):
    patient.write(GOOD.replace(plan.server_v4(2), "203.0.113.77"))  # one that nobody asked for
    before = kernel_state(patient.host)
    bpf = os.listdir(patient.lab.path("bpf"))
    status, findings = doctor(patient)
    assert kernel_state(patient.host) == before
    assert os.listdir(patient.lab.path("bpf")) == bpf and os.listdir(patient.run_dir) == []
    (unasked,) = [f for f in findings if f["check"] == "neighbour" and f["level"] == "unknown"]
    assert unasked["about"] == "203.0.113.77" and unasked["mend"] == "ping -c1 203.0.113.77"
    assert status == 0


def test_a_line_each_for_people_and_only_what_is_to_be_done_when_quiet(patient):
    argv = [binary(), "doctor", "-f", patient.config, "--run-dir", patient.run_dir,
            "--pin-dir", patient.pin_dir]
    lines = patient.host.run(*argv).stdout.splitlines()
    assert len(lines) > 20
    assert all(line.split()[0] in ("ok", "unknown") for line in lines), lines
    assert patient.host.run(*argv, "--quiet").stdout == ""


def test_without_a_file_the_machine_is_looked_at(patient):
    done = patient.host.run(binary(), "doctor", "--json", "--run-dir", patient.run_dir,
                            "--pin-dir", patient.pin_dir, check=False)
    findings = json.loads(done.stdout)["findings"]
    assert {"eth0", "eth1"} <= {f["about"] for f in findings if f["check"] == "interface"}
    assert "file" not in {f["check"] for f in findings}
    # `auto`, the default, on veth.
    assert {(f["level"], f["check"]) for f in findings if f["level"] in ("warn", "fail")} == {
        ("warn", "native-xdp")}


# ---- faults, each put in and taken back -----------------------------------------------


@contextlib.contextmanager
def lines_of_ip(host, put_in, take_back):
    host.ip(*put_in)
    try:
        yield
    finally:
        host.ip(*take_back)


@contextlib.contextmanager
def sysctl(host, **values):
    before = {key: host.call(read_setting, key) for key in values}
    host.sysctl(**values)
    try:
        yield
    finally:
        host.sysctl(**before)


def read_setting(key):
    with open("/proc/sys/net/" + key.replace("__", "/"), encoding="ascii") as setting:
        return setting.read().strip()


def test_no_bpffs(patient):
    patient.pin_dir = os.path.join(patient.directory, "pins")
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "bpffs", patient.pin_dir)
    assert f"mount -t bpf bpf {patient.directory}" in found[1]


def test_a_server_behind_a_gateway(patient):
    patient.write(GOOD.replace(plan.server_v4(2), "198.51.100.77"))
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "gateway", "198.51.100.77")
    assert plan.FRONT_ROUTER_V4 in found[1] and "lb_kind TUN" in found[1]


def test_a_server_that_nobody_answers_for(patient):
    patient.write(GOOD.replace(plan.server_v4(2), "203.0.113.78"))
    patient.host.run("ping", "-c1", "-W1", "203.0.113.78", check=False)
    wait_for("the kernel to give up", lambda: "FAILED" in patient.host.run(
        "ip", "neigh", "show", "203.0.113.78").stdout)
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "neighbour", "203.0.113.78")
    assert "no ARP answer on eth1" in found[1]


def test_no_route_to_a_server(patient):
    with lines_of_ip(patient.host, [f"route add unreachable {plan.server_v4(2)}"],
                     [f"route del unreachable {plan.server_v4(2)}"]):
        (found,) = troubles(patient).items()
    assert found[0] == ("fail", "route", plan.server_v4(2))


def test_a_strict_reverse_path_filter_where_the_way_back_is_another(patient):
    with sysctl(patient.host, ipv4__conf__eth0__rp_filter=1):
        assert troubles(patient) == {}  # the default route is by eth0
        with lines_of_ip(patient.host, [f"route replace default via {plan.ROUTER_V4}"],
                         [f"route replace default via {plan.FRONT_ROUTER_V4}"]):
            (found,) = troubles(patient).items()
    assert found[0] == ("warn", "reverse-path", "eth0")
    assert "sysctl -w net.ipv4.conf.eth0.rp_filter=2" in found[1]


def test_larger_packets_than_lead_to_the_servers(patient):
    with lines_of_ip(patient.host, ["link set eth1 mtu 1400"], ["link set eth1 mtu 1500"]):
        (found,) = troubles(patient).items()
    assert found[0] == ("warn", "mtu", "eth0")
    assert "ip link set dev eth1 mtu 1500" in found[1]


def test_packets_too_large_for_native_mode(patient):
    patient.write(GOOD.replace("interface eth0 eth1", "interface eth0 eth1 big0"))
    with lines_of_ip(patient.host, ["link add big0 type veth peer name big1",
                                    "link set big0 mtu 9000 up", "link set big1 mtu 9000 up"],
                     ["link del big0"]):
        found = troubles(patient)
    assert "ip link set dev big0 mtu 1500" in found["warn", "mtu", "big0"]


def test_the_arp_settings_of_a_real_server_on_the_director(patient):
    inside = "192.0.2.250"  # in the network of eth0
    patient.write(GOOD.replace(plan.SERVICE_V4, inside))
    assert troubles(patient) == {}
    with sysctl(patient.host, ipv4__conf__all__arp_ignore=1):
        (found,) = troubles(patient).items()
    assert found[0] == ("fail", "arp", inside)
    assert "sysctl -w net.ipv4.conf.all.arp_ignore=0" in found[1]


def test_an_ipv6_service_ip_that_lo_does_not_answer_for(patient):
    inside = "2001:db8:f::53"
    patient.write(GOOD.replace(plan.SERVICE_V6, inside))
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "arp", inside)
    assert "service_interface eth0" in found[1]


def test_more_servers_than_the_neighbour_table_has_room_for(patient):
    with open("/proc/sys/net/ipv6/neigh/default/gc_thresh3", encoding="ascii") as file:
        room = int(file.read())
    servers = "\n".join(f"real_server n{n} {{ address 2001:db8:1::9:{n:x} }}"
                        for n in range(1, room + 10))
    patient.write(director_block(interfaces=2, mode="native") +
                  "dns_cluster many {\nservice_ip 2001:db8::53\ncheck { query \". SOA\" }\n"
                  f"{servers}\n}}\n")
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "neighbour-table", "IPv6")
    assert "sysctl -w net.ipv6.neigh.default.gc_thresh3=" in found[1]


def test_an_interface_that_does_not_exist(patient):
    patient.write(GOOD.replace("interface eth0 eth1", "interface eth0 eth1 eth7"))
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "interface", "eth7")
    assert "eth0" in found[1] and "eth1" in found[1]  # those that there are


def test_an_interface_that_is_down(patient):
    default = [f"route add default via {plan.FRONT_ROUTER_V4}",
               f"route add default via {plan.FRONT_ROUTER_V6}"]
    with lines_of_ip(patient.host, ["link set eth0 down"],
                     ["link set eth0 up",
                      f"addr replace {plan.FRONT_DIRECTOR_V6}/64 dev eth0 nodad", *default]):
        found = troubles(patient)
    assert "ip link set dev eth0 up" in found["fail", "interface", "eth0"]


def test_a_link_without_carrier(patient):
    port = "director-eth0"
    switch = patient.lab.network.switch

    def wait_carrier(there: bool):
        """A worker of the kernel's carries it over, after `ip` has returned."""
        wait_for(f"carrier {there}", lambda: there != ("NO-CARRIER" in patient.host.run(
            "ip", "link", "show", "eth0").stdout))

    with lines_of_ip(switch, [f"link set {port} down"], [f"link set {port} up"]):
        wait_carrier(False)
        found = troubles(patient)
    assert "ethtool eth0" in found["fail", "interface", "eth0"]
    wait_carrier(True)


@contextlib.contextmanager
def deaf_peer(lab, port):
    """The switch's end of a wire of the director, without its XDP program."""
    lab.network.switch.run("ip", "link", "set", "dev", port, "xdpdrv", "off")
    try:
        yield
    finally:
        lab.network.switch.run("ip", "link", "set", "dev", port, "xdpdrv", "obj",
                               lab.tools.path("xdp_pass"), "sec", "xdp")


needs_features = pytest.mark.skipif(
    tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2]) < (6, 4),
    reason="kernels tell what devices can do since 6.3")


@needs_features
def test_servers_behind_an_interface_that_is_not_named(patient):
    patient.write(GOOD.replace("interface eth0 eth1", "interface eth0"))
    assert troubles(patient) == {}  # it takes frames from XDP as it is
    with deaf_peer(patient.lab, "director-eth1"):
        (found,) = troubles(patient).items()
    assert found[0] == ("warn", "egress", "eth1") and "interface eth1" in found[1]


@needs_features
def test_native_mode_towards_a_peer_that_loses_it(patient):
    with deaf_peer(patient.lab, "director-eth0"):
        (found,) = troubles(patient).items()
        assert found[0] == ("fail", "native-xdp", "eth0") and "xdp_pass" in found[1]
        patient.write(GOOD.replace("xdp_mode native", "xdp_mode generic"))
        assert troubles(patient) == {}
        patient.write(GOOD.replace("xdp_mode native", "xdp_mode auto"))
        assert {key[:2] for key in troubles(patient)} == {("warn", "native-xdp")}


def test_another_xdp_program_in_the_place(patient):
    program = patient.lab.tools.path("xdp_pass")
    patient.host.run("ip", "link", "set", "dev", "eth0", "xdpdrv", "obj", program, "sec", "xdp")
    try:
        (found,) = troubles(patient).items()
    finally:
        patient.host.run("ip", "link", "set", "dev", "eth0", "xdpdrv", "off")
    assert found[0] == ("fail", "xdp-program", "eth0")
    assert "ip link set dev eth0 xdp off" in found[1]


def test_a_port_of_a_bridge(patient):
    with lines_of_ip(patient.host, ["link add br9 type bridge", "link set eth0 master br9"],
                     ["link set eth0 nomaster", "link del br9"]):
        found = troubles(patient)
    assert "br9" in found["warn", "stacking", "eth0"]


def test_a_macvlan(patient):
    patient.write(GOOD.replace("interface eth0 eth1", "interface eth0 eth1 mv0"))
    with lines_of_ip(patient.host, ["link add mv0 link eth0 type macvlan mode bridge",
                                    "link set mv0 up"], ["link del mv0"]):
        found = troubles(patient)
    assert "xdp_mode generic" in found["warn", "stacking", "mv0"]
    assert "no native XDP" in found["fail", "native-xdp", "mv0"]


def test_a_source_of_checks_that_is_not_here(patient):
    patient.write(GOOD.replace(f"source {plan.DIRECTOR_V4}", "source 203.0.113.99"))
    (found,) = troubles(patient).items()
    assert found[0] == ("fail", "check-source", "203.0.113.99")
    assert "ip addr add 203.0.113.99" in found[1]


def test_an_http_port_that_is_taken(patient):
    patient.write("http { listen 127.0.0.1:9954 }\n" + GOOD)
    assert troubles(patient) == {}
    listener = patient.host.start(
        "listener", [shutil.which("python3") or "/usr/bin/python3", "-c",
                     "import socket, time; s = socket.create_server(('127.0.0.1', 9954)); "
                     "time.sleep(30)"], patient.lab.path("listener.log"))
    try:
        wait_for("the listener", lambda: ":9954" in patient.host.run("ss", "-ltn").stdout)
        (found,) = troubles(patient).items()
    finally:
        listener.kill()
        listener.wait(5)
    assert found[0] == ("fail", "http", "127.0.0.1:9954")
    assert "sport = :9954" in found[1]


def test_a_run_directory_of_everybody(patient):
    os.chmod(patient.run_dir, 0o777)
    (found,) = troubles(patient).items()
    assert found[0] == ("warn", "run-dir", patient.run_dir)
    assert f"chmod 0755 {patient.run_dir}" in found[1]


def test_errors_of_the_file_with_their_place(patient):
    patient.write(GOOD.replace("lb_kind DR", "lb_knid DR"))
    found = troubles(patient)
    (at,) = [key for key in found if key[1] == "file"]
    assert at[0] == "fail" and at[2].startswith(f"{patient.config}:")
    assert "lb_kind" in found[at] and "check-config" in found[at]


def test_a_file_that_is_not_there(patient):
    found = troubles(patient, config="/nonexistent.conf")
    assert any(key[1] == "file" and "/nonexistent.conf" in text for key, text in found.items())


def test_a_user_without_capabilities_is_told_what_is_missing_and_what_was_not_seen(patient):
    """As nobody, with a binary and a file that everybody can read."""
    place = f"/tmp/dnsdirector-doctor-{os.getpid()}-{time.monotonic_ns()}"
    os.mkdir(place, 0o755)
    try:
        program, config = os.path.join(place, "dnsdirector"), os.path.join(place, "good.conf")
        shutil.copy(binary(), program)
        os.chmod(program, 0o755)
        shutil.copy(patient.config, config)
        os.chmod(config, 0o644)
        done = subprocess.run(
            patient.host.argv("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                              "--inh-caps=-all", program, "doctor", "-f", config, "--json",
                              "--run-dir", os.path.join(place, "run"), "--pin-dir",
                              patient.pin_dir),
            capture_output=True, text=True, timeout=60)
    finally:
        shutil.rmtree(place)
    assert done.returncode == 1 and done.stderr == "", done.stderr
    findings = {f["check"]: f for f in json.loads(done.stdout)["findings"]}
    for word in ("CAP_NET_ADMIN", "CAP_BPF", "CAP_PERFMON"):
        assert word in findings["capabilities"]["text"]
    assert findings["capabilities"]["level"] == "fail"
    assert "root" in findings["capabilities"]["mend"]
    assert findings["program"]["level"] == "unknown" and "sudo" in findings["program"]["mend"]
    assert findings["run-dir"]["level"] == "fail"
    # What needs no privileges is seen all the same.
    for check in ("interface", "route", "gateway", "neighbour", "neighbour-table", "mtu"):
        assert findings[check]["level"] == "ok", findings[check]


# ---- in the virtual machine -------------------------------------------------------------


@pytest.mark.vm(only=True)
def test_vlan_tags_that_the_card_hides(patient):
    with lines_of_ip(patient.host, ["link add link eth0 name eth0.105 type vlan id 105",
                                    "link set eth0.105 up"], ["link del eth0.105"]):
        patient.host.run("ethtool", "-K", "eth0", "rxvlan", "on")
        found = troubles(patient)
        assert "ethtool -K eth0 rxvlan off" in found["warn", "vlan-offload", "eth0"]
        patient.host.run("ethtool", "-K", "eth0", "rxvlan", "off")
        try:
            assert troubles(patient) == {}
        finally:
            patient.host.run("ethtool", "-K", "eth0", "rxvlan", "on")


@pytest.mark.vm(only=True)
def test_ipvs_settings(patient):
    patient.write(GOOD.replace("dataplane xdp", "dataplane ipvs").replace(
        "    xdp_mode native\n", ""))
    found = troubles(patient)
    assert found, "expire_nodest_conn is 0 by default"
    assert any(key[1] == "ipvs-settings" and "sysctl -w net.ipv4.vs.expire_nodest_conn=1" in text
               for key, text in found.items())
    with sysctl(patient.host, ipv4__vs__expire_nodest_conn=1):
        assert troubles(patient) == {}
