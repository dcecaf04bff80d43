#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Queries per second, and processor time per query: the director next to
dnsdist, a kernel router, and nobody in between. Same client, same servers, same run;
bench/README.md says what is compared and how to read it."""

import argparse
import json
import os
import re
import statistics
import sys
from contextlib import contextmanager

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "tests", "lab")]

import cpu  # noqa: E402
from lab import Lab, LabError, missing_privileges, plan, wait_for  # noqa: E402
from lab.director import CALM_CHECK, Director, binary, cluster, director_block  # noqa: E402
from lab.system import find_program  # noqa: E402

CANNOT = 77  # exit status: could not run here, the reason is on standard error
SERVERS = ("unbound", "unbound")
WAYS = ("direct", "detour", "director", "dnsdist")
TITLES = {"direct": "no balancer, one server", "detour": "the same by a kernel router",
          "director": "director, XDP", "dnsdist": "dnsdist, round robin"}
SWITCH_PORT = "director-eth0"

DNSDIST = """\
setSecurityPollSuffix("")
setACL({{"0.0.0.0/0"}})
{listeners}
{servers}
setServerPolicy(roundrobin)
"""


def obstacle() -> str:
    """Why this cannot run here, or an empty text."""
    reason = missing_privileges()
    if reason:
        return reason
    absent = [p for p in ("dnsdist", "dnsperf", "unbound", "nsd", "knotd") if not find_program(p)]
    if absent:
        return f"needs these programs (scripts/install-deps): {' '.join(absent)}"
    if not os.access(binary(), os.X_OK):
        return f"no dnsdirector at {binary()}: build it (scripts/build) or set DNSDIRECTOR"
    return ""


# ---- the ways to the servers -------------------------------------------------------
# Each yields (address that the client asks, pids of the balancer, what else is to be said).

@contextmanager
def direct(_lab):
    yield plan.server_v4(1), [], ""


@contextmanager
def detour(lab):
    """Queries pass the director's host, whose kernel only routes them; answers
    go straight back, as with the director: what the longer way itself costs."""
    host, to = lab.director_host, plan.server_v4(1)
    host.sysctl(ipv4__ip_forward=1, ipv4__conf__all__send_redirects=0,
                ipv4__conf__eth0__send_redirects=0)
    with without_switch_program(lab):
        lab.router.ip(f"route add {to} via {plan.DIRECTOR_V4}")
        try:
            yield to, [], ""
        finally:
            lab.router.ip(f"route del {to} via {plan.DIRECTOR_V4}")
            host.sysctl(ipv4__ip_forward=0)


@contextmanager
def without_switch_program(lab):
    """What native XDP needs at the other end of the wire would only cost time
    where the director does not run."""
    port = ("ip", "link", "set", "dev", SWITCH_PORT, "xdpdrv")
    lab.network.switch.run(*port, "off")
    try:
        yield
    finally:
        lab.network.switch.run(*port, "obj", lab.tools.path("xdp_pass"), "sec", "xdp")


@contextmanager
def director(lab):
    servers = {name: 1 for name in lab.servers}
    config = director_block() + cluster(servers, check=CALM_CHECK, protocol="udp",
                                        service_ips=[plan.SERVICE_V4])
    with Director(lab, config) as one:
        one.wait_states(**{name: "up" for name in servers})
        mode = one.status()["dataplane"]["interfaces"][0]["mode"]
        yield plan.SERVICE_V4, [one.process.pid], mode


@contextmanager
def dnsdist(lab):
    """As its documentation advises for speed: a listener for each processor on
    a shared port, no console, no web server; without root once it listens."""
    host, directory = lab.director_host, lab.path("dnsdist")
    os.makedirs(directory, exist_ok=True)
    config, log = os.path.join(directory, "dnsdist.conf"), os.path.join(directory, "log")
    local = f'addLocal("{plan.SERVICE_V4}:53", {{reusePort=true}})'
    servers = [f'newServer({{address="{plan.server_v4(n)}:53", name="{name}", '
               f'checkName="{plan.WWW_NAME}."}})' for n, name in enumerate(lab.servers, 1)]
    with open(config, "w", encoding="utf-8") as file:
        file.write(DNSDIST.format(servers="\n".join(servers), listeners="\n".join(
            [local.replace("addLocal", "setLocal")] + [local] * (os.cpu_count() - 1))))
    with without_switch_program(lab):
        host.ip(f"addr add {plan.SERVICE_V4}/32 dev lo")
        process = host.start("dnsdist", [
            find_program("dnsdist"), "--supervised", "--disable-syslog", "-C", config,
            "--uid", "nobody", "--gid", "nogroup"], log)
        try:
            wait_for("dnsdist to answer", lambda: _answers(lab, process, log))
            yield plan.SERVICE_V4, [process.pid], ""
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(5)
            host.ip(f"addr del {plan.SERVICE_V4}/32 dev lo")


def _answers(lab, process, log: str) -> bool:
    if process.poll() is not None:
        with open(log, encoding="utf-8", errors="replace") as lines:
            raise RuntimeError(f"dnsdist ended with {process.returncode}: {lines.read()}")
    return bool(lab.ask(plan.SERVICE_V4, timeout=0.5).answer)


ENTER = {"direct": direct, "detour": detour, "director": director, "dnsdist": dnsdist}


# ---- loads ---------------------------------------------------------------------

def paced(lab, target: str, balancer: list, options) -> dict:
    """A steady rate that nobody has trouble with: what does a query cost?"""
    idle = cpu.idle(options.seconds / 3)
    meter = cpu.Meter({"balancer": balancer,
                       "servers": [s.process.pid for s in lab.servers.values()]})
    result = lab.load(target, rate=options.rate, seconds=options.seconds).start().finish()
    used = meter.usage()
    if result.right < 0.99 * result.sent:
        raise LabError(f"the load got too few right answers: {result}")
    per_query = 1e6 / result.right
    parts = {**used.groups, "client": used.children}
    return {
        "queries": result.sent, "right": result.right, "failed": result.failed,
        "idle_share_of_one_cpu": idle,
        "machine_us": (used.machine - idle * used.seconds) * per_query,
        "processes_us": sum(parts.values()) * per_query,
        "parts_us": {name: seconds * per_query for name, seconds in parts.items()},
        "rtt_us": result.rtt_us, "by_server": result.counts()}


def closed(lab, target: str, options) -> dict:
    """As fast as answers come back, so many queries under way: how many a second?"""
    questions = lab.path("questions")
    with open(questions, "w", encoding="ascii") as file:
        file.write(f"{plan.WWW_NAME} A\n")
    done = lab.client.run("dnsperf", "-s", target, "-d", questions, "-l", str(options.seconds),
                          "-c", "16", "-q", str(options.outstanding), "-T", "1", "-t", "1",
                          timeout=options.seconds + 30)

    def figure(pattern: str) -> float:
        found = re.search(pattern, done.stdout)
        if not found:
            raise LabError(f"dnsperf printed no {pattern!r}:\n{done.stdout}{done.stderr}")
        return float(found.group(1))
    if figure(r"NOERROR (\d+)") < 0.99 * figure(r"Queries sent:\s+(\d+)"):
        raise LabError(f"dnsperf got too few right answers:\n{done.stdout}")
    return {"queries_per_second": figure(r"Queries per second:\s+([\d.]+)"),
            "sent": int(figure(r"Queries sent:\s+(\d+)")),
            "lost": int(figure(r"Queries lost:\s+(\d+)")),
            "average_ms": 1000 * figure(r"Average Latency \(s\):\s+([\d.]+)")}


def measure(options) -> dict:
    rounds = {way: [] for way in options.ways}
    with Lab(servers=SERVERS, services=(plan.SERVICE_V4,)) as lab:
        for number in range(options.rounds):
            # In turn, starting with another one each time.
            shift = number % len(options.ways)
            for way in options.ways[shift:] + options.ways[:shift]:
                with ENTER[way](lab) as (target, balancer, note):
                    # Caches of servers and neighbours are warm after this.
                    lab.load(target, rate=1000, count=200).start().finish()
                    rounds[way].append({"note": note,
                                        "paced": paced(lab, target, balancer, options),
                                        "closed": closed(lab, target, options)})
    return rounds


# ---- what is said about it -------------------------------------------------------

def median(rounds: list, *path) -> float:
    def pick(value):
        for key in path:
            value = value[key]
        return value
    return statistics.median(pick(one) for one in rounds)


def summary(rounds: dict) -> dict:
    found = {}
    for way, runs in rounds.items():
        note = runs[0]["note"]
        found[way] = {
            "title": TITLES[way] + (f", {note}" if note else ""),
            "machine_us": median(runs, "paced", "machine_us"),
            "processes_us": median(runs, "paced", "processes_us"),
            **{name.replace(" ", "_") + "_us": median(runs, "paced", "parts_us", name)
               for name in runs[0]["paced"]["parts_us"]},
            "p50_us": median(runs, "paced", "rtt_us", "p50"),
            "p99_us": median(runs, "paced", "rtt_us", "p99"),
            "queries_per_second": median(runs, "closed", "queries_per_second"),
            "lost": sum(r["paced"]["failed"] + r["closed"]["lost"] for r in runs),
        }
    return found


def print_tables(rounds: dict, options):
    lines = summary(rounds)
    print(f"Processor time per query, microseconds; {options.rate:g} UDP queries a second, "
          f"medians of {options.rounds} rounds in turn\n")
    print(f"  {'':28}{'machine':>9}{'processes':>11} = {'client':>7}{'servers':>9}"
          f"{'balancer':>10}{'softirq':>9}{'p50':>8}{'p99':>8}")
    for way, v in lines.items():
        print(f"  {v['title']:28}{v['machine_us']:9.1f}{v['processes_us']:11.1f}   "
              f"{v['client_us']:7.1f}{v['servers_us']:9.1f}{v['balancer_us']:10.1f}"
              f"{v['softirq_threads_us']:9.1f}{v['p50_us']:8.0f}{v['p99_us']:8.0f}")
    print(f"\nQueries per second, {options.outstanding} under way (dnsperf)\n")
    for way, v in lines.items():
        print(f"  {v['title']:28}{v['queries_per_second']:9.0f}   {v['lost']} lost, both loads")
    print()
    for kind, name in (("processes_us", "processes"), ("machine_us", "machine")):
        added = {way: lines[way][kind] - lines["direct"][kind]
                 for way in lines if way != "direct" and "direct" in lines}
        if added:
            print(f"  Added to a query, by the column {name}: "
                  + ", ".join(f"{way} {us:.1f} us" for way, us in added.items()))
    if cpu.softirq_is_apart():
        print("  This kernel accounts softirq time apart from processes (IRQ_TIME_ACCOUNTING): the "
              "columns\n  by process lack the network's work and the director's; the machine column "
              "has them.")
    busy = max(run["paced"]["idle_share_of_one_cpu"] for runs in rounds.values() for run in runs)
    if busy > 0.1:
        print(f"  Others used up to {100 * busy:.0f}% of a processor meanwhile: queries per second "
              "and the\n  machine column are worth little; the columns by process hold.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="default 3")
    parser.add_argument("--seconds", type=float, help="of each load, default 1.3")
    parser.add_argument("--rate", type=float, default=5000, help="paced load, default 5000")
    parser.add_argument("--outstanding", type=int, default=64,
                        help="queries under way in the closed load, default 64")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.seconds = options.seconds or (1.0 if options.quick else 1.3)
    reason = obstacle()
    if reason:
        print(f"versus_dnsdist: {reason}", file=sys.stderr)
        return CANNOT
    try:
        rounds = measure(options)
    except (LabError, RuntimeError) as error:
        print(f"versus_dnsdist: {error}", file=sys.stderr)
        return 1
    print_tables(rounds, options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"part": "dnsdist", "summary": summary(rounds), "rounds": rounds,
                       "rate": options.rate, "seconds": options.seconds,
                       "outstanding": options.outstanding}, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
