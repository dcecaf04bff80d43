# SPDX-License-Identifier: Apache-2.0
"""What the kernel says of routes that change, and how soon a change is on the wire as BGP."""

import datetime
import math
import os
import re
import time

from .network import Host
from .system import stretched, wait_for

DEVICE = "dnsdirector0"  # of the announcements
LATE_STAMP = stretched(0.1)  # by so much, in seconds, `ip` may be kept from reading a change


def moment(stamp: str) -> float:
    """time.time() of a stamp of `ip -ts`, in local time."""
    return datetime.datetime.fromisoformat(stamp).timestamp()


class Monitor:
    """`ip monitor` of a host, its stamps into a file. What it has seen shows in a mark of our own:
    a route that comes and goes at once."""

    def __init__(self, host: Host, log: str, *what: str):
        self.host, self.log = host, log
        self.marks = 0
        self.process = host.start("ip-monitor", ["ip", "-ts", "monitor", *what], log)
        self.wait_seen()

    def wait_seen(self):
        """Until it has written all that happened before."""
        wait_for("the monitor to have seen all", self._sees)

    def _sees(self) -> bool:
        self.marks += 1
        mark = f"198.51.100.{self.marks % 200 + 20}"
        self.host.ip(f"route add {mark} dev lo proto 153", f"route del {mark} dev lo proto 153")
        return any(mark in line for line in self.lines()[-4:])

    def lines(self) -> list:
        with open(self.log, encoding="utf-8") as log:
            return log.read().splitlines()

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Wire:
    """Route changes of a host, and packets of BGP that leave it and are more than keepalives."""

    def __init__(self, host: Host, directory: str, sources: tuple):
        stem = os.path.join(directory, f"wire-{time.monotonic_ns()}")
        self.file = stem + ".packets"
        here = " or ".join(f"src host {address}" for address in sources)
        # More than the 19 bytes of a keepalive (RFC 4271, 4.4) behind the TCP header.
        larger = ("((ip and ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 19) or "
                  "(ip6 and ip6[4:2] - ((ip6[52] & 0xf0) >> 2) > 19))")
        self.tcpdump = host.start("tcpdump", [
            "tcpdump", "-i", "eth0", "-tt", "-n", "-l", "-U", "--immediate-mode",
            f"({here}) and tcp port 179 and {larger}"], self.file)
        wait_for("tcpdump", lambda: "listening" in self._text())
        self.monitor = Monitor(host, stem + ".routes", "route")

    def _text(self) -> str:
        with open(self.file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        self.monitor.wait_seen()
        self.monitor.stop()
        self.tcpdump.terminate()
        self.tcpdump.wait(stretched(10))
        self.packets = [float(t) for t in re.findall(r"^(\d+\.\d+) ", self._text(), re.M)]

    def changes(self, address: str) -> list:
        """(when, deleted, metric) of the host's routes of our protocol for this address."""
        found = re.findall(
            rf"^\[(\S+?)\] (Deleted )?(?:\S+ )?{re.escape(address)} .*proto 153.*metric (\d+)",
            "\n".join(self.monitor.lines()), re.M)
        return [(moment(stamp), bool(deleted), int(metric)) for stamp, deleted, metric in found]

    def after(self, begin: float) -> float:
        """Seconds from then to the packet that says it. `ip` stamps a change when it has read it,
        which may be later than a routing daemon has, and by much where it was not let run: that
        counts as 0."""
        delays = [t - begin for t in self.packets]
        next_one = min((d for d in delays if d >= -0.03), default=math.inf)
        if next_one > LATE_STAMP and any(-LATE_STAMP <= d < -0.03 for d in delays):
            return 0.0
        assert next_one < math.inf, (begin, self.packets)
        return max(0.0, next_one)


class RouteWatch:
    """All that the kernel says of our routes to some addresses in a director's namespace, and of
    the end of their interface (with which IPv4 routes go without a word of their own)."""

    def __init__(self, director, *addresses: str):
        self.host = director.host
        self.log = director.lab.path(director.name, "routes")
        self.addresses = addresses

    def __enter__(self):
        self.monitor = Monitor(self.host, self.log, "link", "route")
        return self

    def __exit__(self, *_):
        self.monitor.stop()

    def changes(self) -> list:
        """Those so far: a last mark of our own was seen after them."""
        self.monitor.wait_seen()
        return [line for line in self.monitor.lines() if self._is_end(line) or "proto 153" in line
                and any(address in line for address in self.addresses)]

    def ended(self) -> float:
        """When the interface went, as time.time(), by the kernel's word."""
        lines = [line for line in self.changes() if self._is_end(line)]
        assert len(lines) == 1, lines
        return moment(re.match(r"\[(\S+)\]", lines[0])[1])

    @staticmethod
    def _is_end(line: str) -> bool:
        return f": {DEVICE}" in line and "Deleted" in line
