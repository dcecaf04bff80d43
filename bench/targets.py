# SPDX-License-Identifier: Apache-2.0
"""What the figures are held against. A part may bring its own "targets" in its
report; for the others they are taken from the report here."""


def at_most(what: str, value: float, limit: float, unit: str = "") -> dict:
    return {"what": what, "value": value, "limit": limit, "unit": unit, "sense": "at most",
            "met": value <= limit}


def at_least(what: str, value: float, limit: float, unit: str = "") -> dict:
    return {"what": what, "value": value, "limit": limit, "unit": unit, "sense": "at least",
            "met": value >= limit}


def of_checks(report: dict) -> list:
    many = report["many"]
    found = [at_least("CPU of a dig by fork over that of a UDP check, 44 servers",
                      report["dig_us"] / report["udp"]["cpu_us_per_check"], 300, "times")]
    found.append(at_most(f"a dig line run natively, {report['servers']} servers",
                         report["many_native_dig"]["cpu_us_per_check"], 25, "us"))
    found.append(at_most(f"share of a core, {report['servers']} servers every second",
                         many["core_share"], 0.25))
    found.append(at_most(f"lateness of checks, 99.9th percentile, {report['servers']} servers "
                         f"(a bare timer: {report['bare_timer_lateness']['p999_below_us'] / 1e3:g})",
                         many["lateness"]["p999_below_us"] / 1e3, 100, "ms"))
    return found


def of_xdp(report: dict) -> list:
    """The worst of the scenarios that share a limit."""
    worst = {}
    for one in report["results"]:
        kind = "not for a service" if not one["for_a_service"] else (
            f"{one['family']} {one['protocol']}")
        key = (f"forwarding program, {kind}, worst, over the {one['ratio_to']}", one["limit"])
        worst[key] = max(worst.get(key, 0.0), one["ratio"])
    return [at_most(what, ratio, limit, "times") for (what, limit), ratio in worst.items()]


def of_dnsdist(report: dict) -> list:
    """What a query costs more through the director, of what it costs more through dnsdist."""
    proxy = [at_most(f"CPU that the proxy adds to a query ({kind}), of what {ratios['dnsdist']} "
                     "adds", ratios["proxy"]["median"], 0.5 if kind == "tcp" else 0.6, "times")
             for kind, ratios in report["of_dnsdist"].items() if "proxy" in ratios]
    return proxy + [at_most(f"CPU that {way} adds to a query ({kind}), of what {ratios['dnsdist']} adds",
                    ratios[way]["median"], 0.2, "times")
            for kind, ratios in report["of_dnsdist"].items() if kind != "tcp"
            for way in ("xdp-native", "xdp-generic") if way in ratios]


BY_PART = {"xdp": of_xdp, "checks": of_checks, "dnsdist": of_dnsdist}


def targets_of(part: str, report: dict) -> list:
    if "targets" in report:
        return [{"sense": "at most", "unit": "", **target} for target in report["targets"]]
    return BY_PART[part](report) if part in BY_PART else []
