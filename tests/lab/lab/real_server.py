# SPDX-License-Identifier: Apache-2.0
"""A machine that `dnsdirector realserver` makes a real server, and everybody around it.

    neighbour eth0 ── 203.0.113.0/24, 2001:db8:1::/64 ── eth0 server   replies to clients
              eth1 ── 192.0.2.240/28 ──────────────────── eth1         questions, strict filter
              eth2 ── no address of the server's ─────── eth2

The neighbour is every director, router and host that the server could hear or tell of: what it
sends is made by hand, frame by frame, and what comes to it is kept for the whole test.
"""

import json
import os
import socket
import subprocess

from scapy.layers.l2 import Ether

from . import plan
from .director import binary
from .network import FRONT_BRIDGE, SERVER_BRIDGE, Network
from .registry import Registered
from .system import run, wait_for
from .tools import Tools

SERVER_V4, SERVER_V6 = plan.server_v4(1), plan.server_v6(1)
SECOND_V4 = "192.0.2.241"
INTERFACES = ("eth0", "eth1", "eth2")
BARE_BRIDGE = "br2"


class Ear:
    """Every frame that comes to these interfaces of a host from now on."""

    def __init__(self, host, interfaces=INTERFACES):
        self.sockets = host.call(lambda: {name: _listen(name) for name in interfaces})
        self.heard = []

    def frames(self) -> list:
        """[(interface, packet)] since the beginning."""
        for name, packets in self.sockets.items():
            while True:
                try:
                    frame, where = packets.recvfrom(65536)
                except BlockingIOError:
                    break
                if where[2] != socket.PACKET_OUTGOING:
                    self.heard.append((name, Ether(frame)))
        return self.heard

    def close(self):
        for packets in self.sockets.values():
            packets.close()


def _listen(interface: str) -> socket.socket:
    every_protocol = 3  # ETH_P_ALL
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(every_protocol))
    packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    packets.bind((interface, 0))
    packets.setblocking(False)
    return packets


class RealServerLab(Registered):
    def _make(self):
        self.tools = Tools(os.path.join(self.directory, "tools"))
        self.network = Network(self.registry, self.registry.lab["id"])
        self.network.switch.ip(f"link add {BARE_BRIDGE} type bridge stp_state 0 mcast_snooping 0",
                               f"link set {BARE_BRIDGE} up")
        self.server = self.network.server("server", [SERVER_V4, SERVER_V6])
        self.neighbour = self.network.bare("neighbour", [])
        self.network.plug(self.neighbour, "eth0", SERVER_BRIDGE)
        self.neighbour.ip("link set eth0 up", f"addr add {plan.ROUTER_V4}/24 dev eth0",
                          f"addr add {plan.ROUTER_V6}/64 dev eth0 nodad")
        for host in (self.server, self.neighbour):
            self.network.plug(host, "eth1", FRONT_BRIDGE)
            self.network.plug(host, "eth2", BARE_BRIDGE)
            host.ip("link set eth1 up", "link set eth2 up")
        self.server.ip(f"addr add {SECOND_V4}/28 dev eth1")
        # Nobody but who is asked by hand answers for anything.
        self.neighbour.sysctl(ipv4__conf__all__arp_ignore=1)
        self.server.sysctl(ipv4__conf__eth1__rp_filter=1)
        # The kernel adds a link-local address, and its routes, when nobody has said that it is
        # theirs (RFC 4862, 5.4): what comes later would look like a change of `up`.
        wait_for("the link-local addresses", self._are_settled)
        self.macs = {host.name: self._macs(host) for host in (self.server, self.neighbour)}
        self.tools.path("dnsanswer")
        self.tools.stop()

    def _are_settled(self) -> bool:
        shown = run("ip", "-n", self.server.netns, "-6", "-o", "address", "show", "scope",
                    "link").stdout.splitlines()
        return len(shown) >= len(INTERFACES) and not any("tentative" in line for line in shown)

    @staticmethod
    def _macs(host) -> dict:
        links = json.loads(run("ip", "-n", host.netns, "-j", "link").stdout)
        return {link["ifname"]: link["address"] for link in links}

    @property
    def run_dir(self) -> str:
        return os.path.join(self.directory, "run")

    def configuration(self, text: str) -> str:
        path = os.path.join(self.directory, "realserver.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def argv(self, command: str, *more) -> list:
        options = ["--run-dir", self.run_dir]
        if command in ("up", "check"):
            options += ["-f", os.path.join(self.directory, "realserver.conf")]
        return self.server.argv(binary(), "realserver", command, *options, *more)

    def command(self, command: str, *more, status: int = 0) -> subprocess.CompletedProcess:
        done = run(*self.argv(command, *more), check=False)
        assert done.returncode == status, (done.args, done.stdout, done.stderr)
        return done

    def send(self, interface: str, frame: bytes):
        """A frame from the neighbour."""
        def send():
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
                packets.bind((interface, 0))
                packets.send(frame)
        self.neighbour.call(send)

    def picture(self) -> dict:
        """All of the server that `up` may change, to the letter."""
        wait_for("the routes of lo's addresses", self._routes_are_there)
        shown = {what: run("ip", "-n", self.server.netns, *what.split()).stdout
                 for what in ("-d address", "route show table all", "-6 route show table all",
                              "rule", "-6 rule")}
        shown["nft"] = self.server.run("nft", "list", "ruleset").stdout
        shown.update(self.server.call(_settings))
        return shown

    def _routes_are_there(self) -> bool:
        """A worker of the kernel's adds that of an IPv6 address, after whoever added this has gone
        on."""
        def shown(*what):
            return json.loads(run("ip", "-n", self.server.netns, "-j", "-6", *what).stdout)
        held = {a["local"] for link in shown("address", "show", "dev", "lo")
                for a in link.get("addr_info", ())}
        return held <= {route["dst"] for route in shown("route", "show", "table", "local")}


def _settings() -> dict:
    found = {}
    for family in ("ipv4", "ipv6"):
        for part in ("conf", "neigh"):
            for directory, _, files in os.walk(f"/proc/sys/net/{family}/{part}"):
                for name in files:
                    path = os.path.join(directory, name)
                    try:
                        with open(path, encoding="ascii") as file:
                            found[path] = file.read()
                    except OSError as error:  # stable_secret, where none is set
                        found[path] = str(error.errno)
    return found
