# SPDX-License-Identifier: Apache-2.0
"""IPVS in the virtual machine: its table, who else writes it, keepalived beside it."""

import os
import subprocess

from . import ipvs_dump
from .system import stretched

# The kernel adds up every two seconds what its CPUs counted (ip_vs_est.c).
ESTIMATOR_SECONDS = 2.0


def table(host) -> list:
    """The lines of a namespace's table, as ipvsadm would take them."""
    return sorted(host.run("ipvsadm", "-Sn").stdout.splitlines())


def ipvsadm(host, *lines: str):
    """Runs ipvsadm once for each line of arguments."""
    for line in lines:
        host.run("ipvsadm", *line.split())


def prepare(host):
    """The sysctls as docs/ipvs.md wants them."""
    host.sysctl(ipv4__vs__expire_nodest_conn=1, ipv4__vs__expire_quiescent_template=1)


def clear(host):
    """Empties the table, services of any maker."""
    if ipvs_dump.dump(host):
        host.run("ipvsadm", "-C")


class Keepalived:
    """keepalived's checkers alone (-C), on one file. directory: for its log and pid files."""

    def __init__(self, host, path: str, directory: str):
        self.log = os.path.join(directory, "keepalived.log")
        pids = [os.path.join(directory, name) for name in ("pid", "checkers.pid")]
        self.process = host.start("keepalived", [
            "keepalived", "-n", "-l", "-C", "-f", path, "-p", pids[0], "-c", pids[1]], self.log)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(stretched(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(stretched(5))

    def __enter__(self) -> "Keepalived":
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
