#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks one after the other: a table for each on standard output,
and all figures in one JSON file. bench/README.md says what they measure."""

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from targets import targets_of  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CANNOT = 77  # a part's exit status: could not run here, its last line says why


@dataclass
class Part:
    name: str
    title: str
    program: str                    # NAME in the build directory, or NAME.py here
    seconds: int                    # limit; a third of it with --quick
    root: bool = True
    json: tuple = ("--json", "{}")  # arguments that make it write its figures
    quick: tuple = ("--quick",)
    writes: str = "file"            # "stdout": its figures go there, the table to stderr
    asked: bool = False             # runs only where it is named: it takes the virtual machine
    more: tuple = ()                # further arguments


PARTS = [
    Part("xdp", "the forwarding program, by BPF_PROG_TEST_RUN", "xdp_bench", 600,
         quick=("--rounds", "5", "--loads", "1")),
    Part("checks", "what a check costs, next to a dig by fork", "checks_bench", 300,
         json=(), quick=("3", "2000", "20"), writes="stdout"),
    Part("verdict", "from a check's verdict to the table in the kernel", "verdict_bench", 180),
    Part("dnsdist", "through the director, and through dnsdist", "versus_dnsdist", 900),
    Part("proxy", "through the proxy plane, and through dnsdist", "versus_dnsdist", 1200,
         more=("--proxy",)),
    Part("core", "decisions and tables, computed only", "core_bench", 180, root=False,
         json=("--benchmark_out={}", "--benchmark_out_format=json"),
         quick=("--benchmark_min_time=0.05",)),
    Part("ecmp", "many directors behind ECMP, computed", "ecmp_simulation", 120, root=False),
    Part("ipvs", "large IPVS tables, next to ipvsadm", "ipvs_scale", 400, asked=True),
    Part("keepalived", "one classic file, next to keepalived", "versus_keepalived", 400,
         asked=True),
]


def parse() -> argparse.Namespace:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="parts:\n" + "\n".join(f"  {p.name:9} {p.title}" for p in PARTS))
    parser.add_argument("parts", nargs="*", metavar="PART", help="which to run (default: all but "
                        "ipvs and keepalived, which want scripts/lab-vm)")
    parser.add_argument("--without", action="append", default=[], metavar="PART", choices=names)
    parser.add_argument("--json", metavar="FILE",
                        default=os.path.join(ROOT, "build", "bench.json"),
                        help="where the figures go (default: build/bench.json)")
    parser.add_argument("--quick", action="store_true",
                        help="few repetitions: to see that all works, not to compare")
    parser.add_argument("--strict", action="store_true",
                        help="what was left out or missed its target is a failure")
    parser.add_argument("--build-dir", default=default_build_dir(),
                        help="where the benchmarks were built (default: %(default)s)")
    options = parser.parse_args()
    unknown = [name for name in options.parts if name not in names]
    if unknown:
        parser.error(f"no such part: {' '.join(unknown)}; there are: {' '.join(names)}")
    return options


def default_build_dir() -> str:
    director = os.environ.get("DNSDIRECTOR")
    return os.path.dirname(director) if director else os.path.join(ROOT, "build", "release")


def command_of(part: Part, build_dir: str):
    """Its command line, or None where there is no such program."""
    built, script = os.path.join(build_dir, part.program), os.path.join(HERE, part.program + ".py")
    if os.access(built, os.X_OK):
        return [built]
    return ["/usr/bin/python3", script] if os.path.exists(script) else None


def run_part(part: Part, options, scratch: str) -> dict:
    """Runs one part; {"status": "ran" | "left out" | "failed", …}."""
    command = command_of(part, options.build_dir)
    if command is None:
        return {"status": "left out",
                "reason": f"no {part.program} in {options.build_dir}: scripts/build makes it"}
    if part.root and os.geteuid() != 0:
        return {"status": "left out", "reason": "needs root"}
    figures, errors = os.path.join(scratch, part.name + ".json"), os.path.join(scratch, "errors")
    command += [argument.format(figures) for argument in part.json]
    command += part.more
    command += part.quick if options.quick else ()
    limit = part.seconds / 3 if options.quick else part.seconds
    begun = time.monotonic()
    status, said = call(part, command, limit, options.build_dir, figures, errors)
    outcome = {"seconds": round(time.monotonic() - begun, 1)}
    last = said.strip().splitlines()[-1] if said.strip() else f"exit {status}"
    if status == CANNOT:
        return {"status": "left out", "reason": last, **outcome}
    if said.strip():
        print(said.rstrip(), flush=True)
    if status is None:
        return {"status": "failed", "reason": f"not done after {limit:.0f} s", **outcome}
    if status != 0:
        return {"status": "failed", "reason": last, **outcome}
    try:
        with open(figures, encoding="utf-8") as file:
            report = json.load(file)
    except (OSError, ValueError) as error:
        return {"status": "failed", "reason": f"no figures: {error}", **outcome}
    return {"status": "ran", **outcome, "report": report,
            "targets": targets_of(part.name, report)}


def call(part: Part, command: list, limit: float, build_dir: str, figures: str, errors: str):
    """(exit status, what it said on standard error); None: it had to be ended."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment.setdefault("DNSDIRECTOR", os.path.join(build_dir, "dnsdirector"))
    with (open(errors, "w+", encoding="utf-8", errors="replace") as log,
          open(figures, "w", encoding="utf-8") as file):
        process = subprocess.Popen(command, stderr=log, env=environment, start_new_session=True,
                                   stdout=file if part.writes == "stdout" else None)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end(process)
        log.seek(0)
        return status, log.read()


def end(process):
    """Nothing of it goes on. INT first: a part with namespaces takes them down."""
    for number, patience in ((signal.SIGINT, 20), (signal.SIGKILL, 5)):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(patience)
            except subprocess.TimeoutExpired:
                pass


def machine() -> dict:
    def first(path: str, key: str) -> str:
        with open(path, encoding="utf-8") as file:
            return next((line.split(":", 1)[1].strip() for line in file if line.startswith(key)),
                        "unknown")
    commit = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, "describe",
                             "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {"kernel": platform.release(), "architecture": platform.machine(),
            "processor": first("/proc/cpuinfo", "model name"), "processors": os.cpu_count(),
            "load_average": os.getloadavg()[0], "commit": commit.stdout.strip() or "unknown"}


def print_summary(outcomes: dict):
    heading("summary")
    for part in PARTS:
        outcome = outcomes.get(part.name)
        if outcome is None:
            continue
        reason = ": " + outcome["reason"] if "reason" in outcome else ""
        seconds = f", {outcome['seconds']} s" if "seconds" in outcome else ""
        print(f"  {part.name:9} {outcome['status']}{reason}{seconds}")
    targets = all_targets(outcomes)
    if targets:
        print("\ntargets")
    for target in targets:
        print(f"  {'met   ' if target['met'] else 'MISSED'}  {target['what']}: "
              f"{target['value']:.4g}{(' ' + target['unit']).rstrip()} "
              f"({target['sense']} {target['limit']:.4g})")


def all_targets(outcomes: dict) -> list:
    return [target for outcome in outcomes.values() for target in outcome.get("targets", [])]


def heading(text: str):
    print(f"\n==> {text}\n", flush=True)


def main() -> int:
    options = parse()
    wanted = [p for p in PARTS if (p.name in options.parts or not (options.parts or p.asked))
              and p.name not in options.without]
    about = machine()
    print(f"{about['processor']}, {about['processors']} processors, Linux {about['kernel']}, "
          f"load {about['load_average']:.2f}, commit {about['commit']}")
    if about["load_average"] > 0.5:
        print("others use this machine too: compare only what was measured in the same run")
    begun = datetime.datetime.now(datetime.timezone.utc)
    outcomes = {}
    with tempfile.TemporaryDirectory(prefix="ddbench-") as scratch:
        for part in wanted:
            heading(f"{part.name}: {part.title}")
            outcomes[part.name] = run_part(part, options, scratch)
            if outcomes[part.name]["status"] != "ran":
                print(f"{outcomes[part.name]['status']}: {outcomes[part.name]['reason']}")
    print_summary(outcomes)
    os.makedirs(os.path.dirname(os.path.abspath(options.json)), exist_ok=True)
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"when": begun.isoformat(timespec="seconds"), "quick": options.quick,
                   "machine": about, "parts": outcomes, "targets": all_targets(outcomes)},
                  file, indent=2)
        file.write("\n")
    print(f"\nfigures: {options.json}")
    bad = any(o["status"] == "failed" for o in outcomes.values())
    if options.strict:
        bad |= any(o["status"] != "ran" for o in outcomes.values())
        bad |= any(not target["met"] for target in all_targets(outcomes))
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
