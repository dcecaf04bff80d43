# SPDX-License-Identifier: Apache-2.0
"""What versus_dnsdist.py says about its rounds: medians with their spread, differences and
ratios within a round."""

import json
import statistics

import cpu
from lab.system import SLOWNESS
from ways import DIRECT, DIRECTORS, DNSDISTS, WAYS

FEWEST_CALM = 3  # fewer calm rounds say less than all rounds
PERCENTILES = ("p50", "p90", "p99", "p999")


def foreign(one: dict) -> float:
    """The most that others used of a processor in a sample of this round."""
    return max(sample["foreign_share_of_one_cpu"] for way in one.values()
               for sample in way.values())


def is_calm(one: dict, most: float) -> bool:
    return foreign(one) <= most


def spread(values) -> dict:
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def counted(rounds: list, most: float) -> list:
    calm = [one for one in rounds if is_calm(one, most)]
    return calm if len(calm) >= min(FEWEST_CALM, len(rounds)) else rounds


def make(steady: list, searches: list, options) -> dict:
    """The report; "of_dnsdist" is what a director adds to a query as a part of what dnsdist
    adds in the same round, with the policy that adds less."""
    rounds, searched = counted(steady, options.most_foreign), counted(searches,
                                                                      options.most_foreign)
    report = {
        "part": "dnsdist", "rate": options.rate, "tcp_rate": options.tcp_rate,
        "emulated_here": SLOWNESS != 1,
        "softirq_is_apart": cpu.softirq_is_apart(),
        "rounds_counted": len(rounds), "rounds_made": len(steady),
        "searches_counted": len(searched), "searches_made": len(searches),
        "foreign_share_of_one_cpu": max(map(foreign, rounds + searched)),
        "most_foreign": options.most_foreign, "beside": options.beside,
        "ways": {way: {kind: _of_way(rounds, searched, way, kind) for kind in options.kinds}
                 for way in options.ways},
        "of_dnsdist": {}}
    theirs = [way for way in DNSDISTS if way in options.ways]
    ours = [way for way in DIRECTORS if way in options.ways]
    for kind in options.kinds if theirs and ours else ():
        cheaper = min(theirs, key=lambda way: report["ways"][way][kind]["added_us"]["median"])
        report["of_dnsdist"][kind] = {"dnsdist": cheaper, **{
            way: spread(_added(one, way, kind) / _added(one, cheaper, kind) for one in rounds)
            for way in ours}}
    if options.emulated:
        with open(options.emulated, encoding="utf-8") as file:
            report["emulated"] = {key: value for key, value in json.load(file).items()
                                  if key not in ("rounds", "searches")}
    return report


def _added(one: dict, way: str, kind: str, column: str = "processes_us") -> float:
    return one[way][kind][column] - one[DIRECT][kind][column]


def _of_way(rounds: list, searched: list, way: str, kind: str) -> dict:
    samples = [one[way][kind] for one in rounds]
    found = {
        "added_us": spread(_added(one, way, kind) for one in rounds),
        "machine_added_us": spread(_added(one, way, kind, "machine_us") for one in rounds),
        "processes_us": spread(sample["processes_us"] for sample in samples),
        "machine_us": spread(sample["machine_us"] for sample in samples),
        "parts_us": {part: statistics.median(sample["parts_us"][part] for sample in samples)
                     for part in samples[0]["parts_us"]},
        "rtt_us": {p: spread(sample["rtt_us"][p] for sample in samples) for p in PERCENTILES},
        "failed": sum(sample["failed"] for sample in samples)}
    if searched and kind in searched[0][way]:
        found["borne"] = spread(one[way][kind]["rate"] for one in searched)
    return found


# ---- tables ------------------------------------------------------------------------

def show(report: dict):
    for kind in next(iter(report["ways"].values())):
        _show_kind(report, kind)
    _show_borne(report)
    _show_ratios(report)
    if "emulated" in report:
        _show_emulated(report["emulated"])
    _show_reserve(report)


def _span(value: dict, form: str = ".1f") -> str:
    return f"{value['median']:{form}} ({value['min']:{form}} to {value['max']:{form}})"


def _rate_of(report: dict, kind: str) -> str:
    if kind == "tcp":
        return f"{report['tcp_rate']:g} TCP connections a second, a query each"
    if kind == "tcp-kept":
        return f"{report['rate'] / 2:g} queries a second over 64 TCP connections that stay"
    if kind.endswith("-full"):
        return f"{kind}: as many queries as are answered, so many waiting"
    how = "in bursts of a millisecond" if kind == "udp-bursts" else "each at its own time"
    return f"{report['rate']:g} UDP queries a second, {how}"


def _show_kind(report: dict, kind: str):
    print(f"{_rate_of(report, kind)}; medians of {report['rounds_counted']} rounds in turn, "
          f"microseconds\n\n  {'':28}{'added (min to max)':>22} | {'all':>6} ={'client':>7}"
          f"{'servers':>8}{'balancer':>9}{'softirq':>8} |{'machine':>8} |{'p50':>6}{'p90':>6}"
          f"{'p99':>7}{'p99.9':>7}")
    for way, kinds in report["ways"].items():
        v = kinds[kind]
        parts, rtt = v["parts_us"], v["rtt_us"]
        added = "" if way == DIRECT else _span(v["added_us"])
        print(f"  {WAYS[way].title:28}{added:>22} | {v['processes_us']['median']:6.1f}  "
              f"{parts['client']:6.1f}{parts['servers']:8.1f}{parts['balancer']:9.1f}"
              f"{parts['softirq threads']:8.1f} |{v['machine_us']['median']:8.1f} |"
              + "".join(f"{rtt[p]['median']:{6 if p in ('p50', 'p90') else 7}.0f}"
                        for p in PERCENTILES)
              + (f"  {v['failed']} lost" if v["failed"] else ""))
    print()


def _show_borne(report: dict):
    kinds = [k for k, v in report["ways"][DIRECT].items() if "borne" in v]
    if not kinds:
        return
    print(f"Highest rate that is borne (at most 0.1% without an answer in 100 ms), queries a "
          f"second;\nmedians of {report['searches_counted']} searches (lowest to highest)\n")
    print("  " + " " * 28 + "".join(f"{kind:>26}" for kind in kinds))
    for way, found in report["ways"].items():
        print(f"  {WAYS[way].title:28}"
              + "".join(f"{_span(found[kind]['borne'], '.0f'):>26}" for kind in kinds))
    print()


def _show_ratios(report: dict):
    for kind, ratios in report["of_dnsdist"].items():
        print(f"  {kind}: of what {WAYS[ratios['dnsdist']].title} adds to a query: "
              + "; ".join(f"{WAYS[way].title} {_span(ratio, '.2f')}"
                          for way, ratio in ratios.items() if way != "dnsdist"))


def _show_emulated(report: dict):
    print("\nIPVS in a virtual machine without KVM: emulated, order of magnitude only. Machine "
          "time\nadded to a query there, over asking the servers themselves there:\n")
    for way, kinds in report["ways"].items():
        if way != DIRECT:
            print(f"  {WAYS[way].title:28}" + "; ".join(
                f"{kind} {_span(v['machine_added_us'], '.0f')} us" for kind, v in kinds.items()))


def _show_reserve(report: dict):
    made, counted_ = (report[f"rounds_{what}"] + report[f"searches_{what}"]
                      for what in ("made", "counted"))
    print(f"\n  {made - counted_} of {made} rounds were thrown away because others used more than "
          f"{100 * report['most_foreign']:.0f}% of a processor.")
    if report["beside"]:
        print("  Others could run meanwhile.")
    if report["softirq_is_apart"]:
        print("  This kernel accounts softirq time apart from processes (IRQ_TIME_ACCOUNTING): all "
              "columns\n  but machine lack the network's work and the director's.")
    if report["foreign_share_of_one_cpu"] > report["most_foreign"]:
        print(f"  Too few rounds were calm, so all count: others used up to "
              f"{100 * report['foreign_share_of_one_cpu']:.0f}% of a processor. What\n  is borne, "
              "latencies and the column machine are worth little; the columns by process hold.")
