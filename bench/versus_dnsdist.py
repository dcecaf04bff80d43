#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The director next to dnsdist, a kernel router, IPVS where there is one, and nobody in
between: processor time and latency of a query, and the rate that is borne. Same client, same
servers, same load, same run; bench/README.md says what is compared and how to read it."""

import argparse
import json
import os
import sys
from contextlib import nullcontext

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "lab")]

import losses  # noqa: E402
import proxy_report  # noqa: E402
import versus_report  # noqa: E402
from alone import LONGEST_SECONDS, prefer_us  # noqa: E402
from lab import Lab, LabError, missing_privileges, plan  # noqa: E402
from lab.director import binary  # noqa: E402
from lab.system import find_program  # noqa: E402
from loads import KINDS, borne, paced, place  # noqa: E402
from ways import DIRECT, WAYS, here, proxies  # noqa: E402

CANNOT = 77  # exit status: could not run here, the reason is on standard error
SERVERS = ("unbound", "unbound")


def obstacle() -> str:
    """Why this cannot run here, or an empty text."""
    reason = missing_privileges()
    if reason:
        return reason
    absent = [p for p in ("dnsdist", "unbound", "nsd", "knotd") if not find_program(p)]
    if absent:
        return f"needs these programs (scripts/install-deps): {' '.join(absent)}"
    if not os.access(binary(), os.X_OK):
        return f"no dnsdirector at {binary()}: build it (scripts/build) or set DNSDIRECTOR"
    return ""


def in_turn(lab, options, rounds: list, count: int, kinds: list, measure):
    """So many rounds of measure(lab, entered, kind) on each way, each round starting with
    another way; rounds becomes [{way: {kind: figures}}, …]."""
    def one_round(number: int) -> dict:
        shift = number % len(options.ways)
        one = {}
        for way in options.ways[shift:] + options.ways[:shift]:
            with WAYS[way].enter(lab) as entered:
                if options.beside:
                    entered.quiet = lambda: nullcontext(())
                # Caches of servers and neighbours are warm after this.
                lab.load(entered.targets, own_rate=1000, count=200).start().finish()
                one[way] = {kind: measure(lab, entered, kind) for kind in kinds}
        return one

    for number in range(count):
        try:
            rounds.append(one_round(number))
        except LabError as error:
            # The machine stood still, most likely: a hypervisor may stop it for a while.
            print(f"versus_dnsdist: a round does not count: {error}", file=sys.stderr)
    if count and not rounds:
        raise LabError("no round could be measured")


def measure_all(options, steady_rounds: list, searches: list):
    """Rounds of the steady loads, then rounds of the search for what is borne."""
    rates = {kind: options.rate / 2 if KINDS[kind].kept
             else options.tcp_rate if KINDS[kind].tcp else options.rate for kind in options.kinds}

    def steady(lab, entered, kind):
        return paced(lab, entered, KINDS[kind], rates[kind], options.seconds)

    def search(lab, entered, kind):
        return borne(lab, entered, KINDS[kind], options.seconds)

    if not options.beside:
        prefer_us()
    with Lab(servers=SERVERS, services=(plan.SERVICE_V4,), native=False) as lab:
        place(lab)
        # A TCP query is a connection: ports are used again at once, and there are enough.
        lab.client.sysctl(ipv4__tcp_tw_reuse=1, ipv4__ip_local_port_range="1024 65535")
        searched = [kind for kind in options.kinds if KINDS[kind].even and not options.proxy]
        in_turn(lab, options, steady_rounds, options.rounds, options.kinds, steady)
        in_turn(lab, options, searches, options.searches, searched, search)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="one short round, no search")
    parser.add_argument("--rounds", type=int, help="of the steady loads, default 8")
    parser.add_argument("--searches", type=int,
                        help="rounds of the search for the rate that is borne, default 2")
    parser.add_argument("--seconds", type=float, default=0.75,
                        help=f"of each load, default 0.75; with its start and end no more than "
                        f"{LONGEST_SECONDS:g}, but with --beside")
    parser.add_argument("--rate", type=float,
                        help="UDP queries a second of the steady load, default 10000; 20000 with "
                        "--proxy")
    parser.add_argument("--tcp-rate", type=float, default=2000,
                        help="TCP connections a second of it, a query each, default 2000")
    parser.add_argument("--beside", action="store_true",
                        help="leave the processors to others too while measuring; for a machine "
                        "that has nothing else to do")
    parser.add_argument("--most-foreign", type=float, default=0.1, metavar="SHARE",
                        help="of one processor, that others may use in a round that counts, "
                        "default 0.1")
    parser.add_argument("--proxy", action="store_true",
                        help="the proxy plane and dnsdist, on one processor and on all: steady "
                        "loads, full ones, and what becomes of queries when a server fails")
    parser.add_argument("--failures", type=int, help="rounds of server failures with --proxy, "
                        "default 3")
    parser.add_argument("--ways", nargs="+", choices=WAYS)
    parser.add_argument("--kinds", nargs="+", choices=KINDS)
    parser.add_argument("--emulated", metavar="FILE",
                        help="figures of a run in the virtual machine, to be printed beside")
    parser.add_argument("--show", metavar="FILE", help="only print the figures of this file")
    options = parser.parse_args()
    options.ways = options.ways or (proxies() if options.proxy else here())
    options.kinds = options.kinds or [kind for kind in KINDS
                                      if options.proxy or not (KINDS[kind].in_flight
                                                               or KINDS[kind].kept)]
    if DIRECT not in options.ways:
        parser.error(f"--ways: {DIRECT} is what the others are held against")
    options.rounds = options.rounds or (1 if options.quick else 8)
    options.rate = options.rate or (20000 if options.proxy else 10000)
    if options.searches is None:
        options.searches = 0 if options.quick or options.proxy else 2
    if options.failures is None:
        options.failures = 1 if options.quick else 3
    return options


def show(report: dict):
    versus_report.show(report)
    if "proxies" in report:
        proxy_report.show(report)


def main() -> int:
    options = parse()
    if options.show:
        with open(options.show, encoding="utf-8") as file:
            show(json.load(file))
        return 0
    reason = obstacle()
    if reason:
        print(f"versus_dnsdist: {reason}", file=sys.stderr)
        return CANNOT
    steady, searches, failures, interrupted = [], [], [], False
    try:
        measure_all(options, steady, searches)
        if options.proxy:
            losses.measure(options.failures, failures)
    except KeyboardInterrupt:
        if not steady:
            raise
        interrupted = True  # the rounds that were whole are worth being told
    except (LabError, RuntimeError) as error:
        print(f"versus_dnsdist: {error}", file=sys.stderr)
        return 1
    report = versus_report.make(steady, searches, options)
    if options.proxy:
        report.update(proxy_report.make(steady, failures, options))
    show(report)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({**report, "rounds": steady, "searches": searches}, file, indent=2)
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
