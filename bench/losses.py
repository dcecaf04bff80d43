# SPDX-License-Identifier: Apache-2.0
"""What becomes of queries when one of four servers fails under load: through the director's
proxy plane, and through dnsdist, in turn."""

from lab import Lab, plan
from ways import WAYS

RATE = 5000
SECONDS = 4.0
AT = 1.5  # when it fails
SERVERS = ("answer",) * 4
VICTIM = "s2"
BALANCERS = ("proxy-2", "dnsdist-rr")
# How it fails, and how it is made well again.
FAILURES = {
    "killed": (lambda server: server.kill(), lambda server: server.start()),
    "stopped": (lambda server: server.pause(), lambda server: server.go_on()),
    "SERVFAIL": (lambda server: server.tell("mode rcode 2"),
                 lambda server: server.tell("mode answer")),
}


def measure(count: int, rounds: list):
    """rounds becomes [{way: {failure: {"sent", "lost", …}}}, …]."""
    with Lab(servers=SERVERS, services=(plan.SERVICE_V4,), native=False) as lab:
        for number in range(count):
            shift = number % len(BALANCERS)
            rounds.append({way: _all_failures(lab, way)
                           for way in BALANCERS[shift:] + BALANCERS[:shift]})


def _all_failures(lab, way: str) -> dict:
    found = {}
    for failure, (fail, mend) in FAILURES.items():
        server = lab.servers[VICTIM]
        with WAYS[way].enter(lab) as entered:
            lab.load(entered.targets, own_rate=1000, count=500).start().finish()
            load = lab.load(entered.targets[0], own_rate=RATE, count=int(RATE * SECONDS),
                            timeout_ms=5000, even=True).start()
            load.sleep(AT)
            fail(server)
            try:
                result = load.finish()
            finally:
                mend(server)
        found[failure] = {"sent": result.sent, "lost": result.lost + result.refused,
                          "wrong": result.wrong, "wrong_kinds": result.wrong_kinds,
                          "rtt_us": result.rtt_us}
    return found
