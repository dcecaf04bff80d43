# SPDX-License-Identifier: Apache-2.0
"""What a lab made, written down as it is made, so that it can be unmade.

Each lab has a directory BASE/ddlab-ID with a journal, made.jsonl: one line
for each namespace, process, mount and control group. Teardown reads only the journal; it is
the same at the end of a with block and for `lab down` after a crash.
"""

import glob
import json
import os
import shutil
import signal
import time

from .system import LabError, netns_path, run, stretched, wait_for

# Not /run: Debian mounts it noexec, and the lab's tools are compiled here.
BASE = "/tmp"


def start_time(pid: int):
    """The start time of a process in clock ticks (proc(5), field 22), or None
    where there is none or only a zombie. With the pid it names one process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def end_control_group(path: str):
    """Ends all processes of a control group that the lab made (version 2), and removes it with
    the groups below it. Does nothing where it is gone already."""
    if not os.path.isdir(path):
        return
    with open(os.path.join(path, "cgroup.kill"), "w", encoding="ascii") as kill:  # Linux 5.14
        kill.write("1")

    def gone() -> bool:  # OSError while a process has not quite ended
        for directory, _, _ in os.walk(path, topdown=False):
            os.rmdir(directory)
        return not os.path.isdir(path)
    wait_for(f"the processes of {path} to end", gone, 10)


class Registry:
    """The journal of one lab."""

    def __init__(self, directory: str):
        self.directory = directory
        self.journal = os.path.join(directory, "made.jsonl")

    @classmethod
    def create(cls, keep: bool) -> "Registry":
        """A new lab directory. keep: outlives this process (`lab up`)."""
        for attempt in range(100):
            name = f"dd{os.getpid()}" + (f"x{attempt}" if attempt else "")
            directory = os.path.join(BASE, f"ddlab-{name}")
            try:
                os.mkdir(directory, 0o755)
            except FileExistsError:
                continue
            registry = cls(directory)
            registry.add("lab", id=name, owner=os.getpid(), keep=keep,
                         owner_start=start_time(os.getpid()))
            return registry
        raise LabError(f"no free name for a lab under {BASE}")

    @classmethod
    def all(cls) -> list:
        """Every lab on this machine, of this user."""
        found = []
        for directory in sorted(glob.glob(os.path.join(BASE, "ddlab-*"))):
            if (os.lstat(directory).st_uid == os.geteuid()
                    and os.path.exists(os.path.join(directory, "made.jsonl"))):
                found.append(cls(directory))
        return found

    def add(self, kind: str, **what):
        """Writes one line. Called before the thing is made, where possible."""
        with open(self.journal, "a", encoding="utf-8") as journal:
            journal.write(json.dumps({"kind": kind, **what}) + "\n")

    def entries(self, kind: str) -> list:
        try:
            with open(self.journal, encoding="utf-8") as journal:
                lines = [json.loads(line) for line in journal if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [line for line in lines if line["kind"] == kind]

    @property
    def lab(self) -> dict:
        return self.entries("lab")[0]

    def abandoned(self) -> bool:
        """True where the process that made the lab is gone without `keep`."""
        lab = self.lab
        return not lab["keep"] and start_time(lab["owner"]) != lab["owner_start"]

    def teardown(self) -> list:
        """Removes everything; returns what had to be removed by force."""
        leaks = self._stop_processes()
        for entry in self.entries("cgroup"):
            end_control_group(entry["path"])
        for entry in self.entries("netns"):
            leaks += self._end_all_in(entry["name"])  # they may keep a mount busy
        for entry in reversed(self.entries("mount")):
            # The kernel may hold it a moment longer than the process that used it.
            wait_for(f"{entry['path']} to be unmounted", lambda p=entry["path"]:
                     not os.path.ismount(p) or run("umount", p) and not os.path.ismount(p), 10)
        for entry in self.entries("netns"):
            if os.path.exists(netns_path(entry["name"])):
                run("ip", "netns", "del", entry["name"])
        shutil.rmtree(self.directory)
        return leaks

    def _stop_processes(self) -> list:
        alive = [e for e in self.entries("process") if start_time(e["pid"]) == e["start"]]
        for entry in alive:
            _signal_group(entry["pid"], signal.SIGTERM)
            _signal_group(entry["pid"], signal.SIGCONT)
        late = _wait_gone(alive, 3.0)
        for entry in late:
            _signal_group(entry["pid"], signal.SIGKILL)
        stuck = _wait_gone(late, 3.0)
        return [f"process {e['pid']} ({e['what']}) outlived SIGKILL" for e in stuck]

    @staticmethod
    def _end_all_in(name: str) -> list:
        """Ends what runs in a namespace and is in no journal, as what was started by hand."""
        if not os.path.exists(netns_path(name)):
            return []
        leaks, ended = [], []
        # Inside a namespace that the lab made there are only its own processes.
        for pid in run("ip", "netns", "pids", name).stdout.split():
            try:
                with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as line:
                    command = line.read().replace("\0", " ")
                start = start_time(int(pid))
                os.kill(int(pid), signal.SIGKILL)
                if start is not None:
                    ended.append({"pid": int(pid), "start": start, "what": command})
                leaks.append(f"process {pid} in {name}: {command}")
            except (FileNotFoundError, ProcessLookupError):
                pass
        stuck = _wait_gone(ended, 3.0)
        return leaks + [f"process {e['pid']} ({e['what']}) outlived SIGKILL" for e in stuck]


class Registered:
    """A lab whose _make() writes down what it makes. Use as a context manager; what it did not
    end by itself is a failure."""

    def __enter__(self):
        self.registry = Registry.create(keep=False)
        try:
            self._make()
        except BaseException:
            self.registry.teardown()
            raise
        return self

    def __exit__(self, kind, value, trace):
        leaks = self.registry.teardown()
        assert leaks == [] or kind, leaks

    @property
    def directory(self) -> str:
        return self.registry.directory


def _signal_group(pid: int, number: int):
    # Every process of the lab leads a process group of its own.
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def _wait_gone(entries: list, seconds: float) -> list:
    deadline = time.monotonic() + stretched(seconds)
    while True:
        for entry in entries:
            try:  # reap our own children
                os.waitpid(entry["pid"], os.WNOHANG)
            except ChildProcessError:
                pass
        left = [e for e in entries if start_time(e["pid"]) == e["start"]]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.02)
