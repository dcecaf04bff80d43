# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector realserver run` on the server of a RealServerLab, and real DNS servers beside it."""

import os
import re

import dns.exception
import dns.message
import dns.query

from . import plan
from .daemons import Daemon
from .director import Director, binary
from .real_server import SECOND_V4, SERVER_V4, SERVER_V6, RealServerLab
from .system import run, stretched, wait_for

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
TABLE = "dnsdirector_realserver"
RISE, FALL, EVERY = 2, 2, 0.1


def check() -> str:
    every = f"{round(1000 * stretched(EVERY))}ms"
    return (f'check {{ query "who.example.com TXT"; every {every}; timeout {every}; tries 1; '
            f"rise {RISE}; fall {FALL} }}")


PLAIN = f"realserver {{\n  service_ip {V4} {V6}\n  {{more}}\n}}\n"
PROCESSES = f"""\
realserver {{
  service_ip {V4} {V6}
  process one {{ input eth1; listen {SECOND_V4}:5301 [{SERVER_V6}]:5301 }}
  process two {{ input eth2; listen {SERVER_V4}:5302 [{SERVER_V6}]:5302 }}
  {{more}}
}}
"""
WITHDRAW = f"withdraw_on_failure\n  {check()}"


def plain(more: str = "") -> str:
    return PLAIN.replace("{more}", more)


def processes(more: str = "") -> str:
    return PROCESSES.replace("{more}", more)


def without_counts(picture: dict) -> dict:
    """Rules count packets; the checks are some."""
    return {key: re.sub(r"packets \d+ bytes \d+|\s*elements = \{[^}]*\}", "", value)
            for key, value in picture.items()}


def has_rule(machine, text: str) -> bool:
    return text in machine.server.run("nft", "list", "ruleset").stdout


def held(machine, address: str, interface: str = "lo") -> bool:
    return f" {address}/" in machine.server.run("ip", "addr", "show", "dev", interface).stdout


class Agent(Director):
    """As a context manager like Director: in the end the machine is as it was."""

    def __init__(self, lab: RealServerLab, config: str, name: str = "agent"):
        self.lab, self.host, self.name = lab, lab.server, name
        self.directory = os.path.join(lab.directory, name)
        self.run_dir = lab.run_dir
        self.config = os.path.join(lab.directory, "realserver.conf")
        self.log = os.path.join(self.directory, "log")
        self.process, self.program = None, binary()
        os.makedirs(self.directory, exist_ok=True)
        if os.path.exists(self.log):
            os.unlink(self.log)  # another test's
        self.write(config)

    def line(self) -> list:
        return [self.program, "realserver", "run", "-f", self.config, "--run-dir", self.run_dir]

    def start(self, wait: bool = True, timeout: float = 15.0) -> "Agent":
        self.process = self.host.start(self.name, self.line(), self.log)
        if wait:
            wait_for("the agent to answer", self._answers, timeout)
        return self

    def cleanup(self):
        if self.running():
            self.stop()
        run(*self.lab.argv("down"), check=False)

    def kept(self) -> dict:
        return self.status()["realserver"]

    def wait_withdrawn(self, *service_ips: str, timeout: float = 10):
        """Until these are withdrawn and no others, as far as the agent knows."""
        wait_for(f"{service_ips} to be withdrawn, and no others", lambda: {
            each["address"] for each in self.kept()["service_ips"] if each["withdrawn"]
        } == set(service_ips), timeout)


class Watched:
    """All that the kernel says of addresses, settings of interfaces and rules meanwhile."""

    def __init__(self, machine):
        self.machine = machine

    def __enter__(self):
        self.paths = [os.path.join(self.machine.directory, f"watched-{n}") for n in (1, 2)]
        self.processes = [
            self.machine.server.start("monitor", argv, path) for argv, path in zip((
                ["ip", "monitor", "address", "netconf"], ["nft", "monitor"]), self.paths)]
        self._wait_for_mark(1)
        return self

    def _wait_for_mark(self, number: int):
        """Until both have told of what is not meant."""
        name = f"mark{number}"

        def seen() -> bool:
            self.machine.server.ip("addr add 192.0.2.98/32 dev lo label lo:" + name,
                                   "addr del 192.0.2.98/32 dev lo")
            self.machine.server.run("nft", "-f", "-", input=f"add table inet {name}\n"
                                    f"delete table inet {name}\n")
            return all(name in self._said(path) for path in self.paths)
        wait_for("the monitors", seen, 10, every=0.1)

    @staticmethod
    def _said(path: str) -> str:
        with open(path, encoding="utf-8") as file:
            return file.read()

    def __exit__(self, *_):
        self._wait_for_mark(2)
        for process in self.processes:
            process.terminate()
            process.wait()
        said = "".join(self._said(path) for path in self.paths)
        for path in self.paths:
            os.unlink(path)
        # ip asks for the peer's namespace of each link by the way, and complains of those that
        # have none here.
        self.lines = [line for line in said.splitlines()
                      if line.strip() and not line.startswith("Error: Peer netns") and "192.0.2.98" not in line and "mark" not in line
                      and "new generation" not in line and "valid_lft" not in line]


class Named(Daemon):
    """BIND with a zone of its own, in which it says its name."""

    program = "named"

    def __init__(self, host, directory, name, addresses, port=53):
        super().__init__(host, directory, name, addresses)
        self.port = port

    def configure(self):
        listen = "".join(
            f"  listen-on{'-v6' if ':' in each else ''} port {self.port} {{ {each}; }};\n"
            for each in self.addresses)
        self.file("zone", f"$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\n"
                          f"ns A 203.0.113.11\nwho TXT {self.name}\n")
        self.file("named.conf", f"""\
controls {{ }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none;
{listen}  recursion no; allow-query {{ any; }}; dnssec-validation no;
}};
zone "example.com" {{ type primary; file "zone"; }};
""")

    def argv(self):
        return [self._program(), "-g", "-n", "1", "-c", self.file("named.conf")]

    def _answers(self) -> bool:
        try:
            return all(self.host.call(who, each, self.port) == self.name
                       for each in self.addresses)
        except dns.exception.DNSException as error:
            raise OSError(f"{self.name}: {type(error).__name__}") from error


def who(address: str, port: int = 53, tcp: bool = False, timeout: float = 0.5) -> str:
    """The name of the server that answers there, asked from the calling namespace."""
    query = dns.message.make_query("who.example.com", "TXT")
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, address, timeout=stretched(timeout), port=port
                ).answer[0][0].strings[0].decode()
