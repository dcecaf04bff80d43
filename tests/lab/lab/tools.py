# SPDX-License-Identifier: Apache-2.0
"""Compiles the lab's small tools into the lab's directory."""

import os
import subprocess

from .system import LabError

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")
COMPILERS = {
    "dnsload": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "dnsanswer": ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra"],
    "xdp_pass": ["clang", "-O2", "-g", "-target", "bpf", "-c"],
}
# Compiled once in the life of this process: {name: content}.
_compiled = {}


class Tools:
    """Starts the compilers at once and waits for each tool where it is used."""

    def __init__(self, directory: str):
        self.directory = directory
        os.mkdir(directory)
        self._jobs = {}
        for name, command in COMPILERS.items():
            if name in _compiled:
                with open(os.open(self._path(name), os.O_WRONLY | os.O_CREAT, 0o755), "wb") as out:
                    out.write(_compiled[name])
                continue
            source = os.path.join(SOURCES, name + (".c" if command[0] == "clang" else ".cc"))
            self._jobs[name] = subprocess.Popen(
                [*command, "-o", self._path(name), source], stdout=subprocess.PIPE,
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
