# SPDX-License-Identifier: Apache-2.0
"""A real server with two interfaces, and a client whose packets for the service IP come to it by
its MAC, as the director would send them.

    client eth0 ── 203.0.113.0/26, 2001:db8:1::/64 ─── eth1.105 server
           eth1 ── 203.0.113.64/26, 2001:db8:2::/64 ── eth1.109

The interfaces are named as the VLANs of docs/realserver_servers.md, and are plain ones.
"""

import json
import os
import socket
import struct

import dns.exception
import dns.message
import dns.query

from . import plan
from .director import binary
from .network import FRONT_BRIDGE, SERVER_BRIDGE, Network
from .registry import Registered
from .system import run, stretched

# The server's interfaces: its addresses there and the client's.
INPUTS = {"eth1.105": (("203.0.113.11", "2001:db8:1::11"), ("203.0.113.62", "2001:db8:1::fe")),
          "eth1.109": (("203.0.113.75", "2001:db8:2::11"), ("203.0.113.126", "2001:db8:2::fe"))}
SERVICE = (plan.SERVICE_V4, plan.SERVICE_V6)
CLIENT = (plan.CLIENT_V4, plan.CLIENT_V6)
# On the client's host, too, and in nobody's access list.
OUTSIDERS = ("192.0.2.200", "2001:db8:bad::1")
LENGTHS = (26, 64)


class ServedLab(Registered):
    def _make(self):
        network = Network(self.registry, self.registry.lab["id"])
        self.server = network.bare("server", [])
        self.client = network.bare("client", [*CLIENT, *OUTSIDERS])
        for (name, (own, others)), outside, bridge in zip(INPUTS.items(), ("eth0", "eth1"),
                                                          (SERVER_BRIDGE, FRONT_BRIDGE)):
            for host, interface, addresses in ((self.server, name, own),
                                               (self.client, outside, others)):
                network.plug(host, interface, bridge)
                host.ip(f"link set {interface} up",
                        *[f"addr add {a}/{length} dev {interface} nodad"
                          for a, length in zip(addresses, LENGTHS)])
        self.server.ip(*[f"route add default via {a}" for a in INPUTS["eth1.105"][1]])
        links = json.loads(self.server.run("ip", "-j", "link", "show", "eth1.105").stdout)
        self.mac = links[0]["address"]
        self.lead_to("eth1.105")

    def lead_to(self, interface: str):
        """Sends the client's packets for the service IPs to this interface."""
        self.client.ip(*[f"route replace {service} via {via} src {source}" for service, via, source
                         in zip(SERVICE, INPUTS[interface][0], CLIENT)])

    def real_server(self, command: str, configuration: str = None) -> str:
        """`dnsdirector realserver up` or `down`; returns what it said."""
        options = ["--run-dir", os.path.join(self.directory, "run")]
        if command == "up":
            options += ["-f", configuration]
        return run(*self.server.argv(binary(), "realserver", command, *options)).stdout

    def ask(self, address: str, name: str = plan.WWW_NAME, rdtype: str = "A", tcp: bool = False,
            timeout: float = 2.0, source: str = None, **options) -> dns.message.Message:
        """dnspython takes an answer only from the address and port that it asked."""
        query = dns.message.make_query(name, rdtype, **options)
        try:
            return self.client.call(dns.query.tcp if tcp else dns.query.udp, query, address,
                                    timeout=stretched(timeout),
                                    source=source or CLIENT[":" in address])
        except dns.exception.DNSException as error:
            raise OSError(f"{address}: {type(error).__name__}: {error}") from error

    def source_of_answer(self, address: str, timeout: float = 2.0) -> str:
        """Where the answer to a UDP question comes from, whoever that is."""
        query = dns.message.make_query(plan.WWW_NAME, "A")

        def ask():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as asker:
                asker.settimeout(stretched(timeout))
                asker.bind((CLIENT[":" in address], 0))
                asker.sendto(query.to_wire(), (address, 53))
                while True:
                    answer, sender = asker.recvfrom(65535)
                    if struct.unpack("!H", answer[:2])[0] == query.id:
                        return sender[0]
        return self.client.call(ask)
