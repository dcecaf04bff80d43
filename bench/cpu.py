# SPDX-License-Identifier: Apache-2.0
"""Processor time: of the whole machine, and of processes one by one."""

import gzip
import os
import resource
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


def machine_busy() -> float:
    """Seconds in which the processors did anything, all together, since boot:
    user, nice, system, irq and softirq of proc(5); not what a hypervisor stole."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, stat.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / TICKS


def of_process(pid: int) -> float:
    """Seconds that all threads of a process ran, from the scheduler's own
    nanoseconds (Documentation/scheduler/sched-stats.rst). Work that the kernel
    does in softirq while the process runs counts as the process's, except on
    kernels with CONFIG_IRQ_TIME_ACCOUNTING."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        except FileNotFoundError:  # the thread has ended
            pass
    return total / 1e9


def of_ended_children() -> float:
    """Seconds of all children that this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def softirq_threads() -> list:
    """Pids of ksoftirqd/N, where the kernel does network work that is too much
    for the moment when it came."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/comm", encoding="utf-8") as comm:
                    if comm.read().startswith("ksoftirqd/"):
                        found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
    return found


def softirq_is_apart() -> bool:
    """Whether this kernel keeps softirq time out of the processes' (as far as its
    configuration can be read)."""
    try:
        with gzip.open("/proc/config.gz", "rt", encoding="ascii") as config:
            return "CONFIG_IRQ_TIME_ACCOUNTING=y\n" in config.read()
    except OSError:
        pass
    try:
        with open(f"/boot/config-{os.uname().release}", encoding="ascii") as config:
            return "CONFIG_IRQ_TIME_ACCOUNTING=y\n" in config.read()
    except OSError:
        return False


@dataclass
class Usage:
    """Seconds of processor time in a stretch of time."""

    seconds: float   # how long it was
    machine: float   # of everything on the machine
    groups: dict     # {name: seconds} of the processes asked about
    children: float  # of children that ended in it


class Meter:
    """Reads the counters at the start; usage() says what was used since.

    groups: {name: [pid, …]}; "softirq threads" is added.
    """

    def __init__(self, groups: dict = None):
        self.groups = {**(groups or {}), "softirq threads": softirq_threads()}
        self.begun = self._read()

    def _read(self):
        processes = {name: sum(map(of_process, pids)) for name, pids in self.groups.items()}
        return time.monotonic(), machine_busy(), processes, of_ended_children()

    def usage(self) -> Usage:
        now = self._read()
        return Usage(now[0] - self.begun[0], now[1] - self.begun[1],
                     {name: value - self.begun[2][name] for name, value in now[2].items()},
                     now[3] - self.begun[3])


def idle(seconds: float) -> float:
    """The machine's use while this process only waits, as a share of one processor."""
    meter = Meter()
    time.sleep(seconds)
    usage = meter.usage()
    return usage.machine / usage.seconds
