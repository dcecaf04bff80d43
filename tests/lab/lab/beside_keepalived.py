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


def servers_in_table(process) -> set:
    """Of the network namespace of a process."""
    found = set()
    with open(f"/proc/{process.pid}/net/ip_vs", encoding="ascii") as table:
        for line in table:
            words = line.split()
            if words[:1] == ["->"] and words[1].startswith("["):
                found.add(str(ipaddress.ip_address(words[1][1:words[1].index("]")])))
    return found


def _tree(pid: int) -> list:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [pid] + [one for child in children.read().split() for one in _tree(int(child))]


def _cpu(pid: int) -> float:
    """Of a process, of what it has started, and of what of that has ended."""
    total = 0
    for one in _tree(pid):
        try:
            with open(f"/proc/{one}/stat", encoding="utf-8") as stat:
                total += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:15]))
        except FileNotFoundError:  # it has ended, and is its parent's now
            pass
    return total / TICKS


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
        wait_for(f"{who}'s table", lambda: servers_in_table(process) == set(addresses), 20)
        time.sleep(timing.delay_loop)  # until every check runs at its own time
        before, begun = _cpu(process.pid), time.monotonic()
        time.sleep(seconds)  # what is measured is an amount of time
        rate = (_cpu(process.pid) - before) / (time.monotonic() - begun)
        assert servers_in_table(process) == set(addresses), f"{who} removed who lives"
        begun = time.monotonic()
        for victim in victims:
            dead.append(victim)
            host.ip(f"route add blackhole {victim}/128 table local")
        removals, left = [], set(victims)
        while left and time.monotonic() < begun + 3 * timing.longest:
            now = left - servers_in_table(process)
            removals += [time.monotonic() - begun] * len(now)
            left -= now
            time.sleep(0.05)
        assert not left, f"{who} did not remove {left}"
        assert servers_in_table(process) == set(addresses) - set(victims)
        return Outcome(who, 60 * rate, removals)
    finally:
        for victim in dead:
            host.ip(f"route del blackhole {victim}/128 table local")
        process.terminate()
        process.wait(60)
