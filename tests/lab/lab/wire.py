# SPDX-License-Identifier: Apache-2.0
"""How soon a change of a kernel route is on the wire as BGP: both as the kernel and tcpdump stamp
them, in one clock."""

import datetime
import os
import re
import signal
import time

from .network import Host
from .system import stretched, wait_for


class Wire:
    """Route changes of a host, and packets of BGP that leave it and are more than keepalives."""

    def __init__(self, host: Host, directory: str, sources: tuple):
        stem = os.path.join(directory, f"wire-{time.monotonic_ns()}")
        self.files = {"routes": stem + ".routes", "packets": stem + ".packets"}
        here = " or ".join(f"src host {address}" for address in sources)
        # A keepalive's frame has 85 bytes over IPv4, and 105 over IPv6, with no TCP options;
        # with timestamps 97 and 117.
        larger = ("((ip and tcp port 179 and greater 98) or (ip6 and tcp port 179 and greater 118))")
        self.processes = [
            host.start("ip-monitor", ["ip", "-ts", "monitor", "route"], self.files["routes"]),
            host.start("tcpdump", ["tcpdump", "-i", "eth0", "-tt", "-n", "-l", "-U",
                                   "--immediate-mode", f"({here}) and {larger}"],
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
            when = datetime.datetime.fromisoformat(stamp).timestamp()
            found.append((when, bool(deleted), int(metric)))
        return found

    def after(self, moment: float) -> float:
        """Seconds from then to the first packet; None where there was none."""
        return min((t - moment for t in self.packets if t >= moment), default=None)
