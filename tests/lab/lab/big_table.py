# SPDX-License-Identifier: Apache-2.0
"""Large IPVS tables, and how long the director and ipvsadm take over them."""

import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass

from .director import binary
from .network import Network
from .registry import Registry
from .system import LabError, stretched, wait_for

SWITCH = "switch"  # a file whose number takes the last server out and in


@dataclass(frozen=True)
class Shape:
    """So many services with so many real servers each, none of them alike."""

    services: int
    servers: int

    def __str__(self):
        return f"{self.services}x{self.servers}"

    @property
    def size(self) -> int:
        return self.services * self.servers

    def configuration(self, directory: str) -> str:
        """Without checks but for one server, which a file takes out and in: what is
        measured is the table."""
        lines = ["director { dataplane ipvs }", f"track_file {SWITCH} {{",
                 f'    file "{os.path.join(directory, SWITCH)}"', "}"]
        for service in range(1, self.services + 1):
            lines += [f"virtual_server 2001:db8:0:1::{service:x} 53 {{", "    lb_algo wrr",
                      "    lb_kind DR", "    protocol UDP"]
            last = service == self.services
            for server in range(1, self.servers + 1):
                lines += [f"    real_server 2001:db8:1:{service:x}::{server:x} 53 {{",
                          f"        weight {1 + server % 7}"]
                if last and server == self.servers:
                    lines += ["        FILE_CHECK {", f"            track_file {SWITCH}",
                              "            weight 0", "        }"]
                lines.append("    }")
            lines.append("}")
        return "\n".join(lines) + "\n"


@contextmanager
def bare_host():
    """A namespace with nothing but lo."""
    registry = Registry.create(keep=False)
    try:
        yield Network(registry, registry.lab["id"]).real_server(1, [])
    finally:
        left = registry.teardown()
        if left:
            raise LabError(f"ended by force: {left}")


class BigTable:
    """The director on a table of this shape, beside nothing else."""

    def __init__(self, host, shape: Shape, directory: str):
        self.host, self.shape, self.directory = host, shape, directory
        os.makedirs(directory, exist_ok=True)
        self.config = os.path.join(directory, "dnsdirector.conf")
        self.run_dir = os.path.join(directory, "run")
        self.saved = os.path.join(directory, "table")
        self.log = os.path.join(directory, "log")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(shape.configuration(directory))
        self.switch(0)
        self.process = None

    def switch(self, number: int):
        with open(os.path.join(self.directory, SWITCH), "w", encoding="ascii") as file:
            file.write(f"{number}\n")

    # The table.
    def lines(self) -> list:
        return self.host.run("ipvsadm", "-Sn").stdout.splitlines()

    def save(self):
        """For restore(): what is there now."""
        with open(self.saved, "w", encoding="ascii") as file:
            file.write(self.host.run("ipvsadm", "-Sn").stdout)

    def restore(self) -> float:
        """ipvsadm -R of the saved table, in seconds."""
        with open(self.saved, encoding="ascii") as file:
            begun = time.monotonic()
            subprocess.run(self.host.argv("ipvsadm", "-R"), stdin=file, check=True,
                           timeout=stretched(60))
            return time.monotonic() - begun

    def clear(self):
        self.host.run("ipvsadm", "-C")

    # The director.
    def start(self) -> float:
        """From exec to READY=1, which is said when the table is in force; in seconds."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            path = os.path.join(self.directory, "notify")
            ready.bind(path)
            ready.settimeout(1)
            deadline = time.monotonic() + stretched(20)
            try:
                begun = time.monotonic()
                self.process = self.host.start(
                    "dnsdirector", [binary(), "run", "-f", self.config, "--run-dir",
                                    self.run_dir], self.log,
                    env={**os.environ, "NOTIFY_SOCKET": path})
                while True:
                    try:
                        if b"READY=1" in ready.recv(4096):
                            return time.monotonic() - begun
                    except TimeoutError:
                        if self.process.poll() is not None or time.monotonic() > deadline:
                            raise LabError("the director was not ready:\n"
                                           f"{self.said()[-2000:]}") from None
            finally:
                os.unlink(path)

    def said(self) -> str:
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def stop(self) -> float:
        """A clean stop, which takes the table away; in seconds."""
        begun = time.monotonic()
        self.process.terminate()
        self.process.wait(stretched(60))
        return time.monotonic() - begun

    def kill9(self):
        self.process.kill()
        self.process.wait(stretched(10))

    def end(self):
        if self.process is not None and self.process.poll() is None:
            self.kill9()
        self.clear()

    def cpu_seconds(self) -> float:
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def peak_memory_mb(self) -> float:
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status
                        if line.startswith("VmHWM:")) / 1024

    def idle_share(self, seconds: float) -> float:
        """Of one processor, while nothing changes."""
        before, begun = self.cpu_seconds(), time.monotonic()
        time.sleep(seconds)  # what is measured is an amount of time
        return (self.cpu_seconds() - before) / (time.monotonic() - begun)

    def change(self, out: bool) -> int:
        """One server goes or comes back by its check's verdict: microseconds from that to
        the table, as the director says."""
        self.switch(1 if out else 0)
        # A check looks at the file every second.
        wait_for("the change", lambda: self.last_server_there() != out, 10, every=0.2)
        # Noted by the loop that changes the table, before it answers this question.
        done = self.host.run(binary(), "status", "--json", "--run-dir", self.run_dir)
        return json.loads(done.stdout)["engine"]["last_verdict_to_table_us"]

    def last_server_there(self) -> bool:
        last = f"[2001:db8:1:{self.shape.services:x}::{self.shape.servers:x}]:53"
        service = f"[2001:db8:0:1::{self.shape.services:x}]:53"
        return last in self.host.run("ipvsadm", "-Ln", "-u", service).stdout
