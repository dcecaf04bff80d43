#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What dnsdirector does, shown with figures on real DNS servers.

Builds a network in namespaces: a client, a router, a director, and BIND 9,
Unbound and PowerDNS Recursor that recurse over a tree of their own. Then it
breaks things under load and says what became of every query. In a second
network two directors announce their service IPs to two routers, and one dies.
Leaves nothing behind; exits 1 where a promise was not kept.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Director, Lab, LabError, missing_privileges, plan  # noqa: E402
from lab.director import REPOSITORY, check_block, cluster, director_block  # noqa: E402
from lab.registry import Registry  # noqa: E402
from lab.system import in_netns, netns_path  # noqa: E402

import demo_redundancy  # noqa: E402

MAKES = {"s1": "BIND 9", "s2": "Unbound", "s3": "PowerDNS Recursor"}
WEIGHTS = {"s1": 2, "s2": 1, "s3": 1}
RATE = 5000
TCP_RATE = 50     # new connections a second, one query each
HELD = 12         # open TCP connections; Unbound has room for ten in all
KEEPALIVED = os.path.join("examples", "keepalived.conf")
# Of a TTL of one second, so that the checks notice a server that cannot recurse.
CHECK = check_block(name=plan.LOW_TTL_NAME, every="100ms", timeout="100ms")
DIRECTOR = director_block(mode="native")
UDP4 = {"address": plan.SERVICE_V4, "protocol": "udp"}


class Screen:
    """Headings in bold on a terminal; text indented below them."""

    def __init__(self):
        tty = sys.stdout.isatty()
        self.bold, self.dim, self.red, self.plain = (
            ("\x1b[1m", "\x1b[2m", "\x1b[31;1m", "\x1b[0m") if tty else ("", "", "", ""))
        self.number = 0

    def step(self, text: str):
        self.number += 1
        print(f"\n{self.bold}{self.number}. {text}{self.plain}", flush=True)

    def say(self, text: str = ""):
        for line in text.splitlines() or [""]:
            print(f"   {line}".rstrip(), flush=True)

    def command(self, *words: str):
        self.say(f"{self.dim}$ dnsdirector {' '.join(words)}{self.plain}")


class Demo:
    def __init__(self, screen: Screen, lab: Lab):
        self.screen, self.lab = screen, lab
        self.rows = []      # of the table at the end: (what, result, out ms, back ms)
        self.notes = []     # below it
        self.broken = []    # promises

    # The story.
    def run(self):
        config = DIRECTOR + cluster(WEIGHTS, check=CHECK)
        self.screen.step("The configuration, and the director started with it")
        self.screen.say(config)
        director = Director(self.lab, config)
        with director:
            began = time.monotonic()
            director.wait_states(**{name: "up" for name in MAKES})
            self.screen.say(f"All servers checked and taken in after "
                            f"{(time.monotonic() - began) * 1000:.0f} ms.")
            self.shares(director)
            self.killed(director)
            self.servfail(director)
            self.drain(director)
            self.reload(director, config)
            self.kill9(director)
            self.show_status(director)
            self.stop(director)
        self.compatible()

    def show_status(self, director):
        colour = {"CLICOLOR_FORCE": "1"} if sys.stdout.isatty() else {}
        self.screen.command("status")
        done = subprocess.run(director.argv("status"), check=True, stdout=subprocess.PIPE,
                              text=True, env={**os.environ, **colour})
        self.screen.say(done.stdout)

    def shares(self, director):
        self.screen.step("Shares: weights 2, 1, 1; every answer looked at")
        total = sum(WEIGHTS.values())
        for what, target, options in (
                ("UDP over IPv4", plan.SERVICE_V4, {"rate": RATE, "count": 20000}),
                ("UDP over IPv6", plan.SERVICE_V6, {"rate": RATE, "count": 20000}),
                ("TCP over IPv4", plan.SERVICE_V4, {"rate": 300, "count": 900, "tcp": True})):
            result = self.lab.load(target, **options).start().finish()
            shares = result.shares()
            self.screen.say(f"{what}: {self.fate(result)}")
            for name, make in MAKES.items():
                wanted = WEIGHTS[name] / total
                self.screen.say(f"    {name} {make:18} {result.counts().get(name, 0):6} answers "
                                f"{shares.get(name, 0):7.2%}   by weight {wanted:6.2%}")
                if not options.get("tcp") and abs(shares.get(name, 0) - wanted) > 0.01:
                    self.breach(f"{what}: the share of {name} is off by more than 1%")
            self.row(what, result, lossless=True)
        self.screen.say("UDP goes by packet, so the shares are exact; TCP goes by flow.")

    def killed(self, director):
        self.screen.step(f"s1, {MAKES['s1']}, is killed under {RATE} queries a second")
        s1 = self.lab.servers["s1"]
        self.failure(director, "s1", "killed", s1.kill, lambda: s1.start(wait=False))

    def servfail(self, director):
        self.screen.step(f"s3, {MAKES['s3']}, loses its way to the tree: SERVFAIL to everything")
        self.failure(director, "s3", "SERVFAIL to all", lambda: self.lab.cut_off("s3"),
                     lambda: self.lab.reconnect("s3"), show=True)

    def failure(self, director, name, what, break_it, mend_it, show=False):
        """A server breaks at 1 s and is mended 2 s later. show: the status in
        between, with the server out so long that PKT/S has forgotten it."""
        out_for = 4.0 if show else 2.0
        with self.lab.load(rate=RATE, seconds=4 + out_for, timeout_ms=500) as load:
            load.sleep_until(1.0)
            broken_at = time.monotonic()
            break_it()
            director.wait_states(timeout=5, where=UDP4, **{name: "down"})
            server = director.server(name, **UDP4)
            if show:
                load.sleep_until(0.7 + out_for)
                self.show_status(director)
                self.screen.say("PKT/S averages over the last seconds.")
            load.sleep_until(1.0 + out_for)
            mend_it()
            mended_at = time.monotonic()
            result = load.finish()
        self.screen.say(self.fate(result))
        harmed = result.lost_at + result.wrong_at
        out = max(harmed) - result.at(broken_at) if harmed else 0
        self.screen.say(f"Out {out:.0f} ms after it broke: the last harmed query was sent then, "
                        f"{len(harmed)} of {result.sent} in all.")
        if out > 400:
            self.breach(f"{what}: out after {out:.0f} ms, more than 400 ms")
        self.screen.say(f"The checks saw: {server['reason']}. The clients saw: {result.lost} "
                        f"queries without an answer, {result.wrong} wrong answers.")
        spans = result.spans(name)
        back = spans[1][0] - result.at(mended_at) if len(spans) == 2 else None
        if back is None:
            self.breach(f"{what}: {name} did not go and come back while the load ran")
        else:
            self.screen.say(f"Mended, and back after {back:.0f} ms.")
        self.row(f"{name} {what}", result, lossless=False, out=out, back=back)

    def drain(self, director):
        self.screen.step(f"s2, {MAKES['s2']}, is drained for maintenance, and taken back")
        with self.lab.load(rate=RATE, seconds=3) as load, self.tcp_load(3) as tcp_load:
            load.sleep_until(0.4)
            held = HeldConnections(self.lab.client.netns, HELD)
            load.sleep_until(0.7)
            self.screen.command("drain", "s2")
            drained_at = time.monotonic()
            self.screen.say(director.command("drain", "s2").stdout)
            load.sleep_until(1.0)
            fates = held.ask()
            load.sleep_until(2.0)
            self.screen.command("undrain", "s2")
            undrained_at = time.monotonic()
            self.screen.say(director.command("undrain", "s2").stdout)
            result, tcp = load.finish(), tcp_load.finish()
        spans = result.spans("s2")
        if len(spans) == 2:
            self.screen.say(f"{(undrained_at - drained_at) * 1000:.0f} ms from one command to the "
                            f"other; s2 got no query for {spans[1][0] - spans[0][1]:.0f} ms.")
        else:
            self.breach("drain: s2 was not out and back")
        self.both("s2 drained and back", result, tcp)
        self.notes.append(f"Of {HELD} idle TCP connections {fates['reset']} were reset, "
                          f"{fates['silent']} fell silent by the drain: flows stay with their "
                          "server.")
        self.screen.say(self.notes[-1])
        if fates["reset"] or fates["silent"]:
            self.breach("drain: idle TCP connections were lost")

    def reload(self, director, config):
        self.screen.step("20 reloads under load: weights, servers removed and added")
        steps = [{"s1": 1, "s2": 1, "s3": 1}, {"s1": 1, "s2": 5}, {"s2": 1, "s3": 3}, WEIGHTS]
        with self.lab.load(rate=RATE, seconds=5) as load, self.tcp_load(5) as tcp_load:
            for number in range(20):
                load.sleep_until(0.3 + 0.2 * number)
                done = director.reload(DIRECTOR + cluster(steps[number % len(steps)],
                                                          check=CHECK))
                if number == 1:
                    self.screen.command("reload")
                    self.screen.say(done.stdout)
                    self.screen.say("… and 19 more like it.")
            result, tcp = load.finish(), tcp_load.finish()
        self.both("20 reloads", result, tcp)

        self.screen.step("A typo in the file")
        with self.lab.load(rate=RATE, seconds=1) as load:
            held = HeldConnections(self.lab.client.netns, HELD)
            director.write(config.replace("lb_algo", "lb_allgo"))
            done = director.command("reload", check=False)
            fates = held.ask()
            self.screen.command("reload")
            self.screen.say(done.stdout + done.stderr)
            self.screen.say(f"exit status {done.returncode}; the old configuration stays in force")
            result = load.finish()
        if done.returncode != 1:
            self.breach("the broken file was not refused")
        self.screen.say(self.fate(result))
        self.screen.say(f"Of {HELD} open TCP connections {fates['answered']} answer afterwards.")
        if fates["answered"] != HELD:
            self.breach(f"broken file: open TCP connections suffered: {dict(fates)}")
        self.row("broken file refused", result, lossless=True)
        director.reload(config)
        director.wait_states(**{name: "up" for name in MAKES})

    def kill9(self, director):
        self.screen.step("kill -9 of the director, and a new start two seconds later")
        before = sum(director.packets(**UDP4).values())
        with self.lab.load(rate=RATE, seconds=5) as load:
            load.sleep_until(1.0)
            director.kill9()
            load.sleep_until(3.0)
            director.start()
            states = director.states()
            result = load.finish()
        after = sum(director.packets(**UDP4).values())
        words = ", ".join(f"{name} {state}" for name, state in states.items())
        self.screen.say("Without the daemon the kernel forwarded by the last table; the new one "
                        f"adopted it.\nRight after the start: {words}.")
        self.screen.say(self.fate(result))
        self.screen.say(f"Packets counted: {before} before, {after} after, "
                        f"{after - before} in between of {result.sent} sent.")
        if after - before != result.sent:
            self.breach("kill -9: the counters do not go on")
        if set(states.values()) != {"up"}:
            self.breach(f"kill -9: a server was not up after the start: {states}")
        self.row("kill -9 and restart", result, lossless=True)

    def stop(self, director):
        self.screen.step("A clean stop")
        director.process.send_signal(signal.SIGTERM)
        code = director.process.wait(15)
        left = director.held_service_ips() + director.xdp_links() + director.pins()
        self.screen.say(f"exit status {code}; service addresses, XDP programs and pins left: "
                        f"{', '.join(left) or 'none'}")
        if code != 0 or left:
            self.breach("the clean stop left something behind")

    def compatible(self):
        self.screen.step(f"A keepalived.conf with dig checks, as it stands: {KEEPALIVED}")
        with open(os.path.join(REPOSITORY, KEEPALIVED), encoding="utf-8") as file:
            config = file.read()
        director = Director(self.lab, config)
        self.screen.command("check-config", "-f", KEEPALIVED)
        done = director.tool("check-config", "-f", director.config)
        self.screen.say((done.stdout + done.stderr).replace(director.config, KEEPALIVED))
        if done.returncode != 0:
            self.breach(f"{KEEPALIVED} was refused")
            return
        with director:
            with self.lab.load(rate=2000, seconds=2) as load, self.tcp_load(2) as tcp_load:
                result, tcp = load.finish(), tcp_load.finish()
            self.screen.say("In at once, as keepalived does it; then delay_loop 10 passes "
                            "until dig has asked.")
            director.wait_states(timeout=25, every=0.2,
                                 **{name: "up" for name in director.states()})
            self.show_status(director)
        self.both("keepalived.conf", result, tcp, settled=True)

    # What became of the queries.
    def tcp_load(self, seconds):
        return self.lab.load(rate=TCP_RATE, seconds=seconds, tcp=True)

    def both(self, what, udp, tcp, settled=False):
        """Rows for UDP, lossless, and TCP, which is that only while no server changes."""
        self.screen.say(f"UDP: {self.fate(udp)}")
        self.screen.say(f"TCP, a new connection for each: {self.fate(tcp)}")
        self.row(what, udp, lossless=True)
        self.row("  the same, TCP", tcp, lossless=settled)
        if tcp.wrong:
            self.breach(f"{what}: {tcp.wrong} wrong answers over TCP ({tcp})")

    @staticmethod
    def fate(result) -> str:
        return (f"{result.sent} queries, {result.lost} lost, {result.wrong} answered wrongly, "
                f"{result.refused} refused; answer time p50 {result.rtt_us['p50']:.0f} µs, "
                f"p99 {result.rtt_us['p99']:.0f} µs.")

    def row(self, what, result, lossless, out=None, back=None):
        self.rows.append((what, result, out, back))
        if lossless and result.failed:
            self.breach(f"{what}: {result.failed} queries lost, refused or answered wrongly "
                        f"({result})")

    def breach(self, what: str):
        self.broken.append(what)
        self.screen.say(f"{self.screen.red}NOT AS PROMISED: {what}{self.screen.plain}")

    def summary(self):
        self.screen.step("Summary")
        heads = "queries,lost,refused,wrong,out after ms,back after ms,p50 µs,p99 µs".split(",")
        self.screen.say(f"{'':22}" + "".join(f"  {head}" for head in heads))
        for what, result, *times in self.rows:
            figures = [result.sent, result.lost, result.refused, result.wrong,
                       *("" if ms is None else f"{ms:.0f}" for ms in times),
                       f"{result.rtt_us['p50']:.0f}", f"{result.rtt_us['p99']:.0f}"]
            self.screen.say(f"{what:22}" + "".join(f"  {figure:>{len(head)}}"
                                                   for head, figure in zip(heads, figures)))
        self.screen.say("out after: from the break to the last query that was harmed; "
                        "back after: from the mending,\na server's own start included. "
                        "TCP refused: connections reset when their server changed.")
        self.screen.say("\n".join(self.notes))


class HeldConnections:
    """TCP connections of the client's that are open and idle until asked."""

    QUERY = bytes.fromhex("0001 0100 0001 0000 0000 0000") + b"".join(
        bytes([len(label)]) + label.encode() for label in plan.WWW_NAME.split(".")
    ) + bytes.fromhex("00 0001 0001")

    def __init__(self, netns: str, count: int):
        self.sockets = in_netns(netns, lambda: [self._open() for _ in range(count)])

    @staticmethod
    def _open():
        # Not all at once: BIND listens with a queue of ten. Three seconds allow
        # for a SYN that is sent again.
        time.sleep(0.005)
        return socket.create_connection((plan.SERVICE_V4, 53), timeout=3)

    def ask(self) -> Counter:
        """Sends a query on each and closes it; how many answered, were reset, fell silent."""
        return Counter(self._fate(connection) for connection in self.sockets)

    def _fate(self, connection) -> str:
        with connection:
            try:
                connection.sendall(len(self.QUERY).to_bytes(2, "big") + self.QUERY)
                return "answered" if connection.recv(2) else "reset"
            except TimeoutError:
                return "silent"
            except ConnectionError:
                return "reset"


def leftovers(registry: Registry, namespaces: list) -> list:
    """What a torn down lab left: its directory, namespaces, mounts."""
    left = [p for p in [registry.directory] + [netns_path(n) for n in namespaces]
            if os.path.exists(p)]
    with open("/proc/mounts", encoding="utf-8") as mounts:
        return left + [m for m in mounts if registry.directory in m]


def main() -> int:
    argparse.ArgumentParser(prog="demo", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    why_not = missing_privileges()
    if why_not:
        raise LabError(why_not)
    # Ends by exceptions, so that the lab is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    began = time.monotonic()
    screen = Screen()
    screen.step("A network in namespaces")
    with Lab(servers=["bind", "unbound", "pdns"]) as lab:
        demo = Demo(screen, lab)
        screen.say(f"client {plan.CLIENT_V4} ── router ──┬── director {plan.DIRECTOR_V4}, "
                   f"service IPs {plan.SERVICE_V4} and {plan.SERVICE_V6}")
        for number, (name, make) in enumerate(MAKES.items(), 1):
            screen.say(f"{'':31}├── {name} {plan.server_v4(number)} {make}")
        screen.say(f"{'':31}└── auth: root (NSD), com. and net., example.com. and example.net. "
                   "(Knot DNS)")
        registry = lab.registry
        namespaces = [e["name"] for e in registry.entries("netns")]
        demo.run()
        leaks = lab.down()
    demo_redundancy.run(screen, demo)
    demo.summary()
    left = leaks + leftovers(registry, namespaces)
    screen.say()
    screen.say(f"{time.monotonic() - began:.0f} s; left behind: {', '.join(left) or 'nothing'}")
    for what in demo.broken:
        screen.say(f"{screen.red}NOT AS PROMISED: {what}{screen.plain}")
    return 1 if demo.broken or left else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LabError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
