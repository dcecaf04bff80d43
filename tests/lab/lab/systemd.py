# SPDX-License-Identifier: Apache-2.0
"""The director as a unit of a real systemd: a user manager of the lab's own.

Its descriptor store, watchdog, restarts and start limits are those of the machine's systemd,
since it is the same program; nothing of the machine's own systemd is touched. It runs in the
director's network namespace and in a mount namespace with an empty /run, below a control group
of its own, in which all ends that it ever started.
"""

import os
import re

from .director import REPOSITORY, Director
from .registry import end_control_group
from .system import LabError, find_program, run, stretched, wait_for

PACKAGED = os.path.join(REPOSITORY, "packaging", "systemd")
MANAGER = "/lib/systemd/systemd"
# Debian's units for users: targets that each unit depends on, and the bus.
THEIR_UNITS = "/usr/lib/systemd/user"
NAME, BIRD = "dnsdirector.service", "dnsdirector-bird.service"

# What stands in the unit and does not go with the lab, and why.
DROPPED = {
    "Wants": "a user manager has no network-online.target",
    "After": "a user manager has no network-online.target",
    "PrivateTmp": "the lab, with the configuration and the pins, lies in /tmp",
    "ProtectKernelLogs": "hides /dev/kmsg, which not every container has",
    "ProtectKernelTunables": "hides parts of /proc that not every container lets be mounted over",
    "RuntimeDirectory": "it would lie in the manager's own /run; the lab's has --run-dir",
    "RuntimeDirectoryPreserve": "as RuntimeDirectory",
    "RuntimeDirectoryMode": "as RuntimeDirectory",
    "WantedBy": "the test starts it",
}
# What a test would wait for too long.
SHORTER = {"WatchdogSec": "2s"}
# The program under test may lie there.
SEEN = {"ProtectHome": "read-only"}

# For the test's eyes; and no core of a program that the watchdog ends.
ADDED = ("StandardOutput=append:{log}", "StandardError=append:{log}", "LimitCORE=0",
         "ExecStopPost=/bin/echo systemd saw it end: ${{SERVICE_RESULT}}")

# The manager's surroundings, in a mount namespace that nobody else sees: systemd asks for
# /run/systemd/system whether systemd runs, and for cgroup2 in its usual place.
SURROUNDINGS = """
echo $$ > "$1/cgroup.procs" &&
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system &&
mount -t cgroup2 cgroup2 /sys/fs/cgroup && shift && exec "$@"
"""


def missing_systemd() -> str:
    """Why there can be no private systemd here, or an empty text."""
    absent = [p for p in (MANAGER, "/usr/bin/systemctl", "/usr/bin/dbus-daemon")
              if not os.path.exists(p)]
    if absent:
        return f"no real systemd here: {' '.join(absent)} missing (packages systemd, dbus)"
    with open("/proc/filesystems", encoding="ascii") as known:
        return "" if re.search(r"\bcgroup2$", known.read(), re.M) else "no cgroup2 in this kernel"


def derived(name: str, log: str, changes: dict, places: dict) -> str:
    """A packaged unit for the lab. changes: settings in place of the unit's. places: paths by
    the packaged ones, for all other settings."""
    path = os.path.join(PACKAGED, name)
    lines, unused = [], set(changes) | set(places)
    with open(path, encoding="utf-8") as unit:
        for line in unit.read().splitlines():
            key = line.split("=", 1)[0]
            if key in DROPPED or line.startswith("#"):
                continue
            if key in changes:
                line = f"{key}={changes[key]}"
                unused.discard(key)
            else:
                unused -= {place for place in places if place in line}
                for place, ours in places.items():
                    line = re.sub(rf"{place}(?=[/ ]|$)", ours, line)
            lines.append(line)
            if line == "[Service]":
                lines += [setting.format(log=log) for setting in ADDED]
    if unused:
        raise LabError(f"{path} does not say {' '.join(sorted(unused))}")
    return "\n".join(lines) + "\n"


class Manager:
    """A private `systemd --user`. bus: with a D-Bus daemon, as most machines have one."""

    def __init__(self, host, directory: str, bus: bool = True):
        self.host, self.registry, self.directory = host, host.registry, directory
        self.units = os.path.join(directory, "units")
        self.runtime = os.path.join(directory, "xdg")
        self.log = os.path.join(directory, "systemd.log")
        self.groups = os.path.join(directory, "cgroup")
        # sd_pid_get_user_unit(3) wants the path that a logged in user's units have.
        name = os.path.basename(self.registry.directory)
        self.slice = os.path.join(self.groups, f"{name.replace('-', '_')}.slice")
        self.own = os.path.join(self.slice, "user@0.service")
        self.bus = bus
        self.process = None

    def start(self) -> "Manager":
        os.makedirs(self.units)
        os.mkdir(self.runtime, 0o700)
        os.mkdir(self.groups)
        for name in os.listdir(THEIR_UNITS):
            if name.endswith(".target") or (self.bus and name in ("dbus.socket", "dbus.service")):
                os.symlink(os.path.join(THEIR_UNITS, name), os.path.join(self.units, name))
        self.write("lab.target", "[Unit]\nDescription=The lab\n"
                   + ("Wants=dbus.socket\nAfter=dbus.socket\n" if self.bus else ""))
        self.registry.add("mount", path=self.groups)
        run("mount", "-t", "cgroup2", "cgroup2", self.groups)
        self.registry.add("cgroup", path=self.slice)
        os.makedirs(self.own)
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                       "HOME": self.directory, "XDG_RUNTIME_DIR": self.runtime,
                       "SYSTEMD_UNIT_PATH": self.units,
                       "SYSTEMD_LOG_TARGET": "null"}  # else it goes to the machine's console
        self.process = self.host.start(
            "systemd", ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        SURROUNDINGS, "sh", self.own, MANAGER, "--user", "--unit=lab.target"],
            self.log, env=environment)
        try:
            wait_for("systemd to be ready", lambda: self.systemctl(
                "is-active", "lab.target", check=False).stdout.strip() == "active", 10)
        except LabError as error:
            self.end()
            raise LabError(f"{error}; its output is in {self.log}") from None
        return self

    def write(self, name: str, text: str):
        with open(os.path.join(self.units, name), "w", encoding="utf-8") as unit:
            unit.write(text)

    def systemctl(self, *arguments, check=True, timeout=60):
        return run("nsenter", f"--target={self.process.pid}", "--mount", "--net", "--", "env",
                   f"XDG_RUNTIME_DIR={self.runtime}", "systemctl", "--user", *arguments,
                   check=check, timeout=timeout)

    def install(self, name: str, text: str):
        """A unit, or another text of one that is there."""
        self.write(name, text)
        self.systemctl("daemon-reload")

    def show(self, *properties, unit: str = NAME) -> dict:
        """Properties of a unit, as systemctl show gives them."""
        out = self.systemctl("show", unit, "-p", ",".join(properties)).stdout
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def close_private_socket(self):
        """Leaves the message bus as the only way to the manager."""
        os.unlink(os.path.join(self.runtime, "systemd", "private"))

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def end(self):
        """Ends all that it ever started, and removes its control group."""
        end_control_group(self.slice)
        if self.process:
            self.process.wait(stretched(10))
        if os.path.ismount(self.groups):
            run("umount", self.groups)


class Unit(Director):
    """A director that is started, restarted and ended by systemd.

    As a context manager like Director. changes: settings of the unit in place of its own."""

    def __init__(self, lab, config: str, bus: bool = True, **changes):
        super().__init__(lab, config)
        self.manager = Manager(self.host, self.directory, bus)
        self.beside = {}  # units that are to be there, by name
        command = (f"{self.program} run -f {self.config} --run-dir {self.run_dir} "
                   f"--pin-dir {self.pin_dir}")
        self.unit = derived(NAME, self.log, {
            **SHORTER, "ExecStartPre": f"+/bin/mkdir -p -m 0700 {self.pin_dir}",
            "ExecStart": command, "ReadWritePaths": f"-{self.pin_dir}", **changes}, {})

    def start(self, wait: bool = True, timeout: float = 15.0) -> "Unit":
        self.manager.start()
        for name, text in self.beside.items():
            self.manager.write(name, text)
        self.manager.install(NAME, self.unit)
        try:
            self.systemctl("start", timeout=timeout)
        except LabError as error:
            raise LabError(f"{error}\n{self.tail()}") from None
        return self

    def systemctl(self, verb: str, *options, check=True, timeout=60):
        return self.manager.systemctl(*options, verb, NAME, check=check, timeout=timeout)

    def pid(self) -> int:
        """Of the unit's main process; 0 while there is none."""
        return int(self.manager.show("MainPID")["MainPID"])

    def kill(self, number: int) -> int:
        """Sends the main process a signal; returns its pid."""
        pid = self.pid()
        if pid == 0:
            raise LabError(f"{NAME} has no main process: {self.manager.show('ActiveState')}")
        os.kill(pid, number)
        return pid

    def wait_new(self, old: int, timeout: float = 20.0) -> int:
        """Waits for a main process other than `old` that says it is ready."""
        def there():
            shown = self.manager.show("MainPID", "ActiveState", "SubState")
            new = int(shown["MainPID"])
            return new if new not in (0, old) and shown["SubState"] == "running" else 0
        return wait_for("another main process", there, timeout)

    def install_bird(self, log: str):
        """The unit of the director's own BIRD, beside it."""
        self.manager.install(BIRD, derived(BIRD, log, SEEN, {
            "/usr/bin/dnsdirector": self.program, "/usr/sbin/bird": find_program("bird"),
            "/usr/sbin/birdc": find_program("birdc"), "/run/dnsdirector": self.run_dir,
            "/etc/dnsdirector/dnsdirector.conf": self.config}))

    def running(self) -> bool:
        return self.manager.running() and self.pid() != 0

    def cleanup(self):
        try:
            if self.manager.running():
                self.systemctl("stop", check=False, timeout=30)
        finally:
            self.manager.end()
            super().cleanup()
