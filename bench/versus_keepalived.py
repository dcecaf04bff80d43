#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""keepalived with dig, and the director, on one classic file: the time from a server's
death to its removal, and what checks cost. bench/README.md says how to run and read it."""

import argparse
import json
import os
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "lab")]

from ipvs_scale import CANNOT, obstacle  # noqa: E402
from lab import Lab  # noqa: E402
from lab.beside_keepalived import WAYS, Timing, measure  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--servers", type=int, default=44)
    parser.add_argument("--delay-loop", type=int, default=10, metavar="SECONDS")
    parser.add_argument("--time", type=int, default=2, metavar="SECONDS",
                        help="dig's time for each of its two tries")
    options = parser.parse_args()
    reason = obstacle(("ipvsadm", "keepalived", "dig"))
    if reason:
        print(reason, file=sys.stderr)
        return CANNOT
    timing = Timing(delay_loop=options.delay_loop, time=options.time)
    seconds = 10 if options.quick else 60
    outcomes = {}
    print(f"{options.servers} servers, delay_loop {timing.delay_loop}, dig +time={timing.time} "
          f"+tries={timing.tries}; {options.servers // 4} die\n"
          f"{'':>12} {'CPU a minute':>13} {'removed after: median':>22} {'worst':>7} "
          f"{'out although alive':>19}", flush=True)
    with Lab(servers=[]) as lab, tempfile.TemporaryDirectory(prefix="ddbench-") as directory:
        addresses = lab.crowd(options.servers)
        for who in WAYS:
            one = measure(lab, who, addresses, addresses[::4], os.path.join(directory, who),
                          seconds, timing)
            outcomes[who] = one
            print(f"{who:>12} {one.cpu_seconds_per_minute:12.2f}s "
                  f"{statistics.median(one.removals):21.1f}s {max(one.removals):6.1f}s "
                  f"{len(one.wrongly):19}", flush=True)
    theirs, ours = (outcomes[who] for who in WAYS)
    ratio = theirs.cpu_seconds_per_minute / max(ours.cpu_seconds_per_minute, 1e-9)
    print(f"{ratio:.0f} times less processor time")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"servers": options.servers, "timing": vars(timing), "times_less": ratio,
                       "outcomes": {who: vars(one) for who, one in outcomes.items()},
                       "targets": []}, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
