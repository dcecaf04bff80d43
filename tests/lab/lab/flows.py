# SPDX-License-Identifier: Apache-2.0
"""Long-lived TCP connections (tools/tcpflows.cc) and floods of forged segments
(tools/tcpflood.cc)."""

import json
import re
import signal
import subprocess
import time

from . import plan
from .registry import start_time
from .system import SLOWNESS, LabError, stretched


class Running:
    """A tool that prints one JSON object at its end. A context manager."""

    def __init__(self, host, what: str, argv: list, limit: float):
        self.host = host
        self.what = what
        self.argv = argv
        self.limit = limit
        self.result = None
        self.process = None

    def start(self):
        self.begun = time.monotonic()
        self.process = subprocess.Popen(self.host.argv(*self.argv), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.host.registry.add("process", what=self.what, pid=self.process.pid,
                               start=start_time(self.process.pid))
        return self

    def running(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> dict:
        """Ends it now, and returns what it says."""
        if self.running():
            self.process.send_signal(signal.SIGINT)
        return self.finish()

    def finish(self) -> dict:
        if self.result is None:
            output, errors = self.process.communicate(timeout=self.limit)
            if self.process.returncode != 0:
                raise LabError(f"{self.what} failed ({self.process.returncode}): {errors}")
            self.result = json.loads(output)
        return self.result

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.stop()
        elif self.running():
            self.process.kill()
            self.process.wait(stretched(5))


class Flows(Running):
    """Connections, each with a query every so often; stop() tells which broke."""

    def __init__(self, host, tool: str, target: str, connections: int = 500, every_ms: int = 50,
                 seconds: float = 300):
        seconds = stretched(seconds)
        super().__init__(host, "tcpflows",
                         [tool, "--target", target, "--connections", connections,
                          "--every", round(every_ms * SLOWNESS), "--seconds", round(seconds),
                          "--timeout", round(stretched(5000)), "--name", plan.WWW_NAME],
                         seconds + stretched(30))


class Flood(Running):
    """`count` forged segments of these kinds, in turns, at `rate` in a second."""

    def __init__(self, sender, director, tool: str, kinds: str = "syn,ack,data",
                 count: int = 100000, rate: float = 20000):
        link = director.run("ip", "-o", "link", "show", "dev", "eth0").stdout
        mac = re.search(r"link/ether ([0-9a-f:]+)", link).group(1)
        rate /= SLOWNESS
        super().__init__(sender, "tcpflood",
                         [tool, "--interface", "eth1", "--to", mac, "--target", plan.SERVICE_V4,
                          "--kinds", kinds, "--count", count, "--rate", rate],
                         count / rate + stretched(60))
