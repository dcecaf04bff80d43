# SPDX-License-Identifier: Apache-2.0
"""The lab as a whole: hosts, servers, loads, and its end."""

import os

from . import plan
from .daemons import Answer, Bind, Knot, Nsd, Pdns, Unbound, ask
from .flows import Flood, Flows
from .load import Load
from .network import Network
from .registry import Registry
from .system import run
from .tools import Tools

RECURSORS = {"bind": Bind, "unbound": Unbound, "pdns": Pdns}
MAKES = ("answer", *RECURSORS)


class Lab:
    """A DNS cluster in namespaces, without its director's program.

    servers: one make ("answer", "bind", "unbound", "pdns") per real server;
    the first is s1 at 203.0.113.11. Recursors bring the tree that they ask.
    interfaces: of the director, 1 or 2. native: the switch's ends of its wires
    carry an XDP program, so that native XDP works in both directions.
    services: service IPs that real servers hold and the router sends to the
    director. Use as a context manager; or up(), then down().
    """

    def __init__(self, servers=("answer", "answer"), interfaces=1, native=True,
                 services=(plan.SERVICE_V4, plan.SERVICE_V6), keep=False):
        self.makes = list(servers)
        self.interfaces, self.native = interfaces, native
        self.services = list(services)
        self.keep = keep
        self.registry = None
        self.servers = {}
        self.directors = 0

    def up(self) -> "Lab":
        self.registry = Registry.create(self.keep)
        try:
            self._make()
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> list:
        """Removes everything; returns what had not ended by itself."""
        registry, self.registry = self.registry, None
        return registry.teardown() if registry else []

    def __enter__(self) -> "Lab":
        return self.up()

    def __exit__(self, kind, value, trace):
        self.down()

    @property
    def directory(self) -> str:
        return self.registry.directory

    def path(self, *parts) -> str:
        return os.path.join(self.directory, *parts)

    def _make(self):
        self.tools = Tools(self.path("tools"))
        try:
            self.network = Network(self.registry, self.registry.lab["id"])
            self.network.client_and_router()
            self.network.director(self.interfaces, self.native, self.tools.path("xdp_pass"))
            for extra in set(self.services) - {plan.SERVICE_V4, plan.SERVICE_V6}:
                self.network.route_service(extra, self.interfaces)
            self._mount_bpffs()
            if set(self.makes) & set(RECURSORS):
                self._start_tree()
            for number, make in enumerate(self.makes, 1):
                self._start_server(number, make)
            for server in self.servers.values():
                server.wait_ready()
            for name in ("dnsload", "dnsanswer", "tcpflows", "tcpflood"):
                self.tools.path(name)
        finally:
            self.tools.stop()

    def _mount_bpffs(self):
        # Pins of the lab's directors; the machine's /sys/fs/bpf is not touched.
        path = self.path("bpf")
        os.mkdir(path)
        self.registry.add("mount", path=path)
        run("mount", "-t", "bpf", "bpf", path)

    def _start_tree(self):
        """Root, TLDs and zones: three servers, so that recursion is real."""
        self.auth = self.network.server("auth", [plan.ROOT_V4, plan.TLD_V4, plan.ZONES_V4])
        tree = [Nsd(self.auth, self.directory, "root", [plan.ROOT_V4]),
                Knot(self.auth, self.directory, "tld", [plan.TLD_V4], plan.TLD_ZONES),
                Knot(self.auth, self.directory, "zones", [plan.ZONES_V4], plan.ZONES)]
        for daemon in tree:
            daemon.start(wait=False)
        for daemon in tree:
            daemon.wait_ready()

    def _start_server(self, number: int, make: str):
        host = self.network.real_server(number, self.services)
        self.servers[host.name] = self.daemon(host, number, make)
        self.servers[host.name].start(wait=False)

    def daemon(self, host, number: int, make: str):
        """A server of some make on a real server's host, not started."""
        own = [plan.server_v4(number), plan.server_v6(number)]
        addresses = own + self.services
        if make == "answer":
            return Answer(host, self.directory, host.name, addresses,
                          self.tools.path("dnsanswer"))
        return RECURSORS[make](host, self.directory, host.name, addresses)

    def cut_off(self, name: str):
        """Takes the tree away from a recursor: it answers SERVFAIL to everything."""
        self.host(name).ip(*[f"route add unreachable {a}" for a in plan.TREE])
        self.servers[name].flush()

    def reconnect(self, name: str):
        """Takes back cut_off()."""
        self.host(name).ip(*[f"route del unreachable {a}" for a in plan.TREE])
        self.servers[name].flush()

    def crowd(self, count: int, on: str = None) -> list:
        """Addresses of `count` real servers, all of one host and one process.

        The host is a new one behind a route, or with on="director" the
        director's own. IPv6, since there are not as many IPv4 addresses for
        documentation. The whole prefix is local there; no address is added.
        """
        addresses = [plan.crowd_v6(n) for n in range(1, count + 1)]
        if on:
            host = self.host(on)
        else:
            host = self.network.server("crowd", [plan.CROWD_HOST_V4, plan.CROWD_HOST_V6])
            self.director_host.ip(f"route add {plan.CROWD_PREFIX} via {plan.CROWD_HOST_V6}")
        host.ip(f"route add local {plan.CROWD_PREFIX} dev lo")
        self.servers["crowd"] = Answer(host, self.directory, "crowd", ["::"],
                                       self.tools.path("dnsanswer"))
        self.servers["crowd"].start()
        return addresses

    # Hosts and what is done from them.
    def host(self, name: str):
        return self.network.hosts[name]

    @property
    def client(self):
        return self.host("client")

    @property
    def router(self):
        return self.host("router")

    @property
    def director_host(self):
        return self.host("director")

    def ask(self, address: str, name: str = plan.WWW_NAME, rdtype: str = "A", **options):
        """One question from the client's host (see daemons.ask)."""
        return self.client.call(ask, address, name, rdtype, **options)

    def load(self, target: str = plan.SERVICE_V4, **options) -> Load:
        """A load from the client's host, not yet started (see load.Load)."""
        return Load(self.client, self.tools.path("dnsload"), target, **options)

    def flows(self, target: str = plan.SERVICE_V4, **options) -> Flows:
        """Long-lived TCP connections from the client's host (see flows.Flows)."""
        return Flows(self.client, self.tools.path("tcpflows"), target, **options)

    def flood(self, **options) -> Flood:
        """Forged segments from the router's place to the director (see flows.Flood)."""
        return Flood(self.router, self.director_host, self.tools.path("tcpflood"), **options)
