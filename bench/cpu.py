# SPDX-License-Identifier: Apache-2.0
"""Processor time: of the whole machine, and of processes one by one."""

import gzip
import os
import resource
import time
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


PROCESSORS = os.sysconf("SC_NPROCESSORS_ONLN")


def machine_idle() -> tuple:
    """(seconds in which the processors had nothing to do, seconds that a hypervisor took),
    all processors together, since boot. Idle time is kept exactly where the tick stops in
    it (NO_HZ); busy time is only sampled by the tick, so it is better had as the rest."""
    with open("/proc/stat", encoding="ascii") as stat:
        fields = list(map(int, stat.readline().split()[1:9]))
    return (fields[3] + fields[4]) / TICKS, fields[7] / TICKS


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
    stolen: float    # what a hypervisor gave to others
    groups: dict     # {name: seconds} of the processes asked about
    children: float  # of children that ended in it
    self: float      # of the process that measures

    @property
    def foreign(self) -> float:
        """Of what has nothing to do with all this, here and beside this machine."""
        ours = sum(self.groups.values()) + self.children + self.self
        return max(0.0, self.machine - ours) + self.stolen


class Meter:
    """Reads the counters at the start; usage() says what was used since.

    groups: {name: [pid, …]}; "softirq threads" is added.
    """

    def __init__(self, groups: dict = None):
        self.groups = {**(groups or {}), "softirq threads": softirq_threads()}
        self.begun = self._read()

    def _read(self):
        processes = {name: sum(map(of_process, pids)) for name, pids in self.groups.items()}
        return (time.monotonic(), *machine_idle(), processes, of_ended_children(),
                time.process_time())

    def usage(self) -> Usage:
        seconds, idle_time, stolen, processes, children, own = self._read()
        began = self.begun
        seconds -= began[0]
        stolen -= began[2]
        busy = PROCESSORS * seconds - (idle_time - began[1]) - stolen
        return Usage(seconds, max(0.0, busy), stolen,
                     {name: value - began[3][name] for name, value in processes.items()},
                     children - began[4], own - began[5])
