# SPDX-License-Identifier: Apache-2.0
"""A machine with two DNS processes behind two interfaces that have one MAC.

    client ── eth0 router eth1 ── eth1 machine     BIND, named one
                     │    eth2 ── eth2    │        Unbound, named two
                     └──── eth3 ── eth0 ──┘        replies

Where there is 8021q (the virtual machine), the wires of eth1 and eth2 are VLANs 105 and 109 of one
wire instead: eth1.105 and eth1.109, and their MAC is eth1's.

The router plays the director: by which interface it sends a packet for the service IP decides
who answers it. Its way to the client takes no more than 1,280 bytes, while both ends believe in
1,500. Translation is by the rules of `dnsdirector realserver rules`, and nothing else runs.
"""

import json
import os
import struct

import dns.exception
import dns.message
import dns.query
import dns.rcode

from . import plan
from .daemons import Daemon
from .director import binary
from .network import Network
from .registry import Registered
from .system import stretched

SECOND_V4, SECOND_V6 = "192.0.2.54", "2001:db8::54"
SERVICES = (plan.SERVICE_V4, plan.SERVICE_V6)
MAC = "02:00:5e:00:53:01"
NARROW = 1280
VLANS = {"eth1": 105, "eth2": 109}
# By name: the interface (without VLANs), where it listens, the router's addresses on that wire.
PLACES = {
    "one": ("eth1", ("203.0.113.98", "2001:db8:1:1::98"), 53,
            ("203.0.113.97", "2001:db8:1:1::97"), (28, 64)),
    "two": ("eth2", ("203.0.113.114", "2001:db8:1:2::114"), 5302,
            ("203.0.113.113", "2001:db8:1:2::113"), (28, 64)),
}
UPLINK = (("203.0.113.30", "2001:db8:1:3::30"), ("203.0.113.25", "2001:db8:1:3::25"), (29, 64))

CONFIG = """\
realserver {{
    service_ip {services}
    process one {{ input {one}; listen 203.0.113.98 2001:db8:1:1::98; from 198.51.100.0/25 }}
    process two {{ input {two}; listen 203.0.113.114:5302 [2001:db8:1:2::114]:5302 }}
}}
"""
# Another table that has connection tracking at work, as a firewall's.
FIREWALL = """\
table inet firewall {
    chain input {
        type filter hook input priority filter; policy accept;
        ct state invalid counter drop
    }
}
"""
# What is there without dnsdirector: translation by connection tracking.
DNAT = """\
table inet tracked {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        iifname {one} ip daddr 192.0.2.53 udp dport 53 dnat ip to 203.0.113.98
        iifname {two} ip daddr 192.0.2.53 udp dport 53 dnat ip to 203.0.113.114:5302
    }}
}}
"""

LARGE, HUGE = "large.example.com", "huge.example.com"  # answers of 3 kB and of 60 kB
_TEXTS = {LARGE: 12, HUGE: 225}


def _records(origin_form):
    for name, count in _TEXTS.items():
        for number in range(count):
            yield origin_form(name, f"{number:04}" + "x" * 246)


class OwnBind(Daemon):
    """named with example.com, which takes updates from anybody."""

    program = "named"

    def __init__(self, host, directory, name, addresses, port):
        super().__init__(host, directory, name, addresses)
        self.port = port

    def configure(self):
        v4, v6 = self.addresses
        big = "\n".join(_records(lambda name, text: f'{name}. 60 TXT "{text}"'))
        self.file("zone", f"$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\n"
                          f"ns A {v4}\nwho TXT {self.name}\n{big}\n")
        self.file("named.conf", f"""\
controls {{ }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none;
  listen-on port {self.port} {{ {v4}; }}; listen-on-v6 port {self.port} {{ {v6}; }};
  recursion no; allow-query {{ any; }}; max-udp-size 4096; minimal-responses yes;
  dnssec-validation no; max-records-per-type 0;
}};
zone "example.com" {{ type primary; file "zone"; allow-update {{ any; }}; }};
""")

    def argv(self):
        return [self._program(), "-g", "-n", "1", "-c", self.file("named.conf")]

    def _answers(self) -> bool:
        try:
            return self.host.call(ask_who, self.addresses[0], self.port) == self.name
        except dns.exception.DNSException as error:
            raise OSError(f"{self.name}: {type(error).__name__}") from error


class OwnUnbound(OwnBind):
    """unbound with the same names as local data."""

    program = "unbound"

    def configure(self):
        v4, v6 = self.addresses
        big = "\n".join(_records(lambda name, text: f"  local-data: '{name}. 60 TXT \"{text}\"'"))
        self.file("unbound.conf", f"""\
server:
  username: ""
  chroot: ""
  directory: "{self.directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  port: {self.port}
  interface: {v4}
  interface: {v6}
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  module-config: "iterator"
  num-threads: 1
  so-rcvbuf: 4m
  max-udp-size: 4096
  local-zone: "example.com." static
  local-data: "who.example.com. 60 TXT {self.name}"
{big}
remote-control:
  control-enable: no
""")

    def argv(self):
        return [self._program(), "-d", "-p", "-c", self.file("unbound.conf")]


def ask_who(address: str, port: int = 53, tcp: bool = False, timeout: float = 1.0,
            source: str = None) -> str:
    """The name of the process that answers; OSError without an answer of it. dnspython takes
    answers from where it asked only."""
    send = dns.query.tcp if tcp else dns.query.udp
    try:
        reply = send(dns.message.make_query("who.example.com", "TXT"), address, port=port,
                     timeout=stretched(timeout), source=source)
    except dns.exception.Timeout as error:
        raise TimeoutError(f"{address}: no answer within {timeout:g} s") from error
    if not reply.answer:
        raise OSError(f"{address}: {dns.rcode.to_text(reply.rcode())}")
    return reply.answer[0][0].strings[0].decode()


class Machine(Registered):
    """The lab of this page."""

    def __init__(self, services=SERVICES, vlans=False):
        self.services, self.vlans = services, vlans
        self.interfaces = {name: f"eth1.{VLANS[place[0]]}" if vlans else place[0]
                           for name, place in PLACES.items()}

    def _make(self):
        # Its switch stays without ports.
        network = Network(self.registry, self.registry.lab["id"])
        self.client, self.router, self.host = (
            network.bare(name, []) for name in ("client", "router", "machine"))
        self.router.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
        self._wire(self.client, "eth0", "eth0", (plan.CLIENT_V4, plan.CLIENT_V6),
                   (plan.ROUTER_CLIENT_V4, plan.ROUTER_CLIENT_V6), (24, 64))
        self._wire(self.host, "eth0", "eth3", *UPLINK)
        if self.vlans:
            self._wire(self.host, "eth1", "eth1", (), (), (), MAC)
        for name, (_, own, _, others, lengths) in PLACES.items():
            self._wire(self.host, self.interfaces[name], self.interfaces[name], own, others,
                       lengths, MAC)
        self.router.ip(f"route replace 198.51.100.0/24 dev eth0 mtu lock {NARROW}",
                       f"route replace 2001:db8:c::/64 dev eth0 metric 256 mtu lock {NARROW}")
        for host, (v4, v6) in ((self.client, (plan.ROUTER_CLIENT_V4, plan.ROUTER_CLIENT_V6)),
                               (self.host, UPLINK[1])):
            host.ip(f"route add default via {v4}", f"route add default via {v6}")
        self.host.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
        self.host.ip(*[f"addr add {a}/{128 if ':' in a else 32} dev lo" for a in self.services])
        self.processes = {
            name: make(self.host, self.directory, name, list(PLACES[name][1]),
                       PLACES[name][2])
            for name, make in (("one", OwnBind), ("two", OwnUnbound))}
        for process in self.processes.values():
            process.start()
        self.config = os.path.join(self.directory, "realserver.conf")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(services=" ".join(self.services), **self.interfaces))
        self.install()
        self.lead_to("one")

    def _wire(self, host, interface, at_router, own, others, lengths, mac=None):
        if "." in interface:
            for side in (self.router, host):
                side.ip(f"link add link eth1 name {interface} type vlan id "
                        + interface.split(".")[1])
        else:
            self.router.ip(f"link add {at_router} type veth peer name {interface} "
                           + (f"address {mac} " if mac else "") + f"netns {host.netns}")
        for side, name, addresses in ((self.router, at_router, others), (host, interface, own)):
            # So that what a test captures or counts is what is on a wire.
            side.run("ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", "gro", "off",
                     check="." not in name)
            side.ip(f"link set {name} up",
                    *[f"addr add {address}/{length} dev {name}"
                      + (" nodad" if ":" in address else "")
                      for address, length in zip(addresses, lengths)])

    def rules(self, config: str = None) -> str:
        """What nft is told for a configuration; None: this lab's."""
        path = self.config
        if config is not None:
            path = os.path.join(self.directory, "another.conf")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config)
        return self.host.run(binary(), "realserver", "rules", "-f", path).stdout

    def install(self):
        self.nft(self.rules())

    def nft(self, text: str):
        self.host.run("nft", "-f", "-", input=text)

    def lead_to(self, name: str):
        """What the director does when it sends packets to this real server."""
        own, interface = PLACES[name][1], self.interfaces[name]
        self.router.ip(*[f"route replace {service} via {own[1 if ':' in service else 0]} "
                         f"dev {interface}" for service in self.services])

    def ask(self, *args, **options) -> str:
        return self.client.call(ask_who, *args, **options)

    def counters(self) -> dict:
        """Packets by name of the counter, as nft tells them."""
        listing = objects_in(self.host.run("nft", "-j", "list", "counters", "table", "inet",
                                        "dnsdirector_realserver").stdout)
        return {c["counter"]["name"]: c["counter"]["packets"] for c in listing
                if "counter" in c}

    def tracked(self) -> int:
        """Connections that connection tracking knows of on the machine."""
        def read():
            with open("/proc/sys/net/netfilter/nf_conntrack_count", encoding="ascii") as count:
                return int(count.read())
        return self.host.call(read)

    def remembered(self, name: str) -> list:
        """The elements of one of the table's sets."""
        listing = objects_in(self.host.run("nft", "-j", "list", "set", "inet",
                                        "dnsdirector_realserver", name).stdout)
        return next(o["set"] for o in listing if "set" in o).get("elem", [])


def objects_in(listing: str) -> list:
    """What `nft -j list …` printed."""
    return json.loads(listing)["nftables"]


def question(identifier: int, name: str = "who.example.com", rdtype: str = "TXT") -> bytes:
    wire = dns.message.make_query(name, rdtype).to_wire()
    return struct.pack("!H", identifier) + wire[2:]

