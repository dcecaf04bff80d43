# SPDX-License-Identifier: Apache-2.0
"""Two directors in one subnet, whose service IPs Debian's keepalived moves by VRRP as docs/vrrp.md
has it. It follows the directors' track files; nothing else of keepalived is used."""

import os
import signal

import pytest
from lab import Lab, figures, plan, wait_for
from lab.director import FAST_CHECK, Director, cluster, director_block
from lab.system import find_program, stretched

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
PEERS = {"director": (plan.DIRECTOR_V4, plan.DIRECTOR_V6),
         "director2": ("203.0.113.2", "2001:db8:1::2")}
PRIORITY = {"director": 200, "director2": 150}
SERVERS = ("s1", "s2")
RATE = 1000


def keepalived_conf(name: str, track: str) -> str:
    other = next(peer for peer in PEERS if peer != name)

    def instance(family: int, service_ip: str, router_id: int) -> str:
        length = 128 if ":" in service_ip else 32
        return f"""
vrrp_instance v{family} {{
    interface eth0
    virtual_router_id {router_id}
    priority {PRIORITY[name]}
    advert_int 0.2
    unicast_src_ip {PEERS[name][family]}
    unicast_peer {{
        {PEERS[other][family]}
    }}
    virtual_ipaddress {{
        {service_ip}/{length} dev eth0
    }}
    track_file {{
        t{family}
    }}
}}
"""
    files = "".join(f'track_file t{i} {{\n    file "{track}/{ip}"\n}}\n'
                    for i, ip in enumerate((V4, V6)))
    return files + instance(0, V4, 53) + instance(1, V6, 54)


class Machine:
    """A director, and keepalived beside it."""

    def __init__(self, lab, name: str):
        self.name = name
        others = " ".join(next(own for peer, own in PEERS.items() if peer != name))
        extra = ("    presence when_active\n    drain_time 5s\n"
                 f"    other_directors {others}\n")
        config = (director_block(mode="generic", extra=extra)
                  + cluster({server: 1 for server in SERVERS}, check=FAST_CHECK.replace(
                      " ".join(PEERS["director"]), " ".join(PEERS[name]))))
        self.director = Director(lab, config, name=f"vrrp-{name}")
        self.host = self.director.host = lab.host(name)
        self.track = os.path.join(self.director.run_dir, "announce")
        self.directory = lab.path(self.director.name)
        self.keepalived = None

    def start(self):
        self.director.start()
        wait_for("track files", lambda: os.path.exists(os.path.join(self.track, "all")))
        self.start_keepalived()

    def start_keepalived(self):
        file = os.path.join(self.directory, "keepalived.conf")
        with open(file, "w", encoding="utf-8") as out:
            out.write(keepalived_conf(self.name, self.track))
        self.keepalived = self.host.start(
            f"keepalived-{self.name}",
            ["keepalived", "-n", "-l", "-D", "-P", "-f", file,
             "-p", os.path.join(self.directory, "keepalived.pid"),
             "-r", os.path.join(self.directory, "vrrp.pid")],
            os.path.join(self.directory, "keepalived.log"))

    def stop_keepalived(self):
        self.keepalived.terminate()
        self.keepalived.wait(stretched(10))

    def holds(self, address: str) -> bool:
        shown = self.host.run("ip", "-o", "addr", "show", "dev", "eth0").stdout
        return f" {address}/" in shown

    def value(self, name: str) -> str:
        with open(os.path.join(self.track, name), encoding="ascii") as file:
            return file.read().strip()


class Pair:
    def __init__(self, lab):
        self.lab = lab
        self.first, self.second = Machine(lab, "director"), Machine(lab, "director2")

    def wait_at(self, machine: Machine, timeout: float = 15):
        other = self.second if machine is self.first else self.first
        for address in (V4, V6):
            wait_for(f"{address} at {machine.name}",
                     lambda a=address: machine.holds(a) and not other.holds(a), timeout, 0.02)

    def neighbour_of(self, address: str) -> str:
        """The MAC that the router, the neighbour of both, sends to."""
        words = self.lab.host("router").run("ip", "neigh", "show", address).stdout.split()
        return words[words.index("lladdr") + 1] if "lladdr" in words else ""

    def wait_neighbour(self, machine: Machine, address: str):
        """It hears of the take-over; to ask anew by itself takes it longer than that."""
        shown = machine.host.run("ip", "-o", "link", "show", "eth0").stdout.split()
        mac = shown[shown.index("link/ether") + 1]
        wait_for(f"the router's neighbour {address} to be {machine.name}",
                 lambda: self.neighbour_of(address) == mac, stretched(1), 0.01)

    def blind(self, machine: Machine):
        """Its checks get no answer any more, while clients are served as ever."""
        for server in SERVERS:
            self.lab.host(server).ip(*[f"route add blackhole {a}" for a in PEERS[machine.name]])

    def see(self, machine: Machine):
        for server in SERVERS:
            self.lab.host(server).ip(*[f"route del blackhole {a}" for a in PEERS[machine.name]])


@pytest.fixture(scope="module")
def pair(can_direct):
    if find_program("keepalived") is None:
        pytest.fail("keepalived is missing; scripts/install-deps installs it", pytrace=False)
    lab = Lab(servers=["answer"] * len(SERVERS), services=(V4, V6), native=False).up()
    try:
        lab.network.server("director2", list(PEERS["director2"]))
        router = lab.host("router")
        for address, via in ((V4, plan.DIRECTOR_V4), (V6, plan.DIRECTOR_V6)):
            router.ip(f"route del {address} via {via}", f"route add {address} dev eth1")
        made = Pair(lab)
        try:
            for machine in (made.first, made.second):
                machine.start()
            made.wait_at(made.first)
            wait_for("the second's servers to be judged", lambda: made.second.value("all") == "0")
            yield made
        finally:
            for machine in (made.first, made.second):
                if machine.keepalived and machine.keepalived.poll() is None:
                    machine.stop_keepalived()
                machine.director.cleanup()
    finally:
        leaks = lab.down()
    assert leaks == []


def test_the_preferred_director_holds_both_service_ips_and_serves(pair):
    assert pair.first.value("all") == "0" and pair.second.value("all") == "0"
    for address in (V4, V6):
        result = pair.lab.load(address, rate=RATE, count=RATE).start().finish()
        assert result.failed == 0, result
    assert pair.first.director.packets(address=V4, protocol="udp")["s1"] > 0
    # The director itself has added none of them.
    lo = pair.first.host.run("ip", "-o", "addr", "show", "dev", "lo").stdout
    assert V4 not in lo and V6 not in lo


def test_a_director_whose_servers_fail_hands_over_and_takes_back(pair):
    for address in (V4, V6):
        with pair.lab.load(address, rate=RATE, seconds=40) as load:
            load.sleep_until(0.3)
            pair.blind(pair.first)
            try:
                pair.wait_at(pair.second)
                pair.wait_neighbour(pair.second, address)
                assert pair.first.value(address) == "-180" and pair.second.value("all") == "0"
                asked = pair.first.director.command("announced", address, check=False)
                assert asked.returncode == 1, asked
                assert pair.second.director.command("announced").returncode == 0
                load.sleep(0.5)
            finally:
                pair.see(pair.first)
            pair.wait_at(pair.first, timeout=20)
            pair.wait_neighbour(pair.first, address)
            load.sleep(0.5)
            result = load.stop().finish()
        figures.note(f"VRRP, {address}: over and back, {result.failed} of {result.sent} queries "
                     f"lost at {RATE}/s")
        # An address is on nobody's interface for a moment, and neighbours hear of it.
        assert result.failed < RATE * stretched(1), result


def test_a_clean_stop_hands_over_first(pair):
    with pair.lab.load(V4, rate=RATE, seconds=40) as load:
        load.sleep_until(0.3)
        pair.first.director.process.send_signal(signal.SIGTERM)
        pair.wait_at(pair.second)
        assert pair.first.director.process.wait(stretched(15)) == 0
        load.sleep(0.3)
        result = load.stop().finish()
    figures.note(f"VRRP: clean stop of the active director, {result.failed} of {result.sent} "
                 f"queries lost at {RATE}/s")
    assert result.failed < RATE * stretched(0.5), result
    assert pair.first.value("all") == "-180"
    assert pair.first.director.command("announced", check=False).returncode == 3
    pair.first.director.start()
    pair.wait_at(pair.first)


def test_kill_9_and_a_new_start_move_nothing(pair):
    with pair.lab.load(V4, rate=RATE, seconds=40) as load:
        load.sleep_until(0.3)
        pair.first.director.kill9()
        load.sleep(1)
        assert pair.first.value("all") == "0"
        pair.first.director.start()
        load.sleep(1)
        assert pair.first.value("all") == "0" and pair.first.holds(V4)
        result = load.stop().finish()
    assert result.failed == 0, result


def test_keepalived_that_ends_hands_over(pair):
    with pair.lab.load(V4, rate=RATE, seconds=40) as load:
        load.sleep_until(0.3)
        pair.first.stop_keepalived()
        pair.wait_at(pair.second)
        load.sleep(0.3)
        result = load.stop().finish()
    figures.note(f"VRRP: keepalived stopped, {result.failed} of {result.sent} queries lost at "
                 f"{RATE}/s")
    assert result.failed < RATE * stretched(0.5), result
    pair.first.start_keepalived()
    pair.wait_at(pair.first)


def test_the_files_come_back_when_somebody_removes_them(pair):
    os.unlink(os.path.join(pair.second.track, V4))
    wait_for("the file", lambda: os.path.exists(os.path.join(pair.second.track, V4)), 15)
    for file in os.listdir(pair.second.track):
        os.unlink(os.path.join(pair.second.track, file))
    os.rmdir(pair.second.track)
    wait_for("the files", lambda: os.path.exists(os.path.join(pair.second.track, "all")), 15)
    assert pair.second.value(V4) == "0"
