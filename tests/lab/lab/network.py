# SPDX-License-Identifier: Apache-2.0
"""Hosts in namespaces, and the wires between them.

         client ── router ──┬── director ──┐
                            │   (switch)   │
              auth, s1 … sN ┴──────────────┘

Everything on 203.0.113.0/24 hangs on the bridge of the `switch` namespace.
With two interfaces the director has its eth0 on a second bridge, alone with
the router, and its eth1 among the real servers.
"""

import subprocess
from contextlib import suppress
from dataclasses import dataclass

from . import plan
from .registry import Registry, start_time
from .system import enter, in_netns, run

SERVER_BRIDGE, FRONT_BRIDGE = "br0", "br1"


@dataclass
class Host:
    """One namespace. Commands and functions run inside it."""

    name: str
    netns: str
    registry: Registry

    def argv(self, *argv) -> list:
        """The command line that runs argv inside."""
        return enter(self.netns) + [str(a) for a in argv]

    def run(self, *argv, **options):
        """Runs a command inside and returns the finished process."""
        return run(*self.argv(*argv), **options)

    def call(self, function, *args, **kwargs):
        """Calls a Python function inside, on a thread of its own."""
        return in_netns(self.netns, function, *args, **kwargs)

    def start(self, what: str, argv: list, log: str, env=None) -> subprocess.Popen:
        """Starts a daemon inside, its output appended to the file `log`."""
        with open(log, "ab") as output:
            process = subprocess.Popen(self.argv(*argv), stdin=subprocess.DEVNULL,
                                       stdout=output, stderr=output, env=env,
                                       start_new_session=True)
        self.registry.add("process", what=what, pid=process.pid,
                          start=start_time(process.pid))
        return process

    def ip(self, *lines: str):
        """Runs lines of `ip` in one batch, as in ip(8) -batch."""
        run("ip", "-n", self.netns, "-batch", "-", input="\n".join(lines) + "\n")

    def sysctl(self, **values):
        """Sets /proc/sys/net values; a double underscore in a name is a dot."""
        def write():
            for key, value in values.items():
                with open("/proc/sys/net/" + key.replace("__", "/"), "w",
                          encoding="ascii") as setting:
                    setting.write(str(value))
        in_netns(self.netns, write)


class Network:
    """Makes the hosts. Everything is in the registry before it exists."""

    def __init__(self, registry: Registry, prefix: str):
        self.registry = registry
        self.prefix = prefix
        self.hosts = {}
        self.switch = self._host("switch")
        self._only_switch()
        for bridge in (SERVER_BRIDGE, FRONT_BRIDGE):
            self.switch.ip(f"link add {bridge} type bridge stp_state 0 mcast_snooping 0",
                           f"link set {bridge} up")

    def _only_switch(self):
        """Where somebody has loaded br_netfilter, bridges hand all packets to netfilter too: no
        switch does, and it costs some 4% of a query's processor time in a proxy."""
        with suppress(FileNotFoundError):
            self.switch.sysctl(**{f"bridge__bridge-nf-call-{tables}": 0
                                  for tables in ("iptables", "ip6tables", "arptables")})

    def _host(self, name: str) -> Host:
        netns = f"{self.prefix}-{name}"
        self.registry.add("netns", name=netns, host=name)
        run("ip", "netns", "add", netns)
        host = Host(name, netns, self.registry)
        self.hosts[name] = host
        host.sysctl(ipv6__conf__all__accept_dad=0, ipv6__conf__default__accept_dad=0,
                    ipv6__conf__default__accept_ra=0,
                    ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
        host.ip("link set lo up")
        return host

    def plug(self, host: Host, interface: str, bridge: str) -> str:
        """Wires a new interface of a host, still down, to a bridge; returns the bridge's port."""
        port = f"{host.name}-{interface}"
        self.switch.ip(f"link add {port} type veth peer name {interface} netns {host.netns}",
                       f"link set {port} master {bridge} up")
        self._no_offload(self.switch, port)
        self._no_offload(host, interface)
        return port

    @staticmethod
    def _no_offload(host: Host, interface: str):
        # A frame that XDP forwards keeps the checksum that its sender left
        # unfinished, and tags that the sender left to the card: do them here.
        host.run("ethtool", "-K", interface, "tx", "off", "tso", "off", "txvlan", "off")

    def client_and_router(self):
        client, router = self._host("client"), self._host("router")
        client.ip(f"link add eth0 type veth peer name eth0 netns {router.netns}")
        for host in (client, router):
            self._no_offload(host, "eth0")
        client.ip("link set eth0 up",
                  f"addr add {plan.CLIENT_V4}/24 dev eth0",
                  f"addr add {plan.CLIENT_V6}/64 dev eth0 nodad")
        self.plug(router, "eth1", SERVER_BRIDGE)
        self.plug(router, "eth2", FRONT_BRIDGE)
        router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        router.ip("link set eth0 up", "link set eth1 up", "link set eth2 up",
                  f"addr add {plan.ROUTER_CLIENT_V4}/24 dev eth0",
                  f"addr add {plan.ROUTER_CLIENT_V6}/64 dev eth0 nodad",
                  f"addr add {plan.ROUTER_V4}/24 dev eth1",
                  f"addr add {plan.ROUTER_V6}/64 dev eth1 nodad",
                  f"addr add {plan.FRONT_ROUTER_V4}/28 dev eth2",
                  f"addr add {plan.FRONT_ROUTER_V6}/64 dev eth2 nodad")
        client.ip(f"route add default via {plan.ROUTER_CLIENT_V4}",
                  f"route add default via {plan.ROUTER_CLIENT_V6}")

    def director(self, interfaces: int, native: bool, xdp_pass: str):
        """The director's host, with one or two interfaces."""
        director = self._host("director")
        inside = "eth0" if interfaces == 1 else "eth1"
        ports = [self.plug(director, inside, SERVER_BRIDGE)]
        director.ip(f"link set {inside} up",
                    f"addr add {plan.DIRECTOR_V4}/24 dev {inside}",
                    f"addr add {plan.DIRECTOR_V6}/64 dev {inside} nodad")
        if interfaces == 2:
            ports.append(self.plug(director, "eth0", FRONT_BRIDGE))
            director.ip("link set eth0 up",
                        f"addr add {plan.FRONT_DIRECTOR_V4}/28 dev eth0",
                        f"addr add {plan.FRONT_DIRECTOR_V6}/64 dev eth0 nodad",
                        f"route add default via {plan.FRONT_ROUTER_V4}",
                        f"route add default via {plan.FRONT_ROUTER_V6}")
        else:
            director.ip(f"route add default via {plan.ROUTER_V4}",
                        f"route add default via {plan.ROUTER_V6}")
        self.director_ports, self.xdp_pass, self.native = ports, xdp_pass, False
        self.set_native(native)
        self.route_service(plan.SERVICE_V4, interfaces)
        self.route_service(plan.SERVICE_V6, interfaces)

    def set_native(self, native: bool):
        """Puts the program on the switch's ends of the director's wires that native XDP needs
        there, or takes it away: it hands frames on in a queue of 256 only."""
        if native != self.native:
            program = ("obj", self.xdp_pass, "sec", "xdp") if native else ("off",)
            for port in self.director_ports:
                self.switch.run("ip", "link", "set", "dev", port, "xdpdrv", *program)
            self.native = native

    def route_service(self, address: str, interfaces: int):
        """Has the router send a service IP to the director."""
        six = ":" in address
        if interfaces == 2:
            via = plan.FRONT_DIRECTOR_V6 if six else plan.FRONT_DIRECTOR_V4
        else:
            via = plan.DIRECTOR_V6 if six else plan.DIRECTOR_V4
        self.hosts["router"].ip(f"route add {address} via {via}")

    def server(self, name: str, addresses: list, front: bool = False) -> Host:
        """A host on the servers' network with these addresses; front: on the network between
        the router and a director with two interfaces, so behind the router for one with one."""
        host = self._host(name)
        self.plug(host, "eth0", FRONT_BRIDGE if front else SERVER_BRIDGE)
        via = (plan.FRONT_ROUTER_V4, plan.FRONT_ROUTER_V6) if front else (plan.ROUTER_V4,
                                                                         plan.ROUTER_V6)
        host.ip("link set eth0 up",
                *[_add_address(a, "eth0", 28 if front else 24, 64) for a in addresses],
                f"route add default via {via[0]}")
        if any(":" in a for a in addresses):
            host.ip(f"route add default via {via[1]}")
        return host

    def bare(self, name: str, addresses: list) -> Host:
        """A host with nothing but lo, which has these addresses."""
        host = self._host(name)
        host.ip(*[_add_address(a, "lo", 24, 64) for a in addresses])
        return host

    def real_server(self, number: int, service_ips: list) -> Host:
        """Host s<number>, which answers for the service IPs without telling
        its neighbours that it has them."""
        host = self.server(f"s{number}", [plan.server_v4(number), plan.server_v6(number)])
        host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
        host.ip(*[_add_address(a, "lo", 32, 128) for a in service_ips])
        return host


def _add_address(address: str, interface: str, v4_length: int, v6_length: int) -> str:
    if ":" in address:
        return f"addr add {address}/{v6_length} dev {interface} nodad"
    return f"addr add {address}/{v4_length} dev {interface}"
