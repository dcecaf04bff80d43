# SPDX-License-Identifier: Apache-2.0
"""Loads on one way to the servers: what a query costs at a steady rate, and the rate that
is still borne. All by tests/lab/tools/dnsload.cc."""

import math
import time
from dataclasses import dataclass

import cpu
from lab import LabError

# What is not answered within so long counts as lost while the highest rate is looked for:
# a queue that grows is no bearing.
LATEST_MS = 100
MOST_LOST = 0.001
STEP = 1.07  # from one rate to the next
IDLE_SECONDS = 0.4


@dataclass
class Kind:
    """A transport. lowest: rate where the search for what is borne begins; even: how the
    queries of the steady load are sent (dnsload --even)."""

    tcp: bool
    lowest: float
    even: bool = True


KINDS = {"udp": Kind(False, 4000), "udp-bursts": Kind(False, 4000, even=False),
         "tcp": Kind(True, 500)}


class Calm:
    """Waits for others to use less than `most` of a processor, and has what they disturbed
    done again, for `patience` seconds in all."""

    def __init__(self, most: float, patience: float):
        self.most, self.patience = most, patience
        self.repeated = 0

    def wait(self) -> float:
        """What the machine uses, as a share of one processor, when it is calm or patience ends."""
        while True:
            seen = cpu.idle(IDLE_SECONDS)
            if seen <= self.most or self.patience <= 0:
                return seen
            self.patience -= IDLE_SECONDS

    def sample(self, measure) -> dict:
        """measure(idle share) when nobody disturbs it, or as it is when patience has ended."""
        while True:
            idle = self.wait()
            begun = time.monotonic()
            found = {**measure(idle), "idle_share_of_one_cpu": idle}
            if found["foreign_share_of_one_cpu"] <= self.most or self.patience <= 0:
                return found
            self.patience -= time.monotonic() - begun
            self.repeated += 1


def paced(lab, entered, kind: Kind, rate: float, seconds: float, idle: float) -> dict:
    """A steady rate that nobody has trouble with: what does a query cost? idle: what the
    machine uses without it, as a share of one processor."""
    meter = _meter(lab, entered)
    result = lab.load(entered.targets, own_rate=rate, count=int(rate * seconds),
                      tcp=kind.tcp, even=kind.even).start().finish()
    used = meter.usage()
    if result.right < 0.5 * result.sent:
        raise LabError(f"too few right answers from {' and '.join(entered.targets)}: {result}")
    per_query = 1e6 / result.right
    parts = {**used.groups, "client": used.children}
    return {
        "queries": result.sent, "right": result.right, "failed": result.failed,
        "foreign_share_of_one_cpu": used.foreign / used.seconds,
        "machine_us": (used.machine - idle * used.seconds) * per_query,
        "processes_us": sum(parts.values()) * per_query,
        "parts_us": {name: seconds * per_query for name, seconds in parts.items()},
        "rtt_us": result.rtt_us, "by_server": result.counts()}


def borne(lab, entered, kind: Kind, seconds: float) -> dict:
    """The highest rate at which at most MOST_LOST of the queries have no right answer within
    LATEST_MS, by bisection over steps of STEP. A step fails that fails twice."""
    steps = [kind.lowest * STEP ** n for n in range(math.ceil(math.log(20, STEP)))]
    tried = []
    meter = _meter(lab, entered)

    def bears(rate: float) -> bool:
        result = lab.load(entered.targets, own_rate=rate, count=int(rate * seconds),
                          tcp=kind.tcp, even=True, timeout_ms=LATEST_MS).start().finish()
        on_time = result.sending_ms <= 1.03 * 1000 * seconds
        tried.append([rate, result.failed / result.sent, on_time])
        return on_time and result.failed <= MOST_LOST * result.sent

    low, high = -1, len(steps)  # low is borne, high is not
    while high - low > 1:
        middle = (low + high) // 2
        if bears(steps[middle]) or bears(steps[middle]):
            low = middle
        else:
            high = middle
    used = meter.usage()
    return {"rate": steps[low] if low >= 0 else 0.0, "tried": tried,
            "foreign_share_of_one_cpu": used.foreign / used.seconds}


def _meter(lab, entered) -> cpu.Meter:
    return cpu.Meter({"balancer": entered.balancer,
                      "servers": [s.process.pid for s in lab.servers.values()]})
