# SPDX-License-Identifier: Apache-2.0
"""The proxy plane next to dnsdist: ratios within a round, and losses when a server fails."""

from versus_report import counted, spread
from ways import DIRECT, PROXIES, RELAYS, WAYS

# By load: the most of dnsdist's processor time that a query may take.
LIMITS = {"udp": 0.6, "udp-bursts": 0.6, "udp-full": 0.8, "tcp": 0.5, "tcp-full": 0.5,
          "tcp-kept": 0.5, "tcp-kept-full": 0.5}
STEADY = ("udp", "udp-bursts", "tcp", "tcp-kept")


def make(steady: list, failures: list, options) -> dict:
    rounds = counted(steady, options.most_foreign)
    pairs = [(one, other) for one, other in PROXIES.items()
             if one in options.ways and other in options.ways]
    found = {one: {kind: {**_compare(rounds, one, other, kind),
                          **_to_relay(rounds, (one, other), RELAYS[one], kind)}
                   for kind in options.kinds} for one, other in pairs}
    return {"part": "proxy", "proxies": found, "failures": failures,
            "targets": [target for one in found for target in _targets(found, one)]
            + _failure_targets(failures)}


def _compare(rounds: list, one: str, other: str, kind: str) -> dict:
    """of_balancer: the balancer's own processor time of dnsdist's; of_added: all that a query
    costs above no balancer; p99_more_us: what the one adds to the 99th percentile, less what
    the other adds."""
    def added(each: dict, way: str) -> float:
        return each[way][kind]["processes_us"] - each[DIRECT][kind]["processes_us"]
    return {
        "of_balancer": spread(_own(each, one, kind) / _own(each, other, kind)
                              for each in rounds),
        "of_added": spread(added(each, one) / added(each, other) for each in rounds),
        "of_rate": spread(each[one][kind]["rate"] / each[other][kind]["rate"]
                          for each in rounds),
        "rates": {way: spread(each[way][kind]["rate"] for each in rounds)
                  for way in (one, other, DIRECT)},
        **{f"{p}_more_us": spread(each[one][kind]["rtt_us"][p] - each[other][kind]["rtt_us"][p]
                                  for each in rounds) for p in ("p50", "p99", "p999")}}


def _to_relay(rounds: list, pair: tuple, relay: str, kind: str) -> dict:
    """of_relay: the balancers' own processor time of a bare relay's; {} without one."""
    if any(relay not in each for each in rounds):
        return {}
    return {"of_relay": {way: spread(_own(each, way, kind) / _own(each, relay, kind)
                                     for each in rounds) for way in pair}}


def _own(each: dict, way: str, kind: str) -> float:
    return each[way][kind]["parts_us"]["balancer"]


def _targets(found: dict, one: str) -> list:
    targets = [{"what": f"CPU of a query, {WAYS[one].title}, {kind}, of {PROXIES[one]}'s",
                "value": found[one][kind]["of_balancer"]["median"], "limit": limit,
                "unit": "times"} for kind, limit in LIMITS.items() if kind in found[one]]
    targets += [{"what": f"99th percentile over {PROXIES[one]}'s, {WAYS[one].title}, {kind}",
                 "value": found[one][kind]["p99_more_us"]["median"], "limit": 0, "unit": "us"}
                for kind in STEADY if kind in found[one]]
    return [{**target, "met": target["value"] <= target["limit"]} for target in targets]


def _failure_targets(failures: list) -> list:
    bad = sum(one["lost"] + one["wrong"] for each in failures
              for one in each.get("proxy-2", {}).values())
    return [{"what": "queries without an answer or answered SERVFAIL when a server fails",
             "value": bad, "limit": 0, "unit": "", "met": bad == 0}] if failures else []


# ---- tables ------------------------------------------------------------------------

def show(report: dict):
    print("\nThe proxy plane, of dnsdist with as many processors; medians of what each round "
          "said (lowest to highest)\n")
    print(f"  {'':26}{'load':12}{'own CPU':>22}{'CPU added':>22}{'p99 more, us':>26}"
          f"{'p99.9 more, us':>26}")
    for one, kinds in report["proxies"].items():
        for kind, v in kinds.items():
            print(f"  {WAYS[one].title:26}{kind:12}{_span(v['of_balancer'], '.2f'):>22}"
                  f"{_span(v['of_added'], '.2f'):>22}{_span(v['p99_more_us'], '.0f'):>26}"
                  f"{_span(v['p999_more_us'], '.0f'):>26}")
    _show_to_relay(report["proxies"])
    _show_full(report)
    _show_failures(report["failures"])
    for target in report["targets"]:
        print(f"  {'met   ' if target['met'] else 'MISSED'}  {target['what']}: "
              f"{target['value']:.3g} {target['unit']} (at most {target['limit']:g})")


def _show_to_relay(proxies: dict):
    if not any("of_relay" in v for kinds in proxies.values() for v in kinds.values()):
        return
    print(f"\n  {'own CPU, of a bare relay with as many processors':40}"
          f"{'the proxy':>22}{'dnsdist':>22}")
    for one, kinds in proxies.items():
        for kind, v in kinds.items():
            if "of_relay" in v:
                print(f"  {WAYS[one].title:26}{kind:24}"
                      + "".join(f"{_span(v['of_relay'][way], '.2f'):>22}"
                                for way in (one, PROXIES[one])))


def _span(value: dict, form: str) -> str:
    return f"{value['median']:{form}} ({value['min']:{form}} to {value['max']:{form}})"


def _show_full(report: dict):
    for kind in ("udp-full", "tcp-full", "tcp-kept-full"):
        rates = {way: rate for v in report["proxies"].values() if kind in v
                 for way, rate in v[kind]["rates"].items()}
        if rates:
            print(f"\n  {kind}, answers a second: "
                  + "; ".join(f"{WAYS[way].title} {_span(rate, '.0f')}"
                              for way, rate in rates.items()))
    print()


def _show_failures(failures: list):
    for failure in failures[0]["proxy-2"] if failures else ():
        for way in failures[0]:
            all_of = [each[way][failure] for each in failures]
            print(f"  a server of four {failure:9}{WAYS[way].title:22}"
                  f"of {sum(one['sent'] for one in all_of)}: "
                  f"{sum(one['lost'] for one in all_of)} lost, "
                  f"{sum(one['wrong'] for one in all_of)} wrong; slowest "
                  f"{max(one['rtt_us']['max'] for one in all_of) / 1000:.0f} ms")
    print()
