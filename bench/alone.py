# SPDX-License-Identifier: Apache-2.0
"""A short stretch of time in which nothing else runs on the machine's processors.

What measures, and all that it starts, has a real-time priority; below it a spinner on each
processor takes all time that is left. Linux gives ordinary processes a share again only
after they have had next to none for 0.95 s (the fair server; before Linux 6.12 RT
throttling), so a stretch is shorter than that and begins with a rest: others stand still
for less than a second at a time, and have all of the machine in between."""

import os
import signal
import time
from contextlib import contextmanager

LONGEST_SECONDS = 0.9
REST_SECONDS = 0.2
OURS, SPINNERS = 2, 1  # real-time priorities
PROCESSORS = sorted(os.sched_getaffinity(0))


def prefer_us():
    """Gives this process, and all that it starts from now on, the higher priority."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(OURS))


@contextmanager
def alone():
    """Yields the spinners' pids. Their time is the machine's idle time, as it were."""
    time.sleep(REST_SECONDS)
    spinners = [_spin(processor) for processor in sorted(os.sched_getaffinity(0))]
    try:
        yield spinners
    finally:
        for pid in spinners:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _spin(processor: int) -> int:
    until = time.monotonic() + LONGEST_SECONDS
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setaffinity(0, {processor})
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(SPINNERS))
            while time.monotonic() < until:
                pass
        finally:
            os._exit(0)
    return pid
