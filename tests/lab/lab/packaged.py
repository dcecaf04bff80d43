# SPDX-License-Identifier: Apache-2.0
"""DNS servers as Debian packages them: in their own folders, started as their units say.

A system is one machine's /etc, /run and /var, in mount namespaces, so that configurations which
name the packages' paths can be used as they are, by several processes that share those paths.
"""

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess

from .network import Host
from .system import LabError, find_program, run, stretched, wait_for

PACKAGED_UNITS = "/lib/systemd/system"
ADMINISTRATORS_UNITS = "/etc/systemd/system"


class Page:
    """The files in a Markdown page: indented code after a line that ends with `/the/file`:"""

    def __init__(self, path: str):
        with open(path, encoding="utf-8") as page:
            self.lines = page.read().splitlines()

    def files(self, *headings: str) -> dict:
        """{path: text} of the section under these headings, from level 2 on."""
        inside, found, path = [], {}, None
        for line in [*self.lines, "end"]:
            if match := re.match(r"(##+) (.*)", line):
                inside[len(match[1]) - 2:] = [match[2]]
            if line.startswith("    ") or (not line and path in found):
                if path and tuple(inside) == headings:
                    found[path] = found.get(path, "") + line[4:] + "\n"
            elif line:
                named = re.search(r"`(/[^`]+)`:$", line)
                path = named[1] if named else None
        return found

    def command(self, start: str) -> str:
        """The one line of code that starts so."""
        found = [line.strip() for line in self.lines
                 if line.startswith("    ") and line.strip().startswith(start)]
        assert len(found) == 1, (start, found)
        return found[0]

    def table(self, first: str) -> dict:
        """{first cell: {heading: cell}} of the table whose first heading this is."""
        rows = [[cell.strip(" *") for cell in line.strip("|").split("|")]
                if line.startswith("|") else [] for line in self.lines]
        at = next(number for number, row in enumerate(rows) if row[:1] == [first])
        body = itertools.takewhile(bool, rows[at + 2:])
        return {row[0]: dict(zip(rows[at], row)) for row in body}


class System:
    """folders: what the server's package has under /etc and /var; copies of them are used."""

    def __init__(self, directory: str, folders: list):
        self.root = directory
        self.folders = [*folders, "/run"]
        for folder in self.folders:
            os.makedirs(self.path(os.path.dirname(folder)), exist_ok=True)
            if folder == "/run":
                os.mkdir(self.path(folder))
                continue
            if not os.path.isdir(folder):
                raise LabError(f"no {folder}: its package is not installed (scripts/install-deps)")
            run("cp", "-a", folder, self.path(folder))
        self._temporary_folders()

    def path(self, path: str) -> str:
        """Where a path of the system is."""
        return self.root + path

    def write(self, files: dict):
        for path, text in files.items():
            os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
            with open(self.path(path), "w", encoding="utf-8") as out:
                out.write(text)

    def inside(self, *argv, cwd: str = "/") -> list:
        """The command line that runs argv in the system."""
        mounts = "".join(f"mount --bind {shlex.quote(self.path(f))} {f} && " for f in self.folders)
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                f'{mounts}cd {cwd} && exec "$@"', "sh", *argv]

    def make_folder(self, path: str, user: str, group: str, mode: int):
        os.makedirs(self.path(path), exist_ok=True)
        shutil.chown(self.path(path), user, group)
        os.chmod(self.path(path), mode)

    def _temporary_folders(self):
        """Those that packages have made under /run (tmpfiles.d(5))."""
        folder = "/usr/lib/tmpfiles.d"
        for name in ("named", "nsd", "knot-resolver"):
            if os.path.exists(f"{folder}/{name}.conf"):
                with open(f"{folder}/{name}.conf", encoding="ascii") as lines:
                    for kind, path, mode, user, group, *_ in (
                            line.split() for line in lines if line.strip()[:1] == "d"):
                        if path.startswith("/run/"):
                            self.make_folder(path, user, group, int(mode, 8))


class Unit:
    """What of a unit file matters to who starts its process by hand (systemd.service(5))."""

    def __init__(self, name: str, files: dict):
        template, _, instance = name.removesuffix(".service").partition("@")
        file = template + ("@" if instance else "") + ".service"
        text = files.get(f"{ADMINISTRATORS_UNITS}/{file}")
        if text is None:
            with open(f"{PACKAGED_UNITS}/{file}", encoding="utf-8") as unit:
                text = unit.read()
        self.name, self.settings = name, {}
        for line in text.replace("%i", instance).splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                self.settings.setdefault(key, []).append(value)

    def one(self, key: str, default=None):
        return self.settings.get(key, [default])[-1]

    def environment(self) -> dict:
        found = dict(os.environ)
        for file in self.settings.get("EnvironmentFile", []):
            if os.path.exists(file.removeprefix("-")):
                with open(file.removeprefix("-"), encoding="utf-8") as lines:
                    for line in lines:
                        found.update(_assignment(line))
        for assignments in self.settings.get("Environment", []):
            for each in shlex.split(assignments):
                found.update(_assignment(each))
        if "RuntimeDirectory" in self.settings:
            found["RUNTIME_DIRECTORY"] = "/run/" + self.one("RuntimeDirectory")
        return found

    def commands(self, key: str) -> list:
        """Command lines with the variables replaced, without what - and + say of them."""
        values = self.environment()
        return [[word for part in shlex.split(line.lstrip("-+"))
                 for word in _expanded(part, values)] for line in self.settings.get(key, [])]

    def privileges(self) -> list:
        """The start of a command line that has the unit's user and capabilities."""
        argv = ["setpriv"]
        if "User" in self.settings:
            argv += ["--reuid", self.one("User"), "--regid", self.one("Group", self.one("User")),
                     "--init-groups"]
        for key, option in (("CapabilityBoundingSet", "--bounding-set"),
                            ("AmbientCapabilities", "--inh-caps"),
                            ("AmbientCapabilities", "--ambient-caps")):
            if key in self.settings:
                wanted = self.one(key).lower().replace("cap_", "+").split()
                argv += [option, ",".join(["-all", *wanted])]
        return argv if len(argv) > 1 else []


def _assignment(line: str) -> dict:
    key, equals, value = line.strip().partition("=")
    return {key: value.strip('"')} if equals and not key.startswith("#") else {}


def _expanded(word: str, values: dict) -> list:
    """As systemd does: $NAME alone is none, one or several words, ${NAME} is text."""
    if match := re.fullmatch(r"\$(\w+)", word):
        return shlex.split(values.get(match[1], ""))
    return [re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], ""), word)]


class Service:
    """One process of a unit on a host."""

    def __init__(self, host: Host, system: System, unit: Unit):
        self.host, self.system, self.unit = host, system, unit
        self.log = system.path(f"/{unit.name}.log")
        self.process = None

    def start(self):
        unit = self.unit
        if "RuntimeDirectory" in unit.settings:
            self.system.make_folder("/run/" + unit.one("RuntimeDirectory"),
                                    unit.one("User", "root"), unit.one("Group", "root"), 0o755)
        environment = unit.environment()
        for line, argv in zip(unit.settings.get("ExecStartPre", []), unit.commands("ExecStartPre")):
            run(*self.host.argv(*self.system.inside(*unit.privileges(), *argv)),
                check=not line.startswith("-"))
        [argv] = unit.commands("ExecStart")
        if find_program(argv[0]) is None:
            raise LabError(f"{argv[0]} is not installed (scripts/install-deps)")
        cwd = unit.one("WorkingDirectory", "/")
        self.process = self.host.start(
            unit.name, self.system.inside(*unit.privileges(), *argv, cwd=cwd), self.log,
            environment)

    def run(self, *argv, check: bool = True):
        """A command in the server's system."""
        return self.host.run(*self.system.inside(*argv), check=check)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def said(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        if self.process is not None and not self.ended():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(stretched(5))
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def wait_ended(self, timeout: float = 10):
        wait_for(f"{self.unit.name} to end", self.ended, timeout)
