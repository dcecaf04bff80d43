# SPDX-License-Identifier: Apache-2.0
"""The program under test, run in the director's host: one binary, a
configuration, a run directory and pins of its own."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time

from . import plan
from .ipvs import ESTIMATOR_SECONDS
from .system import SLOWNESS, LabError, run, stretched, wait_for

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))


def binary() -> str:
    """The dnsdirector binary: $DNSDIRECTOR, else the release build."""
    return os.environ.get("DNSDIRECTOR",
                          os.path.join(REPOSITORY, "build", "release", "dnsdirector"))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str):
        super().__init__("dnsdirector", timeout=stretched(15))
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Director:
    """A director in a lab.

    start() returns when it answers; kill9() leaves what it left in the kernel;
    stop() ends it as an operator does. As a context manager it starts at the
    beginning and leaves nothing at the end, its log goes with the exception
    where there is one.
    """

    def __init__(self, lab, config: str, name: str = None):
        lab.directors += 1
        self.lab, self.host = lab, lab.director_host
        self.name = name or f"director{lab.directors}"
        self.directory = lab.path(self.name)
        self.run_dir = os.path.join(self.directory, "run")
        self.pin_dir = lab.path("bpf", self.name)
        self.config = os.path.join(self.directory, "dnsdirector.conf")
        self.log = os.path.join(self.directory, "log")
        self.process = None
        self.program = binary()
        os.makedirs(self.run_dir)
        self.write(config)

    # Commands.
    def write(self, config: str):
        """Replaces the configuration file; `reload` makes it count."""
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)

    def argv(self, command: str, *arguments) -> list:
        """The command line of a subcommand that talks to this director."""
        return self.host.argv(self.program, command, "--run-dir", self.run_dir, *arguments)

    def command(self, command: str, *arguments, check=True, timeout=30):
        """Runs such a subcommand and returns the finished process."""
        return run(*self.argv(command, *arguments), check=check, timeout=timeout)

    def tool(self, *arguments, check=False, timeout=60):
        """Runs a subcommand that needs no director: check-config, probe."""
        return self.host.run(self.program, *arguments, check=check, timeout=timeout)

    def status(self) -> dict:
        """What `status --json` prints, asked as that asks: it is looked at too often to start
        a program each time. LabError where no director answers."""
        connection = UnixConnection(os.path.join(self.run_dir, "api.sock"))
        try:
            connection.request("GET", "/v1/status")
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LabError(f"no director answers in {self.run_dir}: {error!r}") from error
        finally:
            connection.close()
        if answer.status != 200:
            raise LabError(f"status: {answer.status} {text.decode()}")
        return json.loads(text)

    def reload(self, config: str = None):
        if config is not None:
            self.write(config)
        return self.command("reload")

    # Life and death.
    def start(self, wait: bool = True, timeout: float = 15.0) -> "Director":
        if not os.access(self.program, os.X_OK):
            raise LabError(f"no dnsdirector at {self.program}: build it (scripts/build), "
                           "or say where it is with DNSDIRECTOR=PATH")
        self.process = self.host.start(
            self.name, [self.program, "run", "-f", self.config, "--run-dir", self.run_dir,
                        "--pin-dir", self.pin_dir], self.log)
        if wait:
            wait_for("the director to answer", self._answers, timeout)
        self.begun = time.monotonic()
        return self

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"the director ended with {self.process.returncode}:\n{self.tail()}")
        return bool(self.status())

    def kill9(self):
        self.process.kill()
        self.process.wait(stretched(5))

    def stop(self, timeout: float = 15.0, linger: bool = False) -> int:
        """TERM, and a second one that skips the linger; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        if not linger:
            try:
                self.process.wait(stretched(0.3))
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGTERM)
        return self.process.wait(stretched(timeout))

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def cpu_seconds(self) -> float:
        """Processor time of all threads so far, from the scheduler's own
        nanoseconds (Documentation/scheduler/sched-stats.rst)."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat",
                      encoding="ascii") as stat:
                total += int(stat.read().split()[0])
        return total / 1e9

    def cleanup(self):
        """Leaves nothing, whatever happened before."""
        if self.running():
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill9()
        pinned = self.pins() != []
        run("rm", "-rf", self.pin_dir)
        gone = [f"addr del {a}/{128 if ':' in a else 32} dev lo\n" for a in self.lab.services]
        run("ip", "-n", self.host.netns, "-force", "-batch", "-", input="".join(gone), check=False)
        if pinned:
            # A worker of the kernel's does it, after the last pin of a link is gone.
            wait_for("XDP to be detached", lambda: self.xdp_links() == [])

    def read_log(self) -> str:
        try:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 60) -> str:
        return "".join(self.read_log().splitlines(keepends=True)[-lines:])

    def __enter__(self) -> "Director":
        try:
            return self.start()
        except BaseException:
            self.cleanup()
            raise

    def __exit__(self, kind, value, trace):
        if kind is not None:
            print(f"--- {self.name}: configuration\n{open(self.config, encoding='utf-8').read()}"
                  f"--- log\n{self.tail()}---")
        self.cleanup()

    # What the status says.
    def services(self, **where) -> list:
        """Services whose fields have these values: address=, protocol= …"""
        return [s for s in self.status()["services"]
                if all(s[key] == value for key, value in where.items())]

    def service(self, **where) -> dict:
        found = self.services(**where)
        if len(found) != 1:
            raise LabError(f"{len(found)} services with {where}, not one")
        return found[0]

    def server(self, name: str, **where) -> dict:
        """A real server in the first service that has it and fits."""
        for service in self.services(**where):
            for server in service["real_servers"]:
                if server["name"] == name:
                    return server
        raise LabError(f"no real server {name} in a service with {where}")

    def states(self, **where) -> dict:
        """{server: state} over the services; a server with several differing
        states has them joined with a slash."""
        found = {}
        for service in self.services(**where):
            for server in service["real_servers"]:
                found.setdefault(server["name"], set()).add(server["state"])
        return {name: "/".join(sorted(states)) for name, states in found.items()}

    def wait_states(self, timeout: float = 10.0, every: float = 0.02, where: dict = None,
                    **states) -> float:
        """Waits until these servers have these states everywhere; returns
        time.monotonic() of the look that saw it."""
        seen = {}

        def fit():
            seen.update(self.states(**(where or {})))
            return all(seen.get(name) == state for name, state in states.items())
        try:
            wait_for(f"states {states}", fit, timeout, every)
        except LabError as error:
            raise LabError(f"{error}; states: {seen}") from None
        return time.monotonic()

    def packets(self, **where) -> dict:
        """Packets by server's name, summed over the services that fit."""
        sums = {}
        for service in self.services(**where):
            for server in service["real_servers"]:
                sums[server["name"]] = (sums.get(server["name"], 0)
                                        + server["counters"]["packets"])
        return sums

    def counting(self, **where) -> "Counting":
        """What is counted from now on."""
        return Counting(self, where)

    # What the kernel says.
    def held_service_ips(self) -> list:
        """Service IPs that the director's host has as addresses."""
        out = json.loads(self.host.run("ip", "-j", "addr").stdout)
        local = {a["local"] for link in out for a in link["addr_info"]}
        return [a for a in self.lab.services if a in local]

    def xdp_links(self) -> list:
        """Interfaces of the director's host with an XDP program."""
        out = json.loads(self.host.run("ip", "-j", "link").stdout)
        return [link["ifname"] for link in out if "xdp" in link]

    def pins(self) -> list:
        found = []
        for directory, _, files in os.walk(self.pin_dir):
            found += [os.path.join(directory, f) for f in files]
        return found


class Counting:
    """Packets by server, from its making on, over the services that fit.

    The xdp plane's are exact at any time. IPVS adds up what its CPUs counted every two
    seconds; a server that it takes out of its trash for a new service brings along what
    had not been added up when it went, so a base is to be had after that time only.
    """

    def __init__(self, director: Director, where: dict):
        self.director, self.where = director, where
        self.lags = director.status()["dataplane"]["kind"] == "ipvs"
        if self.lags:  # by then the director had made its services
            time.sleep(max(0.0, director.begun + ESTIMATOR_SECONDS + 0.5 - time.monotonic()))
        self.base = director.packets(**where)

    def now(self) -> dict:
        return {name: count - self.base.get(name, 0)
                for name, count in self.director.packets(**self.where).items()}

    def expect(self, answered: dict):
        """LabError unless these servers got so many packets: at once, or where the
        counters lag when they have had their time."""
        seen = {}

        def counted():
            seen.clear()
            seen.update(self.now())
            return all(seen.get(name) == count for name, count in answered.items())
        try:
            wait_for(f"counters of {answered}", counted, 10 if self.lags else 0, every=0.1)
        except LabError as error:
            raise LabError(f"{error}; they are {seen}") from None


def cluster(servers: dict, check: str = None, extra: str = "", service_ips=None,
            protocol: str = "udp tcp", name: str = "resolvers", director: str = "") -> str:
    """A native configuration. servers: {"s1": weight} or {"s1": "text of the block"}."""
    ips = " ".join(service_ips or [plan.SERVICE_V4, plan.SERVICE_V6])
    lines = [f"dns_cluster {name} {{", f"    service_ip {ips}", f"    protocol {protocol}",
             "    lb_algo wrr", "    lb_kind DR"]
    if check is None:
        check = FAST_CHECK
    lines += [f"    {line}" for line in (check + extra).splitlines()]
    for server, weight in servers.items():
        number = int(server[1:])
        body = weight if isinstance(weight, str) else f"weight {weight}"
        lines.append(f"    real_server {server} {{ address {plan.server_v4(number)} "
                     f"{plan.server_v6(number)}; {body} }}")
    return director + "\n".join(lines) + "\n}\n"


def director_block(plane: str = "xdp", interfaces: int = 1, mode: str = "auto",
                   extra: str = "") -> str:
    """interfaces and mode are the xdp plane's; extra: further lines of the block."""
    if plane == "xdp":
        names = " ".join(f"eth{i}" for i in range(interfaces))
        extra = f"    interface {names}\n    xdp_mode {mode}\n" + extra
    return f"director {{\n    dataplane {plane}\n{extra}}}\n"


def check_block(name: str = plan.WWW_NAME, every: str = "100ms", timeout: str = "100ms",
                tries: int = 1, rise: int = 2, fall: int = 2,
                fail_on: str = "SERVFAIL REFUSED", transport: str = "udp tcp",
                extra: str = "") -> str:
    every, timeout = stretched_text(every), stretched_text(timeout)
    return (f'check {{\n    query "{name} A"\n    every {every}\n    timeout {timeout}\n'
            f"    tries {tries}\n    rise {rise}\n    fall {fall}\n    fail_on {fail_on}\n"
            f"    transport {transport}\n    source {plan.DIRECTOR_V4} {plan.DIRECTOR_V6}\n"
            f"{extra}}}\n")


def stretched_text(duration: str) -> str:
    """A duration of a configuration, "100ms" or "1s", as system.stretched()."""
    number, unit = re.fullmatch(r"(\d+)(ms|s)", duration).groups()
    return duration if SLOWNESS == 1 else f"{round(int(number) * SLOWNESS)}{unit}"


# That of "It must show": out within 400 ms of a failure.
FAST_CHECK = check_block()
# For tests that measure something else on a machine that may be busy.
CALM_CHECK = check_block(every="250ms", timeout="1s", tries=2, fall=3)
