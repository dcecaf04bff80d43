# SPDX-License-Identifier: Apache-2.0
"""Real DNS daemons, each started in its host from a generated configuration.

A daemon class says how to configure, start and ask one make. The server's
name is its identity: NSID and `id.server. CH TXT` return it, so that whoever
asks through the director learns which server answered.
"""

import json
import os
import shutil
import signal
import socket
import subprocess

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from . import plan
from .network import Host
from .system import LabError, find_program, stretched, wait_for

AF_SIX = ":"


def ask(address: str, name: str, rdtype: str = "A", rdclass: str = "IN", port: int = 53,
        tcp: bool = False, timeout: float = 1.0) -> dns.message.Message:
    """One question from the calling namespace; OSError where none answers."""
    query = dns.message.make_query(name, rdtype, rdclass)
    send = dns.query.tcp if tcp else dns.query.udp
    try:
        return send(query, address, timeout=stretched(timeout), port=port)
    except dns.exception.DNSException as error:
        raise OSError(f"{address}: {type(error).__name__}: {error}") from error


class Daemon:
    """A DNS server on a host. Subclasses fill in the table of one make."""

    program = ""
    ready_question = (plan.LOW_TTL_NAME, "A")

    def __init__(self, host: Host, directory: str, name: str, addresses: list):
        self.host, self.name, self.addresses = host, name, addresses
        self.directory = os.path.join(directory, host.name + "-" + type(self).__name__.lower()
                                      + "-" + name)
        self.log = os.path.join(self.directory, "log")
        self.process = None
        os.mkdir(self.directory)

    # What a make says about itself.
    def configure(self):
        raise NotImplementedError

    def argv(self) -> list:
        raise NotImplementedError

    def flush(self):
        """Empties the cache, and what is remembered of servers above."""

    # What all have.
    def file(self, name: str, text: str = None) -> str:
        path = os.path.join(self.directory, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
        return path

    def _program(self) -> str:
        """The program, where AppArmor does not confine it.

        Debian's profiles let named and unbound read their own /etc only; they
        go by path, so a copy elsewhere is free to read the lab's files.
        """
        path = find_program(self.program)
        if path is None:
            raise LabError(f"{self.program} is not installed (scripts/install-deps)")
        if not os.path.exists("/sys/module/apparmor"):
            return path
        copy = os.path.join(self.directory, self.program)
        if not os.path.exists(copy):
            shutil.copy(path, copy)
        return copy

    def start(self, wait: bool = True):
        self.configure()
        self.process = self.host.start(f"{self.name} ({self.program})", self.argv(), self.log)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout: float = 20.0):
        """Waits until it answers at its first address."""
        wait_for(f"{self.name} ({self.program}) to answer",
                 lambda: self.check_alive() and self._answers(), timeout, every=0.1)

    def _answers(self) -> bool:
        reply = self.host.call(ask, self.addresses[0], *self.ready_question, timeout=0.5)
        return reply.rcode() == dns.rcode.NOERROR and bool(reply.answer)

    def check_alive(self) -> bool:
        """True; RuntimeError with the end of its log where it has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ({self.program}) ended with "
                               f"{self.process.returncode}:\n{self.tail()}")
        return True

    def tail(self, lines: int = 30) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int):
        self.process.send_signal(number)

    def pause(self):
        """Stops it as SIGSTOP does, and returns when it has stopped."""
        self.signal(signal.SIGSTOP)
        wait_for(f"{self.name} to stop", lambda: _state(self.process.pid) == "T", 2)

    def go_on(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """Ends it as SIGKILL does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(stretched(5))
            self.process = None

    def identity(self, address: str) -> str:
        """The name that the server at this address gives."""
        reply = self.host.call(ask, address, "id.server", "TXT", "CH")
        return reply.answer[0][0].strings[0].decode()


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


def _v4(addresses: list) -> str:
    """The first IPv4 address: a recursor asks the tree from there."""
    return next(a for a in addresses if AF_SIX not in a)


class Bind(Daemon):
    """source: the address that it asks the tree from, else its first one."""

    program = "named"

    def __init__(self, host, directory, name, addresses, source=None, control_port=953):
        super().__init__(host, directory, name, addresses)
        self.source, self.control_port = source or _v4(addresses), control_port

    def configure(self):
        listen4 = "".join(f"{a}; " for a in self.addresses if AF_SIX not in a)
        listen6 = "".join(f"{a}; " for a in self.addresses if AF_SIX in a)
        self.file("hints", plan.ROOT_HINTS)
        self.file("rndc.key", 'key "lab" { algorithm hmac-sha256; '
                  'secret "bGFiIGxhYiBsYWIgbGFiIGxhYiBsYWI="; };\n')
        self.file("named.conf", f"""\
include "{self.file('rndc.key')}";
controls {{ inet 127.0.0.1 port {self.control_port} allow {{ 127.0.0.1; }} keys {{ "lab"; }}; }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none;
  listen-on {{ {listen4}}}; listen-on-v6 {{ {listen6}}};
  query-source address {self.source};
  recursion yes; allow-query {{ any; }}; allow-recursion {{ any; }}; allow-query-cache {{ any; }};
  dnssec-validation no; empty-zones-enable no; minimal-responses yes;
  server-id "{self.name}"; recursive-clients 10000;
  clients-per-query 0; max-clients-per-query 0;
  servfail-ttl 0;
}};
zone "." {{ type hint; file "hints"; }};
""")

    def argv(self):
        return [self._program(), "-g", "-n", "1", "-c", self.file("named.conf")]

    def flush(self):
        self.host.run("rndc", "-s", "127.0.0.1", "-p", self.control_port,
                      "-k", self.file("rndc.key"), "flush")


class Unbound(Daemon):
    program = "unbound"

    def configure(self):
        interfaces = "\n".join(f"  interface: {a}\n  interface: {a}@853"
                               for a in self.addresses)
        self.file("hints", plan.ROOT_HINTS)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        f"/CN={self.name}", "-keyout", self.file("tls.key"),
                        "-out", self.file("tls.pem")], check=True, capture_output=True)
        self.file("unbound.conf", f"""\
server:
  tls-port: 853
  tls-service-key: "{self.file('tls.key')}"
  tls-service-pem: "{self.file('tls.pem')}"
  username: ""
  chroot: ""
  directory: "{self.directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
{interfaces}
  outgoing-interface: {_v4(self.addresses)}
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  module-config: "iterator"
  root-hints: "hints"
  identity: "{self.name}"
  nsid: "ascii_{self.name}"
  num-threads: 1
  incoming-num-tcp: 1000
  so-rcvbuf: 4m
  infra-host-ttl: 1
  ip-freebind: yes
remote-control:
  control-enable: yes
  control-interface: "{self.file('control')}"
  control-use-cert: no
""")

    def argv(self):
        return [self._program(), "-d", "-p", "-c", self.file("unbound.conf")]

    def flush(self):
        for command in (["flush_zone", "."], ["flush_infra", "all"]):
            self.host.run("unbound-control", "-c", self.file("unbound.conf"), *command)


class Pdns(Daemon):
    program = "pdns_recursor"

    def configure(self):
        self.file("hints", plan.ROOT_HINTS)
        self.file("recursor.conf", f"""\
local-address={','.join(self.addresses)}
local-port=53
non-local-bind=yes
query-local-address={_v4(self.addresses)}
allow-from=0.0.0.0/0,::/0
dont-query=
dnssec=off
hint-file={self.file('hints')}
security-poll-suffix=
server-id={self.name}
socket-dir={self.directory}
daemon=no
disable-syslog=yes
write-pid=no
setuid=
setgid=
threads=1
loglevel=4
packetcache-servfail-ttl=0
server-down-max-fails=0
non-resolving-ns-max-fails=0
dont-throttle-netmasks=203.0.113.0/24
""")

    def argv(self):
        return [self._program(), f"--config-dir={self.directory}"]

    def flush(self):
        self.host.run("rec_control", f"--socket-dir={self.directory}", "wipe-cache", ".$")


def nsd_server(daemon, more: str = "") -> str:
    """The parts `server` and `remote-control` of an nsd.conf, all files in the daemon's directory.
    more: further lines of `server`."""
    addresses = "\n".join(f"  ip-address: {a}" for a in daemon.addresses)
    return f"""\
server:
{addresses}
  username: ""
  zonesdir: "{daemon.directory}"
  pidfile: ""
  database: ""
  zonelistfile: "{daemon.file('zone.list')}"
  xfrdfile: "{daemon.file('xfrd.state')}"
  xfrdir: "{daemon.directory}"
  server-count: 1
  rrl-ratelimit: 0
{more}remote-control:
  control-enable: no
"""


def knot_server(daemon, log: str, more: str = "") -> str:
    """The parts `server`, `database` and `log` of a knot.conf, likewise. log: the least severity."""
    return f"""\
server:
  rundir: {daemon.directory}
  listen: [{', '.join(a + '@53' for a in daemon.addresses)}]
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
{more}database:
  storage: {daemon.directory}
  journal-db-max-size: 16M
  kasp-db-max-size: 16M
  timer-db-max-size: 16M
  catalog-db-max-size: 16M
log:
  - target: stderr
    any: {log}
"""


class Nsd(Daemon):
    """Serves the root."""

    program = "nsd"
    ready_question = (".", "SOA")

    def configure(self):
        self.file("root.zone", plan.ROOT_ZONE)
        self.file("nsd.conf", nsd_server(self, f'  identity: "{self.name}"\n') + """\
zone:
  name: "."
  zonefile: "root.zone"
""")

    def argv(self):
        return [self._program(), "-d", "-c", self.file("nsd.conf")]


class Knot(Daemon):
    """Serves the zones that it is given: {origin: text}."""

    program = "knotd"

    def __init__(self, host, directory, name, addresses, zones):
        super().__init__(host, directory, name, addresses)
        self.zones = zones
        self.ready_question = (next(iter(zones)), "SOA")

    def configure(self):
        for origin, text in self.zones.items():
            self.file(origin + "zone", text)
        zones = "\n".join(f"  - domain: {o}\n    file: {self.file(o + 'zone')}"
                          for o in self.zones)
        self.file("knot.conf", knot_server(self, "warning", f'  identity: "{self.name}"\n') + f"""\
template:
  - id: default
    storage: {self.directory}
    zonefile-sync: -1
    journal-content: none
zone:
{zones}
""")

    def argv(self):
        return [self._program(), "-c", self.file("knot.conf")]


class Answer(Daemon):
    """The lab's own server (tools/dnsanswer.cc): answers everything with one
    address, counts who asked, and misbehaves when told to, at run time."""

    program = "dnsanswer"
    ready_question = (plan.WWW_NAME, "A")

    def __init__(self, host, directory, name, addresses, tool, port=53):
        super().__init__(host, directory, name, addresses)
        self.tool, self.port = tool, port
        self.socket = self.file("control")

    def configure(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def argv(self):
        addresses = [part for a in self.addresses for part in ("--address", a)]
        return [self.tool, "--name", self.name, "--port", self.port, "--control", self.socket,
                "--answer", plan.WWW_V4, "--answer6", plan.WWW_V6, *addresses]

    def wait_ready(self, timeout: float = 10.0):
        wait_for(f"{self.name} to listen",
                 lambda: self.check_alive() and self.tell("stats"), timeout)

    def tell(self, command: str) -> str:
        """Sends one command line (see tools/dnsanswer.cc) and returns the reply."""
        return unix_request(self.socket, command)

    def stats(self) -> dict:
        """Counts since the start: {"udp": n, "tcp": n, "clients": {address: n}}."""
        return json.loads(self.tell("stats"))


def unix_request(path: str, line: str) -> str:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(stretched(3))
        control.connect(path)
        control.sendall(line.encode() + b"\n")
        control.shutdown(socket.SHUT_WR)
        reply = b""
        while chunk := control.recv(65536):
            reply += chunk
    text = reply.decode()
    if text.startswith("error"):
        raise LabError(f"{path}: {line}: {text.strip()}")
    return text
