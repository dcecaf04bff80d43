# SPDX-License-Identifier: Apache-2.0
"""Loads on one way to the servers: what a query costs at a steady rate, and the rate that
is still borne. All by tests/lab/tools/dnsload.cc."""

import math
import os
import time
from dataclasses import dataclass

import cpu
from alone import PROCESSORS
from lab import LabError

# What is not answered within so long counts as lost while the highest rate is looked for:
# a queue that grows is no bearing.
LATEST_MS = 100
MOST_LOST = 0.001
STEP = 1.07  # from one rate to the next


@dataclass
class Kind:
    """A transport. lowest: rate where the search for what is borne begins; even: how the
    queries of the steady load are sent (dnsload --even); in_flight: as fast as answers come,
    so many waiting, which keeps the processors full; kept: TCP connections that stay."""

    tcp: bool
    lowest: float
    even: bool = True
    in_flight: int = 0
    kept: int = 0


KINDS = {"udp": Kind(False, 4000), "udp-bursts": Kind(False, 4000, even=False),
         "tcp": Kind(True, 500),
         "tcp-kept": Kind(True, 500, kept=64),
         "udp-full": Kind(False, 4000, False, 512), "tcp-full": Kind(True, 500, False, 64),
         "tcp-kept-full": Kind(True, 500, False, 512, 64)}
# No load of so many seconds has more queries than this a second.
MOST_RATE = 200_000


def place(lab):
    """Gives each server a processor, in turn; the client has the first, balancers all. Left to
    the scheduler, who runs beside whom differs from load to load, and with it what it costs."""
    for number, server in enumerate(lab.servers.values()):
        for task in os.listdir(f"/proc/{server.process.pid}/task"):
            os.sched_setaffinity(int(task), {PROCESSORS[number % len(PROCESSORS)]})


def paced(lab, entered, kind: Kind, rate: float, seconds: float) -> dict:
    """A steady rate that nobody has trouble with: what does a query cost?"""
    result, used = _measured(lab, entered, kind, rate, seconds)
    if result.right < 0.5 * result.sent:
        raise LabError(f"too few right answers from {' and '.join(entered.targets)}: {result}")
    foreign, spun = used.foreign / used.seconds, used.groups.pop("spinners")
    per_query = 1e6 / result.right
    parts = {**used.groups, "client": used.children}
    return {
        "queries": result.sent, "right": result.right, "failed": result.failed,
        "foreign_share_of_one_cpu": foreign,
        "machine_us": (used.machine - spun) * per_query,
        "processes_us": sum(parts.values()) * per_query,
        "parts_us": {name: seconds * per_query for name, seconds in parts.items()},
        "rate": result.right / (result.sending_ms / 1000),
        "rtt_us": result.rtt_us, "by_server": result.counts()}


def _measured(lab, entered, kind: Kind, rate: float, seconds: float, **options) -> tuple:
    """(what became of a load, processor time that was used meanwhile)."""
    count = int((MOST_RATE if kind.in_flight else rate) * seconds)
    load = lab.load(entered.targets, own_rate=rate, count=count, tcp=kind.tcp,
                    **{"even": kind.even, "in_flight": kind.in_flight, "kept": kind.kept,
                       **options})
    with entered.quiet() as spinners:
        meter = cpu.Meter({"balancer": entered.balancer, "spinners": spinners,
                           "servers": [s.process.pid for s in lab.servers.values()]})
        load.start()
        os.sched_setaffinity(load.process.pid, PROCESSORS[:1])
        if kind.in_flight:
            time.sleep(seconds)
            load.stop()
        result = load.finish()
        used = meter.usage()
    return result, used


def borne(lab, entered, kind: Kind, seconds: float) -> dict:
    """The highest rate at which at most MOST_LOST of the queries have no right answer within
    LATEST_MS, by bisection over steps of STEP. A step fails that fails twice."""
    steps = [kind.lowest * STEP ** n for n in range(math.ceil(math.log(60, STEP)))]
    tried, foreign = [], []

    def bears(rate: float) -> bool:
        result, used = _measured(lab, entered, kind, rate, seconds, even=True,
                                 timeout_ms=LATEST_MS)
        on_time = result.sending_ms <= 1.03 * 1000 * seconds
        tried.append([rate, result.failed / result.sent, on_time])
        foreign.append(used.foreign / used.seconds)
        return on_time and result.failed <= MOST_LOST * result.sent

    low, high = -1, len(steps)  # low is borne, high is not
    while high - low > 1:
        middle = (low + high) // 2
        if bears(steps[middle]) or bears(steps[middle]):
            low = middle
        else:
            high = middle
    return {"rate": steps[low] if low >= 0 else 0.0, "tried": tried,
            "foreign_share_of_one_cpu": max(foreign)}
