# SPDX-License-Identifier: Apache-2.0
"""One classic file given to keepalived and to the director: how soon a dead server is
out of the kernel's table, and what the checks cost."""

import ipaddress
import os
import time
from dataclasses import dataclass

from . import plan
from .director import binary
from .system import wait_for

SERVICE = "2001:db8::53"
TICKS = os.sysconf("SC_CLK_TCK")
WAYS = ("keepalived", "dnsdirector")


@dataclass
class Timing:
    """Of the checks, in seconds; the same for both."""

    delay_loop: int = 10
    tries: int = 2
    time: int = 2

    @property
    def longest(self) -> float:
        """From a death to its removal, if a check has just begun: it may still pass."""
        return 2 * self.delay_loop + 2 * self.tries * self.time


@dataclass
class Outcome:
    who: str
    cpu_seconds_per_minute: float  # user and system, of the whole tree of processes
    removals: list                 # seconds from the death of each victim, sorted
    wrongly: list                  # servers that lived, and were out for a while


def classic_file(addresses: list, timing: Timing) -> str:
    lines = [f"virtual_server {SERVICE} 53 {{", f"    delay_loop {timing.delay_loop}",
             "    lb_algo wrr", "    lb_kind DR", "    protocol UDP", "    ops"]
    for address in addresses:
        question = (f"/usr/bin/dig -b {plan.DIRECTOR_V6} a {plan.WWW_NAME} @{address} "
                    f"+time={timing.time} +tries={timing.tries} +fail > /dev/null")
        lines += [f"    real_server {address} 53 {{", "        weight 1", "        MISC_CHECK {",
                  f'            misc_path "{question}"',
                  f"            misc_timeout {2 * timing.tries * timing.time}", "        }",
                  "    }"]
    return "\n".join(lines) + "\n}\n"


def _start(lab, who: str, file: str, directory: str):
    log = os.path.join(directory, f"{who}.log")
    if who == "keepalived":
        pids = [os.path.join(directory, name) for name in ("pid", "checkers.pid")]
        return lab.director_host.start(who, ["keepalived", "-n", "-l", "-C", "-f", file,
                                             "-p", pids[0], "-c", pids[1]], log)
    config = os.path.join(directory, "dnsdirector.conf")
    with open(config, "w", encoding="utf-8") as out:
        out.write(f"director {{ dataplane ipvs }}\ninclude {file}\n")
    return lab.director_host.start(who, [binary(), "run", "-f", config, "--run-dir",
                                         os.path.join(directory, "run")], log)


def _dump(process) -> set:
    found = set()
    with open(f"/proc/{process.pid}/net/ip_vs", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[:1] == ["->"] and words[1].startswith("["):
                found.add(str(ipaddress.ip_address(words[1][1:words[1].index("]")])))
    return found


def _tail(directory: str, who: str) -> str:
    with open(os.path.join(directory, f"{who}.log"), encoding="utf-8", errors="replace") as log:
        return "".join(log.readlines()[-40:])


def servers_in_table(process) -> set:
    """Of the network namespace of a process. The kernel writes the file page by page, and
    one that stands behind a removed one may be left out of a dump: of two, the whole."""
    return _dump(process) | _dump(process)


def _tree(pid: int) -> list:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return [pid] + [one for child in children.read().split() for one in _tree(int(child))]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _cpu(pid: int) -> float:
    """Of a process, of what it has started, and of what of that has ended."""
    total = 0
    for one in _tree(pid):
        try:
            with open(f"/proc/{one}/stat", encoding="utf-8") as stat:
                total += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:15]))
        except (FileNotFoundError, ProcessLookupError):  # it has ended: its parent counts it
            pass
    return total / TICKS


def _watch(process, seconds: float, alive: set, wrongly: set):
    """For an amount of time, who of the living is out of the table."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wrongly |= alive - servers_in_table(process)
        time.sleep(0.25)


def measure(lab, who: str, addresses: list, victims: list, directory: str, seconds: float,
            timing: Timing) -> Outcome:
    """The victims die at one moment, silently, as a machine does that loses its power."""
    os.makedirs(directory, exist_ok=True)
    file = os.path.join(directory, "keepalived.conf")
    with open(file, "w", encoding="utf-8") as out:
        out.write(classic_file(addresses, timing))
    host = lab.host("crowd")
    process = _start(lab, who, file, directory)
    dead = []
    try:
        wait_for(f"{who}'s table", lambda: servers_in_table(process) == set(addresses), 60)
        wrongly = set()
        _watch(process, timing.delay_loop, set(addresses), wrongly)  # checks find their own times
        before, begun = _cpu(process.pid), time.monotonic()
        _watch(process, seconds, set(addresses), wrongly)
        rate = (_cpu(process.pid) - before) / (time.monotonic() - begun)
        # One that is out already does not show how soon it goes.
        victims = [victim for victim in victims if victim in servers_in_table(process)]
        begun = time.monotonic()
        for victim in victims:
            dead.append(victim)
            host.ip(f"route add blackhole {victim}/128 table local")
        removals, left, alive = [], set(victims), set(addresses) - set(victims)
        while left and time.monotonic() < begun + 3 * timing.longest:
            table = servers_in_table(process)
            removals += [time.monotonic() - begun] * len(left - table)
            left &= table
            wrongly |= alive - table
            time.sleep(0.05)
        assert not left, f"{who} did not remove {left}\n{_tail(directory, who)}"
        return Outcome(who, 60 * rate, removals, sorted(wrongly))
    finally:
        for victim in dead:
            host.ip(f"route del blackhole {victim}/128 table local")
        process.terminate()
        process.wait(60)
