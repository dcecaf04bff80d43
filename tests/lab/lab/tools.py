# SPDX-License-Identifier: Apache-2.0
"""Compiles the lab's small tools into the lab's directory."""

import os
import subprocess

from .system import LabError

SOURCES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools")


class Tools:
    """Starts the compilers at once and waits for each tool where it is used."""

    def __init__(self, directory: str):
        self.directory = directory
        os.mkdir(directory)
        self._jobs = {}
        for name in ("dnsload", "dnsanswer"):
            self._start(name, ["g++", "-std=c++20", "-O2", "-Wall", "-Wextra", "-o",
                               self._path(name), os.path.join(SOURCES, name + ".cc")])
        self._start("xdp_pass.o", ["clang", "-O2", "-g", "-target", "bpf", "-c", "-o",
                                   self._path("xdp_pass.o"),
                                   os.path.join(SOURCES, "xdp_pass.c")])

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def _start(self, name: str, argv: list):
        self._jobs[name] = subprocess.Popen(argv, stdout=subprocess.PIPE,
                                            stderr=subprocess.STDOUT, text=True)

    def path(self, name: str) -> str:
        """The path of a compiled tool."""
        job = self._jobs.get(name)
        if job is not None:
            output, _ = job.communicate(timeout=120)
            if job.returncode != 0:
                raise LabError(f"compiling {name} failed:\n{output}")
            del self._jobs[name]
        return self._path(name)

    def stop(self):
        """Ends compilers that nobody waited for."""
        for job in self._jobs.values():
            job.kill()
            job.communicate()
        self._jobs.clear()
