#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Large IPVS tables: the director's start next to ipvsadm's, the cost of a change and
of looking for others' changes. bench/README.md says how to run and read it."""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "lab")]

from lab import missing_privileges  # noqa: E402
from lab.big_table import BigTable, Shape, bare_host  # noqa: E402
from lab.director import binary  # noqa: E402
from lab.system import find_program  # noqa: E402

CANNOT = 77  # exit status: could not run here, the reason is on standard error
SHAPES = (Shape(1, 100), Shape(100, 100), Shape(1, 10000))
MOST_TIMES_RESTORE = 3


def obstacle(programs=("ipvsadm",)) -> str:
    """Why this cannot run here, or an empty text."""
    reason = missing_privileges()
    if reason:
        return reason
    if not os.path.exists("/proc/net/ip_vs"):
        return "this kernel has no IPVS: scripts/lab-vm runs it on one that has (bench/README.md)"
    absent = [p for p in programs if not find_program(p)]
    if absent:
        return f"needs these programs (scripts/install-deps): {' '.join(absent)}"
    if not os.access(binary(), os.X_OK):
        return f"no dnsdirector at {binary()}: build it (scripts/build) or set DNSDIRECTOR"
    return ""


def timed(work) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


def of_shape(host, shape: Shape, directory: str, options) -> dict:
    table = BigTable(host, shape, directory)
    figures = {name: [] for name in ("start", "stop", "restore", "save")}
    try:
        for _ in range(options.rounds):  # in turn, so that both meet the same machine
            figures["start"].append(table.start())
            table.save()
            memory = table.peak_memory_mb()
            figures["stop"].append(table.stop())
            figures["restore"].append(table.restore())
            figures["save"].append(timed(table.lines))
            table.clear()
        table.start()
        idle = table.idle_share(options.seconds)
        changes = [table.change(out=number % 2 == 0) for number in range(options.changes)]
        memory = max(memory, table.peak_memory_mb())
        before = table.lines()
        table.kill9()
        adopt = table.start()
        assert table.lines() == before, "adopting changed the table"
        medians = {name: statistics.median(values) for name, values in figures.items()}
        return {"shape": str(shape), "servers": shape.size, "all": figures, **medians,
                "times_restore": medians["start"] / medians["restore"], "adopt": adopt,
                "idle_share": idle, "change_us": statistics.median(changes), "changes": changes,
                "peak_memory_mb": memory}
    finally:
        table.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    reason = obstacle()
    if reason:
        print(reason, file=sys.stderr)
        return CANNOT
    options.rounds, options.seconds, options.changes = (1, 3, 2) if options.quick else (5, 10, 10)
    results = []
    print(f"{'table':>10} {'start':>7} {'restore':>8} {'ratio':>6} {'adopt':>7} {'save':>6} "
          f"{'look':>7} {'change':>9} {'memory':>8}", flush=True)
    with bare_host() as host, tempfile.TemporaryDirectory(prefix="ddbench-") as directory:
        for shape in SHAPES[:2] if options.quick else SHAPES:
            one = of_shape(host, shape, os.path.join(directory, str(shape)), options)
            results.append(one)
            print(f"{one['shape']:>10} {one['start']:6.2f}s {one['restore']:7.2f}s "
                  f"{one['times_restore']:6.2f} {one['adopt']:6.2f}s {one['save']:5.2f}s "
                  f"{one['idle_share']:7.1%} {one['change_us']:7.0f}us "
                  f"{one['peak_memory_mb']:5.1f}MiB", flush=True)
    targets = [{"what": f"start over ipvsadm -R, {one['shape']}", "value": one["times_restore"],
                "limit": MOST_TIMES_RESTORE, "unit": "times",
                "met": one["times_restore"] <= MOST_TIMES_RESTORE}
               for one in results if one["servers"] >= 10000]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"results": results, "targets": targets}, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
