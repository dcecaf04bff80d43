# SPDX-License-Identifier: Apache-2.0
"""BIRD and FRR with the configuration of `dnsdirector bgp config` tell two core routers, a BIRD
and an FRR, what the bgp block says of the director's routes, and nothing else; and they accept
nothing. The routes are made by hand here, as the director makes them."""

import time

import pytest
from lab import LabError, figures, wait_for
from lab.routing import (CORES, DIRECTOR, Bird, Frr, RoutingLab, compared, generated)
from lab.system import stretched
from lab.wire import Wire

AS, FOREIGN_AS = 64512, 64513
V4, V6, OTHER_V4 = "192.0.2.53", "2001:db8::53", "192.0.2.54"
PASSWORD = "between#routers!"

BLOCK = """\
director {{ dataplane none }}
dns_cluster resolvers {{
    service_ip {v4} {other} {v6}
    check {{ query "www.example.com A" }}
    real_server ns1 {{ address 203.0.113.11 2001:db8:1::11 }}
}}
bgp {{
    local_as {local_as}
    router_id {director4}
    neighbor {core1_4} {{
        remote_as {core_as}; description core1; bfd 500ms 6
        password "{password}"; ttl_security on
    }}
    neighbor {core1_6} {{ remote_as {core_as}; description core1; bfd 500ms 6 }}
    neighbor {core2_4} {{
        remote_as {core_as}; description core2; bfd 500ms 6; next_hop {director6}
    }}
    announce {v4} {{ med 0; community 64512:1 64512:1:1 }}
    announce {other} {{ med 1 }}
    announce {v6} {{
        med 7; degraded_med 8; draining_med 9; local_preference 150
        degraded_community 64512:2
    }}
}}
"""

CORE_BIRD = """\
log stderr all;
router id {own4};
protocol device {{ }}
protocol bfd {{ }}
protocol kernel {{ ipv4 {{ export all; }}; }}
protocol kernel {{ ipv6 {{ export all; }}; }}
protocol static {{ ipv4; route 0.0.0.0/0 blackhole; route 198.51.100.0/24 blackhole; }}
protocol static {{ ipv6; route ::/0 blackhole; route 2001:db8:9::/48 blackhole; }}
protocol bgp director4 {{
    local {own4} as {core_as}; neighbor {director4} as {local_as}; direct;
    password "{password}"; ttl security on; error wait time 1, 2; connect delay time 1;
    bfd {{ min rx interval 500 ms; min tx interval 500 ms; multiplier 6; }};
    ipv4 {{ import all; export where source = RTS_STATIC; }};
}}
protocol bgp director6 {{
    local {own6} as {core_as}; neighbor {director6} as {local_as}; direct;
    error wait time 1, 2; connect delay time 1;
    bfd {{ min rx interval 500 ms; min tx interval 500 ms; multiplier 6; }};
    ipv6 {{ import all; export where source = RTS_STATIC; }};
}}
"""

CORE_FRR = """\
no ip forwarding
bfd
 profile slow
  detect-multiplier 6
  transmit-interval 500
  receive-interval 500
 exit
exit
ip route 198.51.100.0/24 blackhole
router bgp {core_as}
 bgp router-id {own4}
 no bgp ebgp-requires-policy
 neighbor {director4} remote-as {local_as}
 neighbor {director4} bfd profile slow
 neighbor {director4} timers connect 1
 address-family ipv4 unicast
  network 203.0.113.0/24
  neighbor {director4} default-originate
 exit-address-family
 address-family ipv6 unicast
  neighbor {director4} activate
  neighbor {director4} default-originate
 exit-address-family
exit
"""

STATES = {1: "announced", 2: "degraded", 100: "draining"}
MED = {V4: {1: 0, 2: 1000, 100: 4294967294}, OTHER_V4: {1: 1, 2: 1001, 100: 4294967294},
       V6: {1: 7, 2: 8, 100: 9}}
COMMUNITIES = {
    V4: {1: ["64512:1", "64512:1:1"], 2: ["64512:1", "64512:1:1"],
         100: ["64512:1", "64512:1:1", "65535:0"]},
    OTHER_V4: {1: [], 2: [], 100: ["65535:0"]},
    V6: {1: [], 2: ["64512:2"], 100: ["65535:0"]}}


class Scene:
    """The director's daemon and the two cores, their sessions up."""

    def __init__(self, lab: RoutingLab, make: str, local_as: int):
        self.lab, self.make, self.ibgp = lab, make, local_as == AS
        names = {"v4": V4, "v6": V6, "other": OTHER_V4, "local_as": local_as, "core_as": AS,
                 "director4": DIRECTOR[0], "director6": DIRECTOR[1], "password": PASSWORD}
        for core, (v4, v6) in CORES.items():
            names |= {f"{core}_4": v4, f"{core}_6": v6}
        self.path = lab.write(f"{make}-{local_as}.conf", BLOCK.format(**names))
        own = {core: {"own4": a[0], "own6": a[1]} for core, a in CORES.items()}
        self.bird = Bird(lab.cores["core1"], lab.directory)
        self.frr = Frr(lab.cores["core2"], lab.directory)
        self.daemon = (Bird if make == "bird" else Frr)(lab.director, lab.directory)
        self.bird.start(CORE_BIRD.format(**names, **own["core1"]))
        self.frr.start(CORE_FRR.format(**names, **own["core2"]))
        self.daemon.start(generated(self.path, "bird" if make == "bird" else "existing frr"))

    def stop(self):
        for address in MED:
            self.lab.withdraw(address)
        for daemon in (self.daemon, self.bird, self.frr):
            daemon.stop()

    def sessions_up(self):
        """BFD's too: a core that still has the old one of a daemon that was killed takes the new
        session of BGP down when that ends, some seconds later."""
        # FRR's BFD with core1 over IPv4, which has ttl_security, is a multihop one (docs/bgp.md).
        with_bfd = 2 if self.make == "frr" and not self.ibgp else 3
        wait_for(f"three sessions, {with_bfd} with BFD", lambda: self.daemon.bfd_up() == with_bfd
                 and self.daemon.established() == 3, 60, every=0.1)

    def told(self, address: str) -> list:
        """What each core that carries the address's family was told of it."""
        v4, v6 = DIRECTOR
        prefix = f"{address}/{128 if ':' in address else 32}"
        return [self.bird.route(prefix, v6 if ":" in address else v4),
                self.frr.route(prefix, v4)]

    def expected(self, address: str, metric: int) -> dict:
        preference = 150 if address == V6 and self.ibgp else 100
        return {"med": MED[address][metric], "local_pref": preference, "origin": "IGP",
                "next_hop": DIRECTOR[1] if ":" in address else DIRECTOR[0],
                "communities": COMMUNITIES[address][metric]}

    def normal(self, said, metric: int):
        """A neighbour in another AS is sent no local preference: it shows its own, of which FRR
        makes 0 on account of the community (RFC 8326)."""
        if said is None:
            return None
        said = dict(said, origin=said["origin"].upper())
        if not self.ibgp and said["local_pref"] in (-1, 0 if metric == 100 else -1):
            said["local_pref"] = 100
        return said

    def hears(self, address: str, metric: int):
        wanted = self.expected(address, metric)

        def heard():
            told = self.told(address)
            return all(self.normal(each, metric) == wanted for each in told) or told
        deadline = time.monotonic() + stretched(30)
        while (told := heard()) is not True and time.monotonic() < deadline:
            time.sleep(0.05)
        assert told is True, f"{address} {STATES[metric]}: told {told}, wanted {wanted}"


@pytest.fixture(scope="module")
def routing_lab(can_route):
    with RoutingLab() as lab:
        yield lab


@pytest.fixture(scope="module", params=[("bird", AS), ("bird", FOREIGN_AS), ("frr", AS),
                                        ("frr", FOREIGN_AS)],
                ids=["bird-ibgp", "bird-ebgp", "frr-ibgp", "frr-ebgp"])
def scene(request, routing_lab):
    scene = Scene(routing_lab, *request.param)
    try:
        scene.sessions_up()
        yield scene
    finally:
        scene.stop()


def test_the_metric_of_a_route_becomes_what_the_cores_are_told(scene):
    for address in MED:
        for metric in (1, 2, 100, 1):
            scene.lab.announce(address, metric)
            scene.hears(address, metric)
    wanted = {f"{V4}/32", f"{OTHER_V4}/32", f"{V6}/128"}
    assert scene.bird.prefixes() == wanted
    assert scene.frr.prefixes() == wanted
    scene.lab.withdraw(V4)
    wait_for("the cores to hear of the withdrawal",
             lambda: f"{V4}/32" not in scene.bird.prefixes() | scene.frr.prefixes())


def test_nothing_else_is_told(scene):
    director = scene.lab.director
    scene.lab.withdraw(OTHER_V4)
    scene.lab.announce(V4, 1)
    scene.hears(V4, 1)
    foreign = ["192.0.2.99/32 proto 153 metric 1", "192.0.2.52/30 proto 153 metric 1",
               "198.51.100.77/32 proto 99 metric 1", "0.0.0.0/0 proto 153 metric 1"]
    foreign6 = ["2001:db8::99/128 proto 153 metric 1", "2001:db8::/64 proto 153 metric 2"]
    # A metric that is no state; BIRD also knows that another program's route is none of ours.
    none = [f"{OTHER_V4}/32 proto 153 metric 3"]
    if scene.make == "bird":
        none.append(f"{OTHER_V4}/32 proto 99 metric 1")
    director.ip(*[f"route add blackhole {r}" for r in foreign + none],
                *[f"route add blackhole {r}" for r in foreign6])
    try:
        # Behind them comes one that is told, so that they have been looked at when it is heard.
        scene.lab.announce(V6, 100)
        scene.lab.announce(V4, 2)
        scene.hears(V6, 100)
        scene.hears(V4, 2)
        assert scene.bird.prefixes() <= {f"{V4}/32", f"{V6}/128"}
        assert scene.frr.prefixes() <= {f"{V4}/32", f"{V6}/128"}
    finally:
        director.ip(*[f"route del blackhole {r}" for r in foreign + none],
                    *[f"route del blackhole {r}" for r in foreign6])


def test_nothing_is_accepted(scene):
    """Both cores send a default route and more; the director's side keeps none of it."""
    if scene.make == "bird":
        assert scene.daemon.prefixes() == set()
        kept = scene.daemon.ask("show", "route", "import", "table",
                                f"dnsdirector_{CORES['core1'][0].replace('.', '_')}.ipv4")
        assert "0.0.0.0/0" in kept and "198.51.100.0/24" in kept
    else:
        assert scene.daemon.prefixes() == set()
        kept = scene.daemon.ask(f"show bgp ipv4 unicast neighbors {CORES['core1'][0]} "
                                "received-routes")
        assert "0.0.0.0/0" in kept and "198.51.100.0/24" in kept
    for family in ("-4", "-6"):
        routes = scene.lab.director.run("ip", family, "route", "show", "table", "all").stdout
        assert "proto bgp" not in routes and "proto bird" not in routes


def test_check_knows_what_runs(scene):
    if scene.make == "bird":
        daemon = "bird"
        options = ["--socket", scene.daemon.socket, "--bird-conf", scene.daemon.config]
    else:
        daemon, options = "existing frr", ["--socket", scene.daemon.directory]
    status, said = compared(scene.lab.director, scene.path, daemon, *options)
    assert status == 0, said
    status, said = compared(scene.lab.director, scene.path, daemon, "--socket", "/nowhere/at.all",
                            *options[2:])
    assert status == 1 and "no routing daemon listens at /nowhere/at.all" in said[0], said


def test_a_dead_daemon_is_not_remembered(scene):
    """Last of all: graceful restart is off, so that the cores forget at once what a daemon said
    that was killed, as they see by the end of its connection."""
    for address in MED:
        scene.lab.announce(address, 1)
        scene.hears(address, 1)
    start = time.monotonic()
    scene.daemon.stop()
    wait_for("the cores to forget", lambda: not scene.bird.prefixes() | scene.frr.prefixes(),
             every=0.01)
    figures.note(f"BGP: {scene.make} killed, both cores without its routes after "
                 f"{(time.monotonic() - start) * 1000:.0f} ms at most")
    scene.daemon.start(generated(scene.path, "bird" if scene.make == "bird" else "existing frr"))
    scene.sessions_up()
    for address in MED:
        scene.hears(address, 1)


def test_how_soon_a_change_is_on_the_wire(scene):
    lab = scene.lab

    def withdrawn():
        return f"{V4}/32" not in scene.bird.prefixes() | scene.frr.prefixes()

    def works():
        """FRR 8.4 may lose a withdrawal in the first second of a session (docs/bgp.md)."""
        lab.announce(V4, 1)
        scene.hears(V4, 1)
        lab.withdraw(V4)
        try:
            wait_for("the withdrawal", withdrawn, 3)
        except LabError:
            return False
        return True

    wait_for("the daemon to announce and to withdraw", works, 60)
    wire = Wire(lab.director, lab.directory, DIRECTOR)
    for _ in range(3):
        lab.announce(V4, 1)
        scene.hears(V4, 1)
        lab.withdraw(V4)
        wait_for("the cores to hear of the withdrawal", withdrawn)
    wire.stop()
    changes = wire.changes(V4)
    assert [deleted for _, deleted, _ in changes] == [False, True] * 3
    figures.note(f"BGP: {scene.make} sends what the kernel's route says after " + ", ".join(
        f"{wire.after(when) * 1000:.1f}" for when, _, _ in changes)
        + " ms (announced and withdrawn in turns)")
