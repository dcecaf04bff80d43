# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of routes that change, and how soon a change is on the wire as BGP."""

import datetime
import os
import re
import signal
import time

from .network import Host
from .system import stretched, wait_for

DEVICE = "dnsdirector0"  # of the announcements


def moment(stamp: str) -> float:
    """time.time() of a stamp of `ip -ts`, in local time."""
    return datetime.datetime.fromisoformat(stamp).timestamp()


class Wire:
    """Route changes of a host, and packets of BGP that leave it and are more than keepalives."""

    def __init__(self, host: Host, directory: str, sources: tuple):
        stem = os.path.join(directory, f"wire-{time.monotonic_ns()}")
        self.files = {"routes": stem + ".routes", "packets": stem + ".packets"}
        here = " or ".join(f"src host {address}" for address in sources)
        # More than the 19 bytes of a keepalive (RFC 4271, 4.4) behind the TCP header.
        larger = ("((ip and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 19) or "
                  "(ip6 and ip6[4:2] - ((ip6[52] & 0xf0) >> 2) > 19))")
        self.processes = [
            host.start("ip-monitor", ["ip", "-ts", "monitor", "route"], self.files["routes"]),
            host.start("tcpdump", ["tcpdump", "-i", "eth0", "-tt", "-n", "-l", "-U",
                                   "--immediate-mode", f"({here}) and tcp port 179 and {larger}"],
                       self.files["packets"])]
        wait_for("tcpdump", lambda: "listening" in self._text("packets"))

    def _text(self, what: str) -> str:
        if not os.path.exists(self.files[what]):
            return ""
        with open(self.files[what], encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGINT)
            process.wait(stretched(10))
        self.packets = [float(t) for t in re.findall(r"^(\d+\.\d+) ", self._text("packets"), re.M)]

    def changes(self, address: str) -> list:
        """(when, deleted, metric) of the host's routes of our protocol for this address."""
        found = []
        for stamp, deleted, metric in re.findall(
                rf"^\[(\S+?)\] (Deleted )?(?:\S+ )?{re.escape(address)} .*proto 153.*metric (\d+)",
                self._text("routes"), re.M):
            found.append((moment(stamp), bool(deleted), int(metric)))
        return found

    def after(self, begin: float) -> float:
        """Seconds from then to the packet that says it. `ip` stamps a change when it has read it,
        which may be later than a routing daemon has: that counts as 0."""
        return max(0.0, min(t - begin for t in self.packets if t >= begin - 0.03))


class RouteWatch:
    """All that the kernel says of our routes to some addresses in a director's namespace, and of
    the end of their interface (with which IPv4 routes go without a word of their own)."""

    def __init__(self, director, *addresses: str):
        self.host = director.host
        self.log = director.lab.path(director.name, "routes")
        self.addresses = addresses
        self.marks = 0

    def __enter__(self):
        self.monitor = self.host.start(
            "routes", ["ip", "-ts", "monitor", "link", "route"], self.log)
        wait_for("the monitor to see", self._sees)
        return self

    def __exit__(self, *_):
        self.monitor.terminate()
        self.monitor.wait()

    def _lines(self) -> list:
        with open(self.log, encoding="utf-8") as log:
            return log.read().splitlines()

    def _sees(self) -> bool:
        self.marks += 1
        mark = f"198.51.100.{self.marks % 200 + 20}"
        self.host.ip(f"route add {mark} dev lo proto 153", f"route del {mark} dev lo proto 153")
        return any(mark in line for line in self._lines()[-4:])

    def changes(self) -> list:
        """Those so far: a last mark of our own was seen after them."""
        wait_for("the monitor to have seen all", self._sees)
        return [line for line in self._lines() if self._is_end(line) or "proto 153" in line
                and any(address in line for address in self.addresses)]

    def ended(self) -> float:
        """When the interface went, as time.time(), by the kernel's word."""
        lines = [line for line in self.changes() if self._is_end(line)]
        assert len(lines) == 1, lines
        return moment(re.match(r"\[(\S+)\]", lines[0])[1])

    @staticmethod
    def _is_end(line: str) -> bool:
        return f": {DEVICE}" in line and "Deleted" in line
