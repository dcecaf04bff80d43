# SPDX-License-Identifier: Apache-2.0
"""Loads: DNS queries at a steady rate, each accounted for (tools/dnsload.cc)."""

import json
import signal
import subprocess
import time
from dataclasses import dataclass

from . import plan
from .registry import start_time
from .system import SLOWNESS, LabError, stretched


# A load of this rate is a full one: half of what an unhurried machine of today bears
# in the lab without a director. On a slow machine the tests measure that half first.
FULL_RATE = 5000
_full_rate_here = FULL_RATE / SLOWNESS


def set_full_rate_here(rate: float):
    global _full_rate_here
    _full_rate_here = rate


def rate_here(rate: float) -> float:
    """What a rate on a machine of usual speed is on this one: as large a part of the
    full rate, and never more than that where the machine is slow."""
    if SLOWNESS == 1:
        return rate
    return min(rate / FULL_RATE, 1) * _full_rate_here


@dataclass
class Result:
    """What became of a load. Times are milliseconds since its first query."""

    raw: dict

    def __getattr__(self, name):
        try:
            return self.raw[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def failed(self) -> int:
        return self.raw["lost"] + self.raw["wrong"] + self.raw["refused"]

    @property
    def started(self) -> float:
        """time.monotonic() of the first query."""
        return self.raw["started_ns"] / 1e9

    def counts(self) -> dict:
        """Right answers by the name of the server that gave them."""
        return {name: s["right"] for name, s in self.raw["servers"].items()}

    def shares(self) -> dict:
        total = sum(self.counts().values())
        return {name: n / total for name, n in self.counts().items()}

    def spans(self, server: str) -> list:
        """When this server gave right answers: [[first, last], …]; two spans
        mean that it was out in between."""
        return self.raw["servers"].get(server, {"spans": []})["spans"]

    def at(self, monotonic: float) -> float:
        """A time.monotonic() as milliseconds since the first query."""
        return (monotonic - self.started) * 1000

    def __str__(self):
        text = (f"{self.raw['sent']} sent, {self.raw['lost']} lost, {self.raw['wrong']} wrong, "
                f"{self.raw['refused']} refused, rtt p50 {self.raw['rtt_us']['p50']:.0f} us, "
                f"max {self.raw['rtt_us']['max']:.0f} us, by server {self.counts()}")
        for what in ("lost_at", "wrong_at"):
            at = self.raw[what]
            if at:
                text += f"; {what.split('_')[0]} from {at[0]:.0f} to {at[-1]:.0f} ms"
        return text + (f" {self.raw['wrong_kinds']}" if self.raw["wrong_kinds"] else "")


class Load:
    """A load under way. Use as a context manager, or start(), then finish().

    Rate and times are those of a machine of usual speed (rate_here, system.SLOWNESS).
    A count is a count everywhere; a load of so many seconds lasts as long as what the
    test does meanwhile, whose times are stretched too. own_rate: queries a second of
    this very machine, in place of rate. target: one address or several, asked in turn.
    even: each query at its own time, not those due within a millisecond in a burst.
    in_turn: as many queries by each socket, also where a machine that stood still sends late
    ones in a burst: for shares of flows.
    in_flight: so many wait for answers all the time, whatever the rate. zipf: of a name
    with an asterisk so many are asked for, some often and most seldom. kept: so many TCP
    connections carry all of them. again: what waits on one that is closed is asked again.
    """

    def __init__(self, host, tool: str, target=plan.SERVICE_V4, rate: float = 5000,
                 count: int = None, seconds: float = None, expect=(plan.WWW_V4,),
                 names=(plan.WWW_NAME,), timeout_ms: int = 1000, sockets: int = 64,
                 tcp: bool = False, port: int = 53, rdtype: str = "A", own_rate: float = None,
                 even: bool = False, in_turn: bool = False, in_flight: int = None, zipf: int = None,
                 kept: int = None, again: bool = False):
        self.host = host
        self.rate = rate = own_rate or rate_here(rate)
        self.count = count if count is not None else int(rate * stretched(seconds))
        self.timeout_ms = timeout_ms = round(stretched(timeout_ms))
        self.argv = [tool, "--port", port, "--rate", rate,
                     "--count", self.count, "--timeout", timeout_ms, "--sockets", sockets,
                     "--gap", round(stretched(50)),
                     "--type", rdtype]
        for address in [target] if isinstance(target, str) else target:
            self.argv += ["--target", address]
        for name in names:
            self.argv += ["--name", name]
        for address in expect:
            self.argv += ["--expect", address]
        if tcp:
            self.argv.append("--tcp")
        if even:
            self.argv.append("--even")
        if in_turn:
            self.argv.append("--in-turn")
        if in_flight:
            self.argv += ["--in-flight", in_flight]
        if zipf:
            self.argv += ["--zipf", zipf]
        if kept:
            self.argv += ["--kept", kept]
        if again:
            self.argv.append("--again")
        self.result = None
        self.process = None

    def start(self) -> "Load":
        self.begun = time.monotonic()
        self.process = subprocess.Popen(self.host.argv(*self.argv), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.host.registry.add("process", what="dnsload", pid=self.process.pid,
                               start=start_time(self.process.pid))
        return self

    def sleep_until(self, seconds: float):
        """Waits until so many seconds of the load have passed."""
        time.sleep(max(0.0, self.begun + stretched(seconds) - time.monotonic()))

    @staticmethod
    def sleep(seconds: float):
        """Lets it go on for so long."""
        time.sleep(stretched(seconds))

    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> "Load":
        """Has it send no more; finish() accounts for what was sent."""
        self.process.send_signal(signal.SIGINT)
        return self

    def finish(self) -> Result:
        """Waits for the end and returns what became of the queries."""
        if self.result is None:
            limit = self.count / self.rate + self.timeout_ms / 1000 + stretched(30)
            output, errors = self.process.communicate(timeout=limit)
            if self.process.returncode != 0:
                raise LabError(f"dnsload failed ({self.process.returncode}): {errors}")
            self.result = Result(json.loads(output))
        return self.result

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.finish()
        elif self.running():
            self.process.kill()
            self.process.wait(stretched(5))
