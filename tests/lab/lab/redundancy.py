# SPDX-License-Identifier: Apache-2.0
"""Two directors that announce their service IPs to two core routers, one BIRD and one FRR.

On the lab's network (plan.py): the directors' hosts, each with a BIRD of its own; four real
servers of two makes; `router`, behind which the client is; and `core2`, which is a client
itself. Director a is preferred for the first service IP, b for the second; the IPv6 one is anycast.
"""

import os
import re
import signal

from . import plan
from .daemons import ask
from .director import CALM_CHECK, Director, cluster, director_block
from .lab import Lab
from .load import Load
from .network import SERVER_BRIDGE
from .routing import Bird, Frr, generated
from .system import wait_for

AS = 64512
V4, V6, SECOND = plan.SERVICE_V4, plan.SERVICE_V6, "192.0.2.54"
# The tests' servers: each of the lab's own says who answered, and Unbound is a real one.
MAKES = ("answer", "answer", "unbound", "unbound")
DIRECTORS = {"a": ("director", plan.DIRECTOR_V4, plan.DIRECTOR_V6),
             "b": ("director2", "203.0.113.2", "2001:db8:1::2")}
CORES = {"router": (plan.ROUTER_V4, plan.ROUTER_V6),
         "core2": ("203.0.113.253", "2001:db8:1::fd")}
# MED of each service IP by director.
MEDS = {V4: {"a": 0, "b": 1}, SECOND: {"a": 1, "b": 0}, V6: {"a": 0, "b": 0}}
BFD = "bfd 100ms 3; "
# What a core that is BIRD offers to the directors, who must not take it. FRR offers a default
# route.
OFFERS = {4: "198.51.100.128/25", 6: "2001:db8:9::/48"}


def bird_core(own: tuple, bfd: bool) -> str:
    detect = ("bfd { min rx interval 100 ms; min tx interval 100 ms; multiplier 3; };"
              if bfd else "")
    text = (f"log stderr all;\nrouter id {own[0]};\nprotocol device {{ }}\nprotocol bfd {{ }}\n"
            + "".join(f"protocol static {{ ipv{f}; route {offer} unreachable; }}\n"
                      for f, offer in OFFERS.items())
            + "".join(f"protocol kernel {{ ipv{f} {{ export where source = RTS_BGP; }}; "
                      "merge paths on; }\n" for f in (4, 6)))
    for name, (_, v4, v6) in DIRECTORS.items():
        for family, address, ours in ((4, v4, own[0]), (6, v6, own[1])):
            text += (f"protocol bgp {name}{family} {{\n local {ours} as {AS};\n"
                     f" neighbor {address} as {AS};\n direct;\n error wait time 1, 2;\n"
                     f" connect delay time 1;\n connect retry time 1;\n {detect}\n"
                     f" ipv{family} {{ import all; export where source = RTS_STATIC; }};\n}}\n")
    return text


def frr_core(own: tuple, bfd: bool) -> str:
    lines = ["bfd", " profile fast", "  detect-multiplier 3", "  transmit-interval 100",
             "  receive-interval 100", " exit", "exit", "route-map global permit 10",
             " set ipv6 next-hop prefer-global", "exit", f"router bgp {AS}",
             f" bgp router-id {own[0]}", " no bgp default ipv4-unicast"]
    for _, v4, v6 in DIRECTORS.values():
        for address in (v4, v6):
            lines += [f" neighbor {address} remote-as {AS}",
                      f" neighbor {address} timers connect 1"]
            if bfd:
                lines.append(f" neighbor {address} bfd profile fast")
    for family, index in (("ipv4", 1), ("ipv6", 2)):
        lines += [f" address-family {family} unicast", "  maximum-paths ibgp 8"]
        for director in DIRECTORS.values():
            lines += [f"  neighbor {director[index]} activate",
                      f"  neighbor {director[index]} default-originate",
                      # Else it takes the link-local one, by which a director is not known here.
                      f"  neighbor {director[index]} route-map global in"]
        lines.append(" exit-address-family")
    return "\n".join(lines + ["exit"]) + "\n"


def bgp_block(name: str, bfd: bool) -> str:
    _, v4, _ = DIRECTORS[name]
    text = f"bgp {{\n    local_as {AS}\n    router_id {v4}\n    draining_time 1s\n"
    for core, (core4, core6) in CORES.items():
        for address in (core4, core6):
            text += (f"    neighbor {address} {{ remote_as {AS}; description {core}; "
                     f"connect_retry 1s; {BFD if bfd else ''}}}\n")
    for service_ip, meds in MEDS.items():
        text += f"    announce {service_ip} {{ med {meds[name]}; min_interval 1s }}\n"
    return text + "}\n"


def directory_name(name: str) -> str:
    """A director's folder within the lab's."""
    return f"site-{name}"


class Member:
    """A director with a BIRD beside it."""

    def __init__(self, lab: Lab, name: str, servers: list, bfd: bool):
        self.name = name
        host, self.v4, self.v6 = DIRECTORS[name]
        others = " ".join(DIRECTORS["b" if name == "a" else "a"][1:])
        config = (director_block(mode="generic", extra=f"    other_directors {others}\n")
                  + cluster({s: 1 for s in servers}, check=self.check(), service_ips=list(MEDS))
                  + bgp_block(name, bfd))
        self.director = Director(lab, config, name=directory_name(name))
        self.host = self.director.host = lab.host(host)
        self.bird = Bird(self.host, lab.path(self.director.name))
        self.bird.socket = os.path.join(self.director.run_dir, "bird.ctl")

    def check(self) -> str:
        return CALM_CHECK.replace(f"source {plan.DIRECTOR_V4} {plan.DIRECTOR_V6}",
                                  f"source {self.v4} {self.v6}")

    def start(self):
        self.director.start()
        self.start_bird()

    def start_bird(self):
        self.bird.start(generated(self.director.config, "bird"))

    def announcement(self, address: str = V4) -> dict:
        entries = self.director.status()["announcements"]
        return next(e for e in entries if e["prefix"].split("/")[0] == address)

    def wait_state(self, state: str, address: str = V4, timeout: float = 20):
        wait_for(f"{address} at {self.name} to be {state}",
                 lambda: self.announcement(address)["state"] == state, timeout)

    def offered(self, core: str) -> str:
        """What this neighbour sent to its BIRD, refused or not."""
        family = 6 if ":" in core else 4
        channel = "dnsdirector_" + re.sub("[.:]", "_", core) + f".ipv{family}"
        return self.bird.ask("show", "route", "import", "table", channel)

    def packets(self, address: str, protocol: str = "udp") -> int:
        return sum(self.director.packets(address=address, protocol=protocol).values())

    def stop(self):
        self.director.process.send_signal(signal.SIGTERM)


class Site:
    """The whole. make: of the daemon of `router`; core2 runs the other one."""

    def __init__(self, make: str, bfd: bool = False, servers=MAKES, keep: bool = False):
        self.make, self.bfd = make, bfd
        self.names = [f"s{number}" for number in range(1, len(servers) + 1)]
        self.lab = Lab(servers=servers, services=list(MEDS), native=False, keep=keep)

    def up(self) -> "Site":
        self.lab.up()
        try:
            self._make()
        except BaseException:
            self.lab.down()
            raise
        return self

    def __enter__(self) -> "Site":
        return self.up()

    def __exit__(self, kind, value, trace):
        for member in self.members.values():
            if kind is not None:
                print(f"--- {member.name}\n{member.director.tail()}")
            member.director.cleanup()
        leaks = self.lab.down()
        assert leaks == [] or kind, leaks

    def _make(self):
        network = self.lab.network
        network.server("director2", list(DIRECTORS["b"][1:]))
        core2 = network.server("core2", list(CORES["core2"]))
        # Where packets go is for BGP to say, and a flow goes one way.
        for service_ip in MEDS:
            self.lab.host("router").ip(f"route del {service_ip}")
        for host in (self.lab.host("router"), core2):
            host.sysctl(ipv4__fib_multipath_hash_policy=1, ipv6__fib_multipath_hash_policy=1)
        # A wire hands the sender's hash of a flow on, and a sender changes its hash when
        # it sends again: the routers' choice would change with it.
        for host in (self.lab.client, core2):
            host.sysctl(core__txrehash=0)
        self.members = {name: Member(self.lab, name, self.names, self.bfd) for name in DIRECTORS}
        self.cores = {}
        for number, (name, own) in enumerate(CORES.items()):
            bird = (self.make == "bird") == (number == 0)
            daemon = (Bird if bird else Frr)(self.lab.host(name), self.lab.directory)
            daemon.start((bird_core if bird else frr_core)(own, self.bfd))
            self.cores[name] = daemon
        for member in self.members.values():
            member.start()
        self.wait_usual()

    @property
    def a(self) -> Member:
        return self.members["a"]

    @property
    def b(self) -> Member:
        return self.members["b"]

    def next_hops(self, address: str, router: str = "router") -> set:
        """The directors that the router's kernel sends packets for the address to."""
        family = "-6" if ":" in address else "-4"
        shown = self.lab.host(router).run("ip", family, "route", "show", address).stdout
        hops = set(re.findall(r"via (\S+)", shown))
        return {name for name, (_, v4, v6) in DIRECTORS.items() if hops & {v4, v6}}

    def wait_at(self, address: str, *names: str, timeout: float = 30):
        for router in CORES:
            wait_for(f"{router} to send {address} to {names}",
                     lambda r=router: self.next_hops(address, r) == set(names), timeout)

    def wait_usual(self):
        for address in MEDS:
            for member in self.members.values():
                member.wait_state("announced", address, 60)
        self.wait_at(V4, "a", timeout=60)
        self.wait_at(SECOND, "b", timeout=60)
        self.wait_at(V6, "a", "b", timeout=60)
        for member in self.members.values() if self.bfd else ():
            # It begins slowly (RFC 5880, 6.8.3): a session comes up after the routes do.
            wait_for(f"BFD of {member.name} with both routers",
                     lambda m=member: m.bird.bfd_up() == 4, 30, 0.1)

    def blind(self, member: Member):
        """Its checks get no answer, while clients are served as ever."""
        for server in self.names:
            self.lab.host(server).ip(f"route add blackhole {member.v4}",
                                     f"route add blackhole {member.v6}")

    def see(self, member: Member):
        for server in self.names:
            self.lab.host(server).ip(f"route del blackhole {member.v4}",
                                     f"route del blackhole {member.v6}")

    def unplug(self, member: Member):
        self.lab.network.switch.ip(f"link set {member.host.name}-eth0 nomaster")

    def plug(self, member: Member):
        self.lab.network.switch.ip(f"link set {member.host.name}-eth0 master {SERVER_BRIDGE}")

    def ask_from_core2(self, address: str):
        return self.lab.host("core2").call(ask, address, plan.WWW_NAME)

    def load(self, address: str = V4, **options) -> Load:
        return self.lab.load(address, **options)
