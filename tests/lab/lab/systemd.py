# SPDX-License-Identifier: Apache-2.0
"""A real systemd in a host of the lab: a user manager of its own, in a mount namespace with a /run
and a cgroup tree of its own. It runs the project's unit."""

import os
import re
import subprocess
import time

from .director import REPOSITORY, Director
from .system import LabError, find_program, run, stretched, wait_for

MANAGER = "/lib/systemd/systemd"
UNIT = os.path.join(REPOSITORY, "packaging", "systemd", "dnsdirector.service")

# Settings of the unit that a user manager refuses or cannot do, or that would hide the lab:
# privileges that it does not have to give, and file systems that it may not mount.
NOT_HERE = ("CapabilityBoundingSet", "LockPersonality", "NoNewPrivileges", "PrivateTmp",
            "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname",
            "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables", "ProtectSystem",
            "ReadWritePaths", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
            "RestrictSUIDSGID", "SystemCallArchitectures", "SystemCallFilter",
            "SystemCallErrorNumber", "OOMScoreAdjust", "LimitNOFILE", "ExecStartPre",
            "RuntimeDirectory", "RuntimeDirectoryPreserve", "RuntimeDirectoryMode",
            "Wants", "After", "WantedBy", "Documentation")

START = """set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system "$XDG_RUNTIME_DIR"
chmod 700 "$XDG_RUNTIME_DIR"
mount -t cgroup2 none /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$1"
echo $$ > "/sys/fs/cgroup/$1/cgroup.procs"
exec {manager} --user --log-level=notice --log-target=console
"""


def unit_text(director: Director, **settings) -> str:
    """The packaged unit for this director. settings: what is set to something else."""
    lines, given = [], dict(settings)
    with open(UNIT, encoding="utf-8") as file:
        for line in file.read().splitlines():
            name = line.partition("=")[0]
            if line.startswith("#") or name in NOT_HERE:
                continue
            if name == "ExecStart":
                line = (f"ExecStart={director.program} run -f {director.config} --run-dir "
                        f"{director.run_dir} --pin-dir {director.pin_dir}")
            elif name in given:
                line = f"{name}={given.pop(name)}"
            lines.append(line)
    assert not given, f"the unit has no {sorted(given)}"
    return "\n".join(lines) + "\n"


class Systemd:
    """The manager, and the director as its unit. A context manager."""

    def __init__(self, director: Director, **settings):
        self.director, self.host = director, director.host
        self.directory = director.lab.path(f"{director.name}-systemd")
        self.units = os.path.join(self.directory, "units")
        self.log = os.path.join(self.directory, "log")
        self.runtime = "/run/user/0"
        self.cgroup = f"{director.lab.registry.lab['id']}-{director.name}"
        os.makedirs(self.units)
        with open(os.path.join(self.units, "dnsdirector.service"), "w", encoding="utf-8") as file:
            file.write(unit_text(director, **settings))

    def __enter__(self) -> "Systemd":
        environment = {"XDG_RUNTIME_DIR": self.runtime, "SYSTEMD_UNIT_PATH": f"{self.units}:",
                       "HOME": self.directory, "PATH": os.environ["PATH"],
                       "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime}/nobody"}
        script = START.replace("{manager}", MANAGER)
        self.process = self.host.start(
            "systemd", ["unshare", "--mount", "sh", "-c", script, "sh", self.cgroup], self.log,
            env=environment)
        try:
            wait_for("systemd", lambda: self.process.poll() is not None
                     or self.systemctl("is-system-running", check=False).stdout.strip()
                     in ("running", "degraded"), 30)
            if self.process.poll() is not None:
                raise LabError(f"systemd ended with {self.process.returncode}")
        except BaseException:
            self.__exit__(LabError, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(f"--- systemd\n{self.text()[-8000:]}")
        if self.process.poll() is None:
            self.systemctl("stop", "dnsdirector", check=False, timeout=stretched(20))
            # What a manager does with SIGTERM is to stop everything, and to end.
            self.process.terminate()
            try:
                self.process.wait(stretched(20))
            except subprocess.TimeoutExpired:
                pass
        self._end_the_rest()
        self.director.process = None
        self.director.cleanup()

    def _end_the_rest(self):
        """By its control group, which holds all that the manager ever started."""
        root = self._mount_cgroups()
        own = os.path.join(root, self.cgroup)
        kill = os.path.join(own, "cgroup.kill")
        if os.path.exists(kill):
            with open(kill, "w", encoding="ascii") as file:
                file.write("1")

        def empty():
            if not os.path.isdir(own):
                return True
            for path, _, _ in os.walk(own, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    return False
            return True
        wait_for("the end of systemd's processes", empty, 10)
        run("umount", root)
        os.rmdir(root)
        if self.process.poll() is None:
            self.process.wait(stretched(10))

    def _mount_cgroups(self) -> str:
        root = os.path.join(self.directory, "cgroup")
        os.makedirs(root, exist_ok=True)
        run("mount", "-t", "cgroup2", "none", root)
        return root

    def inside(self, *argv) -> list:
        """A command line in the manager's namespaces."""
        return ["nsenter", "-t", str(self.process.pid), "-m", "-n", "env",
                f"XDG_RUNTIME_DIR={self.runtime}", *argv]

    def systemctl(self, *words, check=True, timeout=60):
        return run(*self.inside(find_program("systemctl"), "--user", "--no-pager", *words),
                   check=check, timeout=timeout)

    def show(self, name: str) -> str:
        return self.systemctl("show", "-P", name, "dnsdirector").stdout.strip()

    def pid(self) -> int:
        return int(self.show("MainPID"))

    def text(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def start(self):
        self.systemctl("start", "dnsdirector")

    def wait_restarted(self, old: int, timeout: float = 20) -> int:
        """Until another process is ready; its pid."""
        wait_for("another director", lambda: self.pid() not in (0, old)
                 and self.show("SubState") == "running", timeout, 0.05)
        return self.pid()


class RouteWatch:
    """All that happens to the kernel's routes of a host."""

    def __init__(self, host, path: str):
        self.host, self.path = host, path

    def __enter__(self) -> "RouteWatch":
        self.process = self.host.start("ip-monitor", ["ip", "monitor", "route"], self.path)
        self._see("192.0.2.99")
        return self

    def _see(self, address: str):
        """What it has seen shows that it sees, and that nothing before that is still to come."""
        for _ in range(50):
            self.host.ip(f"route add {address} dev lo proto 99", f"route del {address} dev lo proto 99")
            if address in self.text():
                return
            time.sleep(0.05)
        raise LabError("ip monitor sees nothing")

    def text(self) -> str:
        if not os.path.exists(self.path):
            return ""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def changes(self, *addresses: str) -> list:
        self._see("192.0.2.98")
        return [line for line in self.text().splitlines()
                if any(re.search(rf"(^|\s){re.escape(a)}\s", line) for a in addresses)]

    def __exit__(self, kind, value, trace):
        self.process.terminate()
        self.process.wait(stretched(5))
