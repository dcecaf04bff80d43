# SPDX-License-Identifier: Apache-2.0
"""Routing daemons, BIRD and FRR, each in a host of the lab, and what they say of themselves."""

import glob
import json
import os
import re
import shutil
import time

from . import plan
from .director import binary
from .network import Host, Network
from .registry import Registered
from .system import LabError, find_program, run, wait_for

FRR_DAEMONS = "/usr/lib/frr"
# On the lab's one network; the cores' are their routers' identifiers, too.
DIRECTOR = ("203.0.113.1", "2001:db8:1::1")
CORES = {"core1": ("203.0.113.251", "2001:db8:1::fb"),
         "core2": ("203.0.113.252", "2001:db8:1::fc")}

# What vtysh says of graceful restart when it is set, and when it was as it is set.
HARMLESS = (
    r"Graceful restart configuration changed, reset this peer to take effect",
    r"% The Graceful Restart command used is not valid at this moment\.",
    r"line \d+: Failure to communicate\[13\] to bgpd, line:  neighbor \S+ graceful-restart\S*",
)


def missing_daemons() -> str:
    """Why there is nothing to test with, or an empty text."""
    absent = [p for p in ("bird", "birdc", "vtysh") if not find_program(p)]
    if not os.path.exists(f"{FRR_DAEMONS}/bgpd"):
        absent.append("bgpd")
    return f"not installed (scripts/install-deps): {' '.join(absent)}" if absent else ""


class Bird:
    """A BIRD that reads a configuration of ours."""

    def __init__(self, host: Host, directory: str):
        self.host = host
        self.directory = os.path.join(directory, f"bird-{host.name}")
        os.makedirs(self.directory, exist_ok=True)
        self.config = os.path.join(self.directory, "bird.conf")
        self.socket = os.path.join(self.directory, "bird.ctl")
        self.log = os.path.join(self.directory, "log")

    def write(self, text: str):
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(text)

    def start(self, text: str) -> "Bird":
        self.write(text)
        self.process = self.host.start("bird", [
            find_program("bird"), "-f", "-c", self.config, "-s", self.socket], self.log)
        wait_for(f"BIRD of {self.host.name}", lambda: "up and running" in self.ask("show", "status"))
        return self

    def stop(self):
        """As after kill -9: nothing is said to its neighbours."""
        self.process.kill()
        self.process.wait()

    def ask(self, *words: str) -> str:
        # birdc ends with 1 where a route is not there; that it answers at all shows in its text.
        return self.host.run(find_program("birdc"), "-s", self.socket, *words, check=False).stdout

    def log_text(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def established(self) -> int:
        return self.ask("show", "protocols").count("Established")

    def bfd_up(self) -> int:
        return len(re.findall(r"^\S+ +\S+ +Up ", self.ask("show", "bfd", "sessions"), re.M))

    def route(self, prefix: str, neighbor: str):
        """What it was told of a prefix by a neighbour, or None."""
        text = self.ask("show", "route", prefix, "all")
        for block in re.split(r"\n(?=\S|\t?\s{20,}unicast)", text):
            if f"from {neighbor}]" not in block and neighbor not in block:
                continue
            said = dict(re.findall(r"BGP\.(\w+): ?(.*)", block))
            if "origin" in said:
                return {"med": int(said.get("med", -1)),
                        "local_pref": int(said.get("local_pref", -1)),
                        "origin": said["origin"],
                        "next_hop": said["next_hop"].split()[0],
                        "communities": sorted(re.findall(r"\d+:\d+(?::\d+)?", re.sub(
                            r"[(]|, ?|[)]", lambda m: ":" if "," in m[0] else " ",
                            said.get("community", "") + said.get("large_community", ""))))}
        return None

    def prefixes(self) -> set:
        """All that it was told by BGP."""
        text = self.ask("show", "route", "where", "source", "=", "RTS_BGP")
        return set(re.findall(r"^(\S+/\d+)", text, re.M))


class Frr:
    """zebra, bgpd and bfdd of FRR, with a folder of sockets of their own."""

    def __init__(self, host: Host, directory: str):
        self.host = host
        self.directory = os.path.join(directory, f"frr-{host.name}-{time.monotonic_ns()}")
        os.makedirs(self.directory)
        shutil.chown(self.directory, "frr", "frr")

    def start(self, text: str = "") -> "Frr":
        empty = os.path.join(self.directory, "empty.conf")
        with open(empty, "w", encoding="utf-8"):
            pass
        self.processes = []
        for daemon in ("zebra", "bfdd", "bgpd"):
            extra = ["--bfdctl", f"{self.directory}/bfdd.sock"] if daemon == "bfdd" else []
            self.processes.append(self.host.start(daemon, [
                f"{FRR_DAEMONS}/{daemon}", "-f", empty, "--vty_socket", self.directory,
                "-z", f"{self.directory}/zserv.api", "-i", f"{self.directory}/{daemon}.pid",
                "-A", "127.0.0.1", "-P", "0", "--log", f"file:{self.directory}/{daemon}.log",
                *extra], os.path.join(self.directory, "output")))
            wait_for(f"{daemon} of {self.host.name}", lambda: os.path.exists(
                f"{self.directory}/{daemon}.vty"))
        if text:
            self.load(text)
        return self

    def stop(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()
        for socket in glob.glob(f"{self.directory}/*.vty"):
            os.unlink(socket)

    def load(self, text: str) -> str:
        """Adds to what it runs; LabError where it refuses a line."""
        path = os.path.join(self.directory, "part.conf")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        done = self.host.run(find_program("vtysh"), "--vty_socket", self.directory, "-f", path,
                             check=False)
        said = done.stdout + done.stderr
        for harmless in HARMLESS:
            said = re.sub(harmless, "", said)
        if said.strip():
            raise LabError(f"vtysh -f: exit {done.returncode}: {said}")
        return path

    def ask(self, command: str) -> str:
        return self.host.run(find_program("vtysh"), "--vty_socket", self.directory, "-c",
                             command).stdout

    def json(self, command: str):
        return json.loads(self.ask(command + " json"))

    def established(self) -> int:
        return self.ask("show bgp neighbors").count("BGP state = Established")

    def bfd_up(self) -> int:
        return sum(peer["status"] == "up" for peer in self.json("show bfd peers"))

    def route(self, prefix: str, neighbor: str):
        """What it was told of a prefix by a neighbour, or None."""
        family = "ipv6" if ":" in prefix else "ipv4"
        for path in self.json(f"show bgp {family} unicast {prefix}").get("paths", []):
            if path["peer"]["peerId"] != neighbor:
                continue
            community = path.get("community", {}).get("string", "").replace(
                "graceful-shutdown", "65535:0")
            large = path.get("largeCommunity", {}).get("string", "")
            hops = [h["ip"] for h in path["nexthops"] if h.get("scope", "global") == "global"]
            return {"med": path.get("metric", -1), "local_pref": path.get("locPrf", -1),
                    "origin": path["origin"], "next_hop": hops[0],
                    "communities": sorted((community + " " + large).split())}
        return None

    def prefixes(self) -> set:
        """All that it was told by BGP."""
        return {prefix for family in ("ipv4", "ipv6")
                for prefix, paths in self.json(f"show bgp {family} unicast")["routes"].items()
                if any(p.get("peerId", "(unspec)") != "(unspec)" for p in paths)}


class RoutingLab(Registered):
    """A director's host and two core routers on one network, without daemons yet."""

    def _make(self):
        network = Network(self.registry, self.registry.lab["id"])
        self.director = network.server("director", DIRECTOR)
        self.cores = {name: network.server(name, own) for name, own in CORES.items()}
        for host in (self.director, *self.cores.values()):
            host.ip(f"route del default via {plan.ROUTER_V4}",
                    f"route del default via {plan.ROUTER_V6}")

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def announce(self, address: str, metric: int, protocol: int = 153):
        """The director's route of a service IP: the new one, then away with the old ones, as
        the director does it."""
        family = "-6" if ":" in address else "-4"
        length = 128 if ":" in address else 32
        old = re.findall(r"metric (\d+)", self.director.run(
            "ip", family, "route", "show", f"{address}/{length}").stdout)
        if str(metric) not in old:
            self.director.ip(f"route add blackhole {address}/{length} proto {protocol} "
                             f"metric {metric}")
        for each in set(old) - {str(metric)}:
            self.director.ip(f"route del {address}/{length} metric {each}")

    def withdraw(self, address: str):
        family = "-6" if ":" in address else "-4"
        self.director.run("ip", family, "route", "flush", address)


def generated(path: str, daemon: str) -> str:
    """`dnsdirector bgp config` of a file."""
    return run(binary(), "bgp", "config", "-f", path, "--daemon", daemon).stdout


def compared(host: Host, path: str, daemon: str, *options: str):
    """`dnsdirector bgp check` in a host: its exit status and lines."""
    done = host.run(binary(), "bgp", "check", "-f", path, "--daemon", daemon, *options,
                    check=False)
    return done.returncode, (done.stdout + done.stderr).splitlines()
