# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector realserver up` and `down`, on a machine whose every neighbour is the test."""

import json
import os
import signal
import subprocess
import time

import pytest
from lab import plan
from lab.daemons import Answer
from lab.real_server import INTERFACES, SECOND_V4, SERVER_V4, SERVER_V6, Ear
from lab.system import run, wait_for
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6NDOptSrcLLAddr, IPv6)
from scapy.layers.l2 import ARP, Ether

# Who could ask on each interface: not what a filter keeps out.
ASKERS = {"eth0": plan.ROUTER_V4, "eth1": "192.0.2.242", "eth2": "198.51.100.200"}
V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
CLIENTS = (plan.CLIENT_V4, plan.CLIENT_V6)
PLAIN = f"realserver {{\n  service_ip {V4} {V6}\n}}\n"
PROCESSES = f"""\
realserver {{
  service_ip {V4} {V6}
  process one {{ input eth1; listen {SECOND_V4}:5301 [{SERVER_V6}]:5301 }}
  process two {{ input eth2; listen {SERVER_V4}:5302 [{SERVER_V6}]:5302 }}
}}
"""
TUNNELS = f"""\
realserver {{
  service_ip {V4} {V6}
  tunnel {SERVER_V4} {SERVER_V6}
}}
"""
FOREIGN_TABLE = """\
table inet foreign {
    set few { type ipv4_addr; elements = { 198.51.100.7 } }
    chain input { type filter hook input priority 0; ip saddr @few counter drop; }
}
"""


def difference(before: dict, after: dict) -> dict:
    return {key: (before.get(key), after.get(key)) for key in {*before, *after}
            if before.get(key) != after.get(key)}


def settings_changed(before: dict, after: dict) -> dict:
    return {key[len("/proc/sys/net/"):]: values[1].strip()
            for key, values in difference(before, after).items() if key.startswith("/proc/")}


def test_up_says_what_it_changes_and_changes_it_once(machine):
    machine.configuration(PLAIN)
    before = machine.picture()
    planned = machine.command("up", "--dry-run").stdout.splitlines()
    assert machine.picture() == before and not os.path.exists(machine.run_dir)
    assert planned == ["set net.ipv4.conf.all.arp_ignore to 1 (was 0)",
                       "set net.ipv4.conf.all.arp_announce to 2 (was 0)",
                       "set net.ipv4.conf.eth1.rp_filter to 2 (was 1)",
                       f"add {V4}/32 to lo", f"add {V6}/128 to lo"]

    done = machine.command("up").stdout.splitlines()
    assert done == [line.replace("add ", "added ") for line in planned]
    up = machine.picture()
    assert settings_changed(before, up) == {"ipv4/conf/all/arp_ignore": "1",
                                            "ipv4/conf/all/arp_announce": "2",
                                            "ipv4/conf/eth1/rp_filter": "2"}
    assert machine.command("up").stdout == ""
    assert machine.picture() == up

    undone = machine.command("down", "--dry-run").stdout.splitlines()
    assert machine.picture() == up and len(undone) == len(done)
    assert undone[:2] == [f"remove {V4}/32 from lo", f"remove {V6}/128 from lo"]
    machine.command("down")
    assert machine.picture() == before and os.listdir(machine.run_dir) == []
    assert machine.command("down").stdout == ""


def test_an_edited_file_changes_the_difference(machine):
    machine.configuration(PLAIN)
    machine.command("up")
    machine.configuration(PLAIN.replace(V4, "192.0.2.54"))
    assert machine.command("up").stdout.splitlines() == [f"removed {V4}/32 from lo",
                                                         "added 192.0.2.54/32 to lo"]
    machine.configuration(f"realserver {{\n  service_ip {V6}\n}}\n")
    # No IPv4, and nothing of it is needed any more.
    assert machine.command("up").stdout.splitlines() == [
        "removed 192.0.2.54/32 from lo", "restored net.ipv4.conf.eth1.rp_filter to 1 (was 2)",
        "restored net.ipv4.conf.all.arp_announce to 0 (was 2)",
        "restored net.ipv4.conf.all.arp_ignore to 0 (was 1)"]


def test_what_is_somebody_elses_stays(machine):
    machine.server.ip(f"addr add {V4}/32 dev lo", "addr add 192.0.2.99/32 dev lo")
    machine.server.run("nft", "-f", "-", input=FOREIGN_TABLE)
    try:
        before = machine.picture()
        machine.configuration(PROCESSES)
        machine.command("up")
        tables = machine.server.run("nft", "list", "tables").stdout.split("\n")
        assert tables[:2] == ["table inet foreign", "table inet dnsdirector_realserver"]
        machine.server.sysctl(ipv4__conf__all__arp_ignore=2)
        left = machine.command("down")
        assert "left net.ipv4.conf.all.arp_ignore at 2" in left.stderr
        machine.server.sysctl(ipv4__conf__all__arp_ignore=0)
        assert machine.picture() == before
    finally:
        machine.server.run("nft", "delete", "table", "inet", "foreign")
        machine.server.ip(f"addr del {V4}/32 dev lo", "addr del 192.0.2.99/32 dev lo")


def test_whenever_up_is_killed_down_restores_all(machine):
    machine.configuration(PROCESSES)
    before = machine.picture()
    begun = time.monotonic()
    machine.command("up")
    duration = time.monotonic() - begun
    whole = read_journal(machine)
    machine.command("down")
    assert machine.picture() == before
    halfway = 0
    for moment in range(90):  # again, where none of the first 30 met it at work
        if moment >= 30 and halfway > 0:
            break
        process = subprocess.Popen(machine.argv("up"), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        # The moment is what varies, no wait for anything.
        time.sleep(duration * (moment % 30 + 1) / 30)
        process.send_signal(signal.SIGKILL)
        process.wait()
        written = read_journal(machine)
        halfway += written is not None and written != whole
        if moment % 2:  # to the end, from where it was, and only then back
            machine.command("up")
            assert read_journal(machine) == whole
        machine.command("down")
        assert machine.picture() == before, (moment, written)
    assert halfway > 0, "never killed while it was at work"


def read_journal(machine):
    try:
        with open(os.path.join(machine.run_dir, "realserver.json"), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def test_two_at_once_come_one_after_the_other(machine):
    machine.configuration(PROCESSES)
    both = [subprocess.Popen(machine.argv("up"), stdout=subprocess.PIPE, text=True)
            for _ in range(2)]
    lines = [process.communicate()[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    # One did it all, the other found it done.
    assert sorted(map(len, lines)) == [0, len(lines[0]) + len(lines[1])] and any(lines)


@pytest.mark.parametrize("text, said", [
    (PLAIN.replace("service_ip", "interface eth0\n  service_ip"), "write `interface lo`"),
    (PLAIN.replace("service_ip", "interface dns0\n  service_ip"), "ip link add dns0 type dummy"),
    (PROCESSES.replace("input eth2", "input eth1.105"), "type vlan id 105"),
    (f"dns_cluster c {{\n service_ip {V4}\n check {{ query \"www.example.com A\" }}\n"
     f" real_server s1 {{ address {SERVER_V4} }}\n}}\n", "has no realserver block"),
])
def test_refuses_what_would_leak_or_lead_nowhere(machine, text, said):
    before = machine.picture()
    machine.configuration(text)
    done = machine.command("up", status=1)
    assert said in done.stderr and done.stdout == "", done.stderr
    assert machine.picture() == before


def test_without_root_it_says_so(machine):
    machine.configuration(PLAIN)
    done = run("setpriv", "--bounding-set", "-all", "--inh-caps", "-all",
               "--reuid", "65534", "--clear-groups", *machine.argv("up")[3:], check=False)
    assert done.returncode == 1 and "takes root" in done.stderr, done


def test_a_service_ip_on_an_interface_that_answers_for_it_is_refused(machine):
    machine.server.ip(f"addr add {V4}/32 dev eth1")
    try:
        machine.configuration(PLAIN)
        done = machine.command("up", status=1)
        assert f"ip address del {V4}/32 dev eth1" in done.stderr, done.stderr
    finally:
        machine.server.ip(f"addr del {V4}/32 dev eth1")


def arp(machine, interface: str, target: str, sender: str = None) -> bytes:
    mac = machine.macs["neighbour"][interface]
    sender = sender or ASKERS[interface]
    return bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src=mac)
                 / ARP(op="who-has", hwsrc=mac, psrc=sender, pdst=target))


def solicitation(machine, interface: str, target: str, to: str = "ff02::1") -> bytes:
    mac = machine.macs["neighbour"][interface]
    ether = Ether(dst="33:33:00:00:00:01", src=mac)
    return bytes(ether / IPv6(src="fe80::77", dst=to, hlim=255) / ICMPv6ND_NS(tgt=target)
                 / ICMPv6NDOptSrcLLAddr(lladdr=mac))


def link_local(machine, interface: str) -> str:
    shown = json.loads(run("ip", "-n", machine.server.netns, "-j", "-6", "address", "show", "dev",
                           interface, "scope", "link").stdout)
    # What a filter leaves out stays as an empty object.
    return next(one["local"] for link in shown for one in link.get("addr_info", []) if one)


def spoken_of(machine, ear: Ear) -> list:
    """(interface, address) of each ARP frame and advertisement that the server has sent, whether
    it asked or answered."""
    said = []
    for interface, packet in ear.frames():
        if packet.src not in machine.macs["server"].values():
            continue
        if ARP in packet:
            said.append((interface, packet[ARP].psrc))
        elif ICMPv6ND_NA in packet:
            said.append((interface, packet[ICMPv6ND_NA].tgt))
        elif ICMPv6ND_NS in packet:
            said.append((interface, packet[IPv6].src))
    return said


def question(v6: bool, client: str = None, number: int = 1):
    client = client or CLIENTS[v6]
    ip = IPv6(src=client, dst=V6) if v6 else IP(src=client, dst=V4)
    return ip / UDP(sport=40000 + number, dport=53) / DNS(id=number, rd=1,
                                                          qd=DNSQR(qname=plan.WWW_NAME))


def ask(machine, interface: str, packet):
    """To the server's MAC, as the director sends it."""
    machine.send(interface, bytes(Ether(dst=machine.macs["server"][interface],
                                        src=machine.macs["neighbour"][interface]) / packet))


def answers(ear: Ear, v6: bool) -> dict:
    """{id: interface} of the replies with the service IP as source."""
    found = {}
    for interface, packet in ear.frames():
        ip = packet.getlayer(IPv6 if v6 else IP)
        if ip is not None and ip.src == (V6 if v6 else V4) and DNS in packet:
            assert packet[UDP].sport == 53 and packet[DNS].qr == 1
            found[packet[DNS].id] = interface
    return found


def test_is_asked_by_its_mac_answers_as_the_service_ip_and_is_heard_of_by_nobody(machine):
    machine.configuration(PLAIN)
    ear = Ear(machine.neighbour)
    server = Answer(machine.server, machine.directory, "s1", [SERVER_V4, V4, V6],
                    machine.tools.path("dnsanswer"))
    try:
        machine.command("up")
        # The way to some clients is by an interface without an address: even there the server
        # must not ask as the service IP.
        machine.server.ip("route add 198.51.100.128/25 dev eth2")
        server.start()
        for interface in INTERFACES:
            machine.send(interface, arp(machine, interface, V4))
            machine.send(interface, arp(machine, interface, V4, sender=plan.ROUTER_V4))
            machine.send(interface, arp(machine, interface, V4, sender="0.0.0.0"))
            machine.send(interface, arp(machine, interface, V4, sender=V4))
            machine.send(interface, solicitation(machine, interface, V6))
        for v6 in (False, True):
            for number, interface in enumerate(("eth0", "eth1"), 1):
                ask(machine, interface, question(v6, number=number))
            wait_for("answers by the way back",
                     lambda v6=v6: answers(ear, v6) == {1: "eth0", 2: "eth0"}, 5)
        ask(machine, "eth0", question(False, client="198.51.100.200", number=3))
        wait_for("the server to look for a client on eth2",
                 lambda: [a for i, a in spoken_of(machine, ear) if i == "eth2"], 5)
        # Everything that was asked before is heard of when these are.
        for interface, own in (("eth0", SERVER_V4), ("eth1", SECOND_V4)):
            machine.send(interface, arp(machine, interface, own))
            wait_for(f"ARP on {interface}",
                     lambda own=own, i=interface: (i, own) in spoken_of(machine, ear), 5)
        for interface in INTERFACES:
            own = link_local(machine, interface)
            machine.send(interface, solicitation(machine, interface, own))
            wait_for(f"ND on {interface}",
                     lambda own=own, i=interface: (i, own) in spoken_of(machine, ear), 5)
    finally:
        server.kill()
        machine.command("down")
        machine.server.run("ip", "route", "del", "198.51.100.128/25", check=False)
        machine.server.run("ip", "neigh", "flush", "all")
    said = {address for _, address in spoken_of(machine, ear)}
    ear.close()
    assert said and not said & {V4, V6}, said


def test_an_address_that_nobody_hid_is_heard_of(machine):
    """What the test above would hear without `up`."""
    machine.server.ip(f"addr add {V4}/32 dev lo")
    ear = Ear(machine.neighbour)
    try:
        machine.send("eth1", arp(machine, "eth1", V4))
        wait_for("the ARP answer", lambda: ("eth1", V4) in spoken_of(machine, ear), 5)
    finally:
        ear.close()
        machine.server.ip(f"addr del {V4}/32 dev lo")
        machine.server.run("ip", "neigh", "flush", "all")


def test_the_strict_filter_is_what_kept_questions_out(machine):
    """What eth1's filter does as long as it is not loosened."""
    machine.configuration(PLAIN)
    machine.command("up")
    machine.server.sysctl(ipv4__conf__eth1__rp_filter=1)
    ear = Ear(machine.neighbour)
    server = Answer(machine.server, machine.directory, "s2", [SERVER_V4, V4],
                    machine.tools.path("dnsanswer"))
    server.start()
    try:
        ask(machine, "eth1", question(False, number=1))
        ask(machine, "eth0", question(False, number=2))
        wait_for("the answer to eth0", lambda: 2 in answers(ear, False), 5)
        assert 1 not in answers(ear, False)
        # `up` finds what was changed, and mends it.
        assert machine.command("up").stdout.splitlines() == [
            "set net.ipv4.conf.eth1.rp_filter to 2 (was 1)"]
        ask(machine, "eth1", question(False, number=3))
        wait_for("the answer to eth1", lambda: 3 in answers(ear, False), 5)
    finally:
        server.kill()
        ear.close()


def kernel_has_tunnels(machine) -> bool:
    made = machine.server.run("ip", "link", "add", "probe4", "type", "ipip", "local", SERVER_V4,
                              check=False)
    if made.returncode == 0:
        machine.server.ip("link del probe4")
    return made.returncode == 0


def test_a_kernel_without_tunnels_is_named_with_the_mend(machine):
    if kernel_has_tunnels(machine):
        pytest.skip("this kernel has ipip devices")
    before = machine.picture()
    machine.configuration(TUNNELS)
    done = machine.command("up", status=1)
    assert "modprobe ipip" in done.stderr and done.stdout == "", done
    assert machine.picture() == before


def echo(v6: bool, size: int, number: int):
    """An echo request to the service IP of so many bytes, headers included."""
    if v6:
        return IPv6(src=CLIENTS[1], dst=V6) / ICMPv6EchoRequest(id=7, seq=number,
                                                                data=b"x" * (size - 48))
    return IP(src=CLIENTS[0], dst=V4) / ICMP(id=7, seq=number) / (b"x" * (size - 28))


def echoes(ear: Ear, v6: bool) -> dict:
    """{number: size} of the whole replies."""
    found = {}
    for _, packet in ear.frames():
        if v6 and ICMPv6EchoReply in packet and packet[IPv6].src == V6:
            found[packet[ICMPv6EchoReply].seq] = packet[IPv6].plen + 40
        elif not v6 and ICMP in packet and packet[ICMP].type == 0 and packet[IP].src == V4:
            found[packet[ICMP].seq] = packet[IP].len
    return found


@pytest.mark.vm(only=True)
def test_tunnels_end_here_and_what_was_in_them_is_answered(machine):
    before = machine.picture()
    # The module's fallback devices are there with the module; the filter is Debian's.
    machine.server.sysctl(ipv4__conf__default__rp_filter=2)
    machine.configuration(TUNNELS)
    ear = Ear(machine.neighbour)
    server = None
    try:
        lines = machine.command("up").stdout.splitlines()
        assert f"made tunnel device dnsd4 (ipip, local {SERVER_V4}, MTU 1480)" in lines, lines
        assert f"made tunnel device dnsd6 (ip6tnl, local {SERVER_V6}, MTU 1460)" in lines, lines
        assert "set net.ipv4.conf.dnsd4.rp_filter to 0" in lines, lines
        assert machine.command("up").stdout == ""
        server = Answer(machine.server, machine.directory, "s3", [SERVER_V4, V4, V6],
                        machine.tools.path("dnsanswer"))
        server.start()
        for v6, outer, most in ((False, IP(src=plan.DIRECTOR_V4, dst=SERVER_V4, proto=4), 1480),
                                (True, IPv6(src=plan.DIRECTOR_V6, dst=SERVER_V6, nh=41), 1460)):
            ask(machine, "eth0", outer / question(v6))
            wait_for("the answer to what was in a tunnel",
                     lambda v6=v6: answers(ear, v6) == {1: "eth0"}, 5)
            ask(machine, "eth0", outer / echo(v6, most, 1))
            wait_for("as much as fits", lambda v6=v6, most=most: echoes(ear, v6) == {1: most}, 5)
        # A device that somebody set down is mended.
        machine.server.ip("link set dnsd4 down mtu 1400")
        assert machine.command("up").stdout.splitlines() == [
            "set tunnel device dnsd4 up with MTU 1480"]
        assert machine.command("up").stdout == ""
    finally:
        if server:
            server.kill()
        ear.close()
        machine.command("down")
        machine.server.sysctl(ipv4__conf__default__rp_filter=0)
    assert machine.picture() == before


@pytest.mark.vm(only=True)
def test_somebody_elses_tunnel_serves_as_well_and_stays(machine):
    machine.server.ip(f"link add theirs type ipip local {SERVER_V4}", "link set theirs up")
    try:
        before = machine.picture()
        machine.configuration(TUNNELS)
        lines = machine.command("up").stdout.splitlines()
        assert any("dnsd6" in line for line in lines), lines
        assert not any("dnsd4" in line for line in lines), lines
        machine.command("down")
        assert machine.picture() == before
    finally:
        machine.server.ip("link del theirs")
