# SPDX-License-Identifier: Apache-2.0
"""Compiles the lab's small tools into the lab's directory."""

import hashlib
import os
import shutil
import subprocess

from .system import LabError

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
COMPILERS = {
    "dnsload": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "dnsanswer": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "tcpflows": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "tcpflood": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "xdp_pass": ["clang", "-O2", "-g", "-target", "bpf", "-c"],
}
# Compiled once in the life of this process: {name: content}.
_compiled = {}
# A directory with tools from make_ready(): compiling takes minutes in an emulated machine.
READY = os.environ.get("DNSDIRECTOR_LAB_TOOLS")


def make_ready(directory: str):
    """Compiles into a directory what is not there yet in the state of its source."""
    os.makedirs(directory, exist_ok=True)
    absent = [name for name in COMPILERS if not os.path.exists(_ready(directory, name))]
    if not absent:
        return
    fresh = Tools(os.path.join(directory, f"new-{os.getpid()}"))
    try:
        for name in absent:
            os.rename(fresh.path(name), _ready(directory, name))
    finally:
        fresh.stop()
        shutil.rmtree(fresh.directory)


def _source(name: str) -> str:
    return os.path.join(SOURCES, name + (".c" if COMPILERS[name][0] == "clang" else ".cc"))


def _ready(directory: str, name: str) -> str:
    """Where make_ready() puts a tool: a name that goes with what it is made of."""
    made_of = hashlib.sha256(" ".join(COMPILERS[name]).encode())
    headers = sorted(file for file in os.listdir(SOURCES) if file.endswith(".h"))
    for path in (_source(name), *(os.path.join(SOURCES, header) for header in headers)):
        with open(path, "rb") as source:
            made_of.update(source.read())
    return os.path.join(directory, f"{name}-{made_of.hexdigest()[:16]}")


class Tools:
    """Starts the compilers at once and waits for each tool where it is used."""

    def __init__(self, directory: str):
        self.directory = directory
        os.mkdir(directory)
        self._jobs = {}
        for name, command in COMPILERS.items():
            if READY and os.path.exists(_ready(READY, name)):
                shutil.copy(_ready(READY, name), self._path(name))
                continue
            if name in _compiled:
                with open(os.open(self._path(name), os.O_WRONLY | os.O_CREAT, 0o755), "wb") as out:
                    out.write(_compiled[name])
                continue
            self._jobs[name] = subprocess.Popen(
                [*command, "-o", self._path(name), _source(name)], stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True)

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def path(self, name: str) -> str:
        """The path of a compiled tool."""
        job = self._jobs.get(name)
        if job is not None:
            output, _ = job.communicate(timeout=120)
            if job.returncode != 0:
                raise LabError(f"compiling {name} failed:\n{output}")
            del self._jobs[name]
            with open(self._path(name), "rb") as tool:
                _compiled[name] = tool.read()
        return self._path(name)

    def stop(self):
        """Ends compilers that nobody waited for."""
        for job in self._jobs.values():
            job.kill()
            job.communicate()
        self._jobs.clear()
