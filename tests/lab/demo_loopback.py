#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the proxy plane does, shown on loopback by a user without any right.

Starts two real DNS servers (of BIND 9, Unbound, Knot DNS and NSD the first two that are installed
and run) and a director in front of them, kills one of them under load, starts it again, replaces
the director's program, and says what became of every query. Needs nothing but Python's own library.
Leaves nothing behind; exits 1 where a promise was not kept.
"""

import argparse
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

RATE = 500          # queries a second
PATIENCE = 2.0      # seconds that a client waits
READY = 20.0        # … that a server or the director may take to start
LOOPBACK = "127.0.0.1"
NAME, ZONE = "www.example.com", "example.com"
REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.environ.get("DNSDIRECTOR",
                         os.path.join(REPOSITORY, "build", "release", "dnsdirector"))
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"


class Failure(Exception):
    """What is wrong, and what would be right."""


# Configurations of the servers. Each answers with an address of its own.
def zone(address):
    return (f"$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\n"
            f"ns A 192.0.2.1\nwww A {address}\n")


BIND = """\
options {{
  directory "{directory}"; pid-file none; session-keyfile none; recursion no;
  listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; minimal-responses yes;
}};
controls {{ }};
zone "{zone}" {{ type primary; file "zone"; }};
"""
UNBOUND = """\
server:
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  interface: 127.0.0.1@{port}
  access-control: 127.0.0.0/8 allow
  module-config: "iterator"
  num-threads: 1
  local-zone: "{zone}." static
  local-data: "www.{zone}. 60 IN A {address}"
  local-data: "{zone}. 60 IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 5"
remote-control:
  control-enable: no
"""
KNOT = """\
server:
  rundir: {directory}
  listen: 127.0.0.1@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {directory}
  journal-db-max-size: 16M
  kasp-db-max-size: 16M
  timer-db-max-size: 16M
  catalog-db-max-size: 16M
log:
  - target: stderr
    any: warning
template:
  - id: default
    storage: {directory}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: {zone}.
    file: {directory}/zone
"""
NSD = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{directory}"
  pidfile: ""
  database: ""
  zonelistfile: "{directory}/zone.list"
  xfrdfile: "{directory}/xfrd.state"
  xfrdir: "{directory}"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: "{zone}"
  zonefile: "zone"
"""
# Make: Debian's package, program, its options before the configuration's path, configuration.
MAKES = {
    "BIND 9": ("bind9", "named", ("-g", "-n", "1", "-c"), BIND),
    "Unbound": ("unbound", "unbound", ("-d", "-p", "-c"), UNBOUND),
    "Knot DNS": ("knot", "knotd", ("-c",), KNOT),
    "NSD": ("nsd", "nsd", ("-d", "-c"), NSD),
}
DIRECTOR = """\
director {{
    dataplane proxy
}}

dns_cluster demo {{
    service_ip 127.0.0.1
    port {port}
    lb_algo wrr
    check {{
        query "{name} A"
        every 200ms
        timeout 500ms
    }}
    real_server a {{ address 127.0.0.1; port {a} }}
    real_server b {{ address 127.0.0.1; port {b} }}
}}
"""


def free_port() -> int:
    """One that nobody uses now, over UDP and TCP."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind((LOOPBACK, 0))
            port = udp.getsockname()[1]
            try:
                tcp.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise Failure("no port of 127.0.0.1 is free over both UDP and TCP")


def query(number: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split("."))
    return struct.pack("!6H", number & 0xffff, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def answer_in(message: bytes):
    """The address in the first answer, or None where there is none."""
    size = len(query(0))
    if len(message) < size + 16 or message[3] & 0xf or message[6:8] == b"\0\0":
        return None
    at = size + (2 if message[size] & 0xc0 else len(NAME) + 2)
    return socket.inet_ntoa(message[at + 10:at + 14]) if len(message) >= at + 14 else None


def wait_for(what: str, condition, seconds: float = READY):
    until = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > until:
            raise Failure(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.05)
    return value


class Process:
    """A child whose output goes to a file in the demo's directory."""

    def __init__(self, directory: str, name: str, argv: list):
        self.log = os.path.join(directory, f"{name}.log")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)

    def alive(self) -> bool:
        return self.child.poll() is None

    def end(self, number: int = signal.SIGTERM):
        if self.alive():
            self.child.send_signal(number)
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        try:  # NSD has children of its own
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def tail(self) -> str:
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-10:])


class Server:
    """A DNS server of some make."""

    def __init__(self, directory: str, make: str, address: str):
        self.make, self.address, self.port = make, address, free_port()
        self.directory = os.path.join(directory, f"server-{address}")
        shutil.rmtree(self.directory, ignore_errors=True)
        os.mkdir(self.directory)
        _, program, options, text = MAKES[make]
        places = {"directory": self.directory, "port": self.port, "zone": ZONE, "address": address}
        with open(os.path.join(self.directory, "zone"), "w", encoding="utf-8") as file:
            file.write(zone(address))
        config = os.path.join(self.directory, "conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text.format(**places))
        path = shutil.which(program, path=os.environ.get("PATH", "") + SBIN)
        if os.path.exists("/sys/module/apparmor"):
            # Debian's profiles go by path, and let named and unbound read their /etc only.
            path = shutil.copy(path, self.directory)
        self.argv = [path, *options, config]
        self.process = None

    def start(self):
        self.process = Process(self.directory, "output", self.argv)
        try:
            wait_for(f"{self.make} to answer", lambda: self._answers() or not self.process.alive())
            if not self._answers():
                raise Failure(f"{self.make} does not run here:\n{self.process.tail()}")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(0.3)
            try:
                udp.connect((LOOPBACK, self.port))
                udp.send(query(1))
                return answer_in(udp.recv(4096)) == self.address
            except OSError:
                return False

    def stop(self, number: int = signal.SIGTERM):
        if self.process:
            self.process.end(number)
            self.process = None


class Load:
    """Queries at a steady rate over UDP, each accounted for."""

    def __init__(self, port: int, addresses: list):
        self.sockets = []
        for _ in range(16):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.setblocking(False)
            udp.connect((LOOPBACK, port))
            self.sockets.append(udp)
        self.sent = {}      # number: when, and None once it is answered
        self.by = dict.fromkeys(addresses, 0)
        self.wrong = self.slowest = 0

    def run(self, seconds: float, events=()):
        """events: (seconds, what to do) in the order of time."""
        events = list(events)
        begun, number = time.monotonic(), 0
        while (now := time.monotonic()) < begun + seconds or self.waiting(now):
            if events and now >= begun + events[0][0]:
                events.pop(0)[1]()
            if now < begun + seconds:
                while number < (now - begun) * RATE:
                    self._send(number)
                    number += 1
            readable, _, _ = select.select(self.sockets, [], [], 0.002)
            for udp in readable:
                self._receive(udp)
        return self

    def waiting(self, now: float) -> bool:
        return any(when and now - when < PATIENCE for when in self.sent.values())

    def _send(self, number):
        try:
            self.sockets[number % len(self.sockets)].send(query(number))
        except OSError:
            pass  # it will be missed
        self.sent[number] = time.monotonic()

    def _receive(self, udp):
        try:
            message = udp.recv(4096)
        except OSError:
            return
        low = struct.unpack("!H", message[:2])[0]
        number = next((n for n in range(low, len(self.sent), 65536) if self.sent.get(n)), None)
        if number is None:
            return
        self.slowest = max(self.slowest, time.monotonic() - self.sent[number])
        self.sent[number] = None
        address = answer_in(message)
        if address in self.by:
            self.by[address] += 1
        else:
            self.wrong += 1

    @property
    def lost(self) -> int:
        return sum(1 for each in self.sent.values() if each)

    def close(self):
        for udp in self.sockets:
            udp.close()

    def fate(self) -> str:
        return (f"{len(self.sent)} queries, {self.lost} lost, {self.wrong} answered wrongly; "
                f"the slowest answer took {self.slowest * 1000:.0f} ms")


def over_tcp(port: int, count: int) -> int:
    """Asks so many in one connection, all before the first answer; how many are answered."""
    with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as tcp:
        tcp.sendall(b"".join(struct.pack("!H", len(query(n))) + query(n) for n in range(count)))
        stream, answered = b"", 0
        while answered < count:
            piece = tcp.recv(65536)
            if not piece:
                break
            stream += piece
            while len(stream) >= 2 and len(stream) >= 2 + (size := struct.unpack("!H", stream[:2])[0]):
                answered += answer_in(stream[2:2 + size]) is not None
                stream = stream[2 + size:]
    return answered


class Demo:
    def __init__(self, directory: str):
        self.directory = directory
        self.run_dir = os.path.join(directory, "run")
        os.mkdir(self.run_dir)
        self.servers, self.director, self.broken, self.step_number = [], None, [], 0
        self.port = free_port()
        tty = sys.stdout.isatty()
        self.bold, self.plain = ("\x1b[1m", "\x1b[0m") if tty else ("", "")

    def step(self, text: str):
        self.step_number += 1
        print(f"\n{self.bold}{self.step_number}. {text}{self.plain}", flush=True)

    @staticmethod
    def say(text: str):
        for line in text.rstrip().splitlines():
            print(f"   {line}", flush=True)

    def promise(self, kept: bool, what: str):
        if not kept:
            self.broken.append(what)
            self.say(f"NOT AS PROMISED: {what}")

    def command(self, *words) -> str:
        return subprocess.run([PROGRAM, *words, "--run-dir", self.run_dir], check=True,
                              stdout=subprocess.PIPE, text=True, timeout=30).stdout

    def states(self) -> dict:
        try:
            status = json.loads(self.command("status", "--json"))
        except subprocess.CalledProcessError:
            return {}
        udp = next(each for each in status["services"] if each["protocol"] == "udp")
        return {each["name"]: each["state"] for each in udp["real_servers"]}

    def load(self, seconds: float, events=()) -> Load:
        load = Load(self.port, [server.address for server in self.servers])
        try:
            return load.run(seconds, events)
        finally:
            load.close()

    def start_servers(self):
        """Two, of different makes where there are."""
        self.step("Two DNS servers on loopback, started by this user")
        installed = [make for make, (_, program, *_) in MAKES.items()
                     if shutil.which(program, path=os.environ.get("PATH", "") + SBIN)]
        for make in installed + installed:
            if len(self.servers) == 2:
                break
            server = Server(self.directory, make, f"198.51.100.{len(self.servers) + 1}")
            try:
                server.start()
            except Failure as failure:
                self.say(f"{make} is left out: {failure}")
                continue
            self.servers.append(server)
            self.say(f"{make} answers at {LOOPBACK}, port {server.port}")
        if len(self.servers) < 2:
            packages = " ".join(package for package, *_ in MAKES.values())
            raise Failure(f"two DNS servers are needed, and {len(self.servers)} can be started; "
                          f"any of these packages has one: {packages} "
                          "(sudo apt-get install --no-install-recommends bind9 unbound)")

    def start_director(self):
        self.step("A director in front of them, started by this user")
        text = DIRECTOR.format(port=self.port, name=NAME, a=self.servers[0].port,
                               b=self.servers[1].port)
        config = os.path.join(self.directory, "dnsdirector.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        self.say(text)
        self.director = Process(self.directory, "director", [PROGRAM, "run", "-f", config,
                                                             "--run-dir", self.run_dir])
        try:
            wait_for("both servers to be up",
                     lambda: not self.director.alive() or set(self.states().values()) == {"up"})
        except Failure as failure:
            raise Failure(f"{failure}\n{self.director.tail()}") from None
        if not self.director.alive():
            raise Failure(f"the director ended:\n{self.director.tail()}")

    def run(self):
        self.start_servers()
        self.start_director()
        first, second = self.servers

        self.step(f"{RATE} queries a second for two seconds, over UDP; 50 in one TCP connection")
        load = self.load(2)
        self.say(load.fate())
        for server in self.servers:
            self.say(f"{server.make}: {load.by[server.address]} answers, "
                     f"{100 * load.by[server.address] / max(1, len(load.sent)):.0f}%")
        self.promise(load.lost + load.wrong == 0, "every query is answered")
        share = load.by[first.address] / max(1, len(load.sent))
        self.promise(0.45 < share < 0.55, f"equal weights share equally, not {share:.2f}")
        answered = over_tcp(self.port, 50)
        self.say(f"TCP: {answered} of 50 answered")
        self.promise(answered == 50, "every query over TCP is answered")
        self.say(self.command("status"))

        self.step(f"{second.make} is killed under load")
        load = self.load(4, [(1, lambda: second.stop(signal.SIGKILL))])
        self.say(load.fate())
        self.promise(load.lost + load.wrong == 0, "a server that is killed costs no query")
        self.say(self.command("status"))
        self.promise(self.states()["b"] == "down", "a dead server is down")

        self.step(f"{second.make} is started again, and the program replaced (USR2), under load")
        second.start()
        wait_for("it to be up again", lambda: self.states().get("b") == "up")
        load = self.load(3, [(0.5, lambda: self.director.child.send_signal(signal.SIGUSR2))])
        self.say(load.fate())
        self.promise(load.lost + load.wrong == 0, "a new program costs no query")
        self.promise(load.by[second.address] > 0, "a server that is back gets work")
        with open(self.director.log, encoding="utf-8") as log:
            self.promise("re-executing" in log.read(), "the program was replaced")

        self.step("A clean stop")
        self.director.end()
        self.say(f"exit status {self.director.child.returncode}; left in the run directory: "
                 f"{', '.join(os.listdir(self.run_dir)) or 'nothing'}")
        self.promise(self.director.child.returncode == 0, "a clean stop")

    def end(self):
        if self.director:
            self.director.end()
        for server in self.servers:
            server.stop()


def main() -> int:
    argparse.ArgumentParser(prog="demo", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if not os.access(PROGRAM, os.X_OK):
        raise Failure(f"no dnsdirector at {PROGRAM}: build it (scripts/build), or say where it is "
                      "with DNSDIRECTOR=PATH")
    # Ends by an exception, so that all is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    begun = time.monotonic()
    directory = tempfile.mkdtemp(prefix="dnsdirector-demo-")
    demo = None
    try:
        demo = Demo(directory)
        demo.run()
    finally:
        if demo:
            demo.end()
        shutil.rmtree(directory)
    print(f"\n{time.monotonic() - begun:.0f} s; nothing is left behind", flush=True)
    for what in demo.broken:
        print(f"NOT AS PROMISED: {what}")
    return 1 if demo.broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
