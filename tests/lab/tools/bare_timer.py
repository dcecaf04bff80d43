# SPDX-License-Identifier: Apache-2.0
"""usage: bare_timer.py INTERVAL_MS REPORT_MS

Wakes every INTERVAL_MS and does nothing else: what a machine makes even of that.
Writes a line "WALL_CLOCK LATENESS", both in seconds, for each time that it woke
more than REPORT_MS late. Ends with its standard input.
"""

import select
import sys
import time

interval, report = (float(argument) / 1000 for argument in sys.argv[1:3])
due = time.monotonic() + interval
while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
    late = time.monotonic() - due
    if late > report:
        print(f"{time.time():.6f} {late:.6f}", flush=True)
    due = max(due + interval, time.monotonic())
