# SPDX-License-Identifier: Apache-2.0
"""Commands, namespaces and waiting: what the rest of the lab stands on."""

import ctypes
import os
import shutil
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
# How many times slower than usual this machine is, as an emulated one (vm.py). The
# lab's deadlines, loads and checks are stretched by it, and rates divided: a test
# says what it wants of a machine of today and runs on both.
SLOWNESS = float(os.environ.get("DNSDIRECTOR_LAB_SLOWNESS", "1"))
# scripts/test --long: the machine's time is this run's, so that bounds are those promised.
LONG = os.environ.get("DNSDIRECTOR_LONG") == "1"


class LabError(Exception):
    """Something the lab needs did not work; the text says what and where."""


def run(*argv, check=True, input=None, timeout=60):
    """Runs a command and returns the finished process; its output is text."""
    done = subprocess.run([str(a) for a in argv], input=input, text=True,
                          capture_output=True, timeout=stretched(timeout))
    if check and done.returncode != 0:
        raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n"
                       f"{done.stdout}{done.stderr}")
    return done


def stretched(seconds: float) -> float:
    """As long as so many seconds on a machine of usual speed."""
    return seconds * SLOWNESS


def netns_path(name: str) -> str:
    return f"/run/netns/{name}"


def enter(name: str) -> list:
    """The start of a command line that runs in a namespace.

    Not `ip netns exec`: that mounts a fresh /sys, which hides /sys/fs/bpf.
    """
    return ["nsenter", f"--net={netns_path(name)}", "--"]


def in_netns(name: str, function, *args, **kwargs):
    """Calls a function on a thread of its own inside a namespace.

    Sockets that it opens and /proc/sys/net that it writes are the namespace's.
    """
    box = {}

    def body():
        try:
            handle = os.open(netns_path(name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _libc.setns(handle, CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, f"setns {name}: {os.strerror(code)}")
            finally:
                os.close(handle)
            box["value"] = function(*args, **kwargs)
        except BaseException as error:  # handed to the caller, below
            box["error"] = error

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if "error" in box:
        raise box["error"]
    return box["value"]


def wait_for(what: str, condition, timeout: float = 10.0, every: float = 0.02):
    """Waits until condition() is true and returns its value.

    LabError after timeout seconds (stretched), naming what was waited for and the
    last value or exception seen.
    """
    timeout = stretched(timeout)
    deadline = time.monotonic() + timeout
    while True:
        try:
            last = condition()
            if last:
                return last
        except (OSError, LabError, subprocess.SubprocessError) as error:
            last = error
        if time.monotonic() >= deadline:
            raise LabError(f"waited {timeout:g} s for {what}; last seen: {last!r}")
        time.sleep(every)


def missing_privileges() -> str:
    """Why this machine cannot run the lab, or an empty text."""
    if os.geteuid() != 0:
        return "the lab needs root (network namespaces, XDP)"
    programs = ("ip", "nsenter", "ethtool", "dig", "clang", "g++")
    absent = [p for p in programs if not find_program(p)]
    if absent:
        return f"the lab needs these programs (scripts/install-deps): {' '.join(absent)}"
    try:
        subprocess.run(["unshare", "--net", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "the lab cannot make network namespaces here"
    return ""


def find_program(name: str):
    """The path of a program, also where PATH lacks the sbin directories."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin"
    return shutil.which(name, path=path)
