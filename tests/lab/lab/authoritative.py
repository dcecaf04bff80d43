# SPDX-License-Identifier: Apache-2.0
"""Authoritative servers of four makes, as secondaries and primaries of one zone.

What a secondary or primary says of NOTIFY it is given as `lines`, which stand in a page of
docs/; the rest is here. The primary is on the client's host, behind the router.
"""

import os

import dns.rcode

from . import plan
from .daemons import AF_SIX, Daemon, ask, knot_server, nsd_server

ZONE = "example.com"
PRIMARY = plan.CLIENT_V4
KEY, ALGORITHM = "notify.example", "hmac-sha256"
SECRET = "bm90aWZ5IG5vdGlmeSBub3RpZnkgbm90aWZ5IG5vdGk="


def zone_text(serial: int) -> str:
    """Nobody asks for it by himself before a day is over."""
    return (f"$ORIGIN {ZONE}.\n$TTL 60\n"
            f"@ SOA ns.{ZONE}. hostmaster.{ZONE}. {serial} 86400 86400 864000 60\n"
            f"@ NS ns.{ZONE}.\nns A {PRIMARY}\nwww A {plan.WWW_V4}\n")


class Authoritative(Daemon):
    """lines: what the zone says of NOTIFY, UPDATE. serial: of a primary's zone; a secondary
    has none until it is told."""

    ready_question = (ZONE, "SOA")

    def __init__(self, host, directory, name, addresses, lines: list, serial: int = None):
        super().__init__(host, directory, name, addresses)
        self.lines, self.serial = lines, serial

    @property
    def primary(self) -> bool:
        return self.serial is not None

    def configure(self):
        os.chmod(self.directory, 0o777)
        if self.primary:
            self.file("zone", zone_text(self.serial))
        self.write_configuration()

    def write_configuration(self):
        raise NotImplementedError

    def load(self):
        """Makes the primary read its zone file."""
        raise NotImplementedError

    def publish(self, serial: int):
        """A primary's zone changes; it tells of that by itself."""
        self.serial = serial
        self.file("zone", zone_text(serial))
        self.load()

    def serial_of(self) -> int:
        """The serial that it serves; 0 where it serves no zone."""
        reply = self.host.call(ask, self.addresses[0], ZONE, "SOA")
        return reply.answer[0][0].serial if reply.rcode() == dns.rcode.NOERROR and reply.answer else 0

    def has(self, name: str) -> bool:
        return bool(self.host.call(ask, self.addresses[0], f"{name}.{ZONE}", "A").answer)


class Named(Authoritative):
    program = "named"
    key_file = f'key "{KEY}" {{ algorithm {ALGORITHM}; secret "{SECRET}"; }};\n'

    def write_configuration(self):
        listen4 = "".join(f"{a}; " for a in self.addresses if AF_SIX not in a)
        listen6 = "".join(f"{a}; " for a in self.addresses if AF_SIX in a) or "none; "
        kind = "type primary;" if self.primary else \
            f"type secondary; primaries {{ {PRIMARY}; }}; masterfile-format text; notify no;"
        self.file("rndc.key", self.key_file.replace(KEY, "rndc"))
        self.file("named.conf", f"""\
include "{self.file('rndc.key')}";
controls {{ inet 127.0.0.1 port 953 allow {{ 127.0.0.1; }} keys {{ "rndc"; }}; }};
{self.key_file}
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none;
  listen-on {{ {listen4}}}; listen-on-v6 {{ {listen6}}};
  recursion no; dnssec-validation no; allow-transfer {{ any; }};
  notify-rate 1000; startup-notify-rate 1000;
}};
zone "{ZONE}" {{
  {kind} file "zone";
  {' '.join(self.lines)}
}};
""")

    def argv(self):
        return [self._program(), "-g", "-n", "1", "-c", self.file("named.conf")]

    def rndc(self, *command):
        return self.host.run("rndc", "-s", "127.0.0.1", "-k", self.file("rndc.key"), *command)

    def load(self):
        self.rndc("reload", ZONE)

    def notify(self):
        self.rndc("notify", ZONE)


class NsdSecondary(Authoritative):
    program = "nsd"

    def write_configuration(self):
        self.file("nsd.conf", nsd_server(self) + f"""\
key:
  name: "{KEY}"
  algorithm: {ALGORITHM}
  secret: "{SECRET}"
zone:
  name: "{ZONE}"
  zonefile: "zone"
  request-xfr: {PRIMARY} NOKEY
{self._indented()}
""")

    def _indented(self) -> str:
        return "\n".join("  " + line for line in self.lines)

    def argv(self):
        return [self._program(), "-d", "-c", self.file("nsd.conf")]


class KnotServer(Authoritative):
    program = "knotd"

    def write_configuration(self):
        lines = "".join(f"    {line}\n" for line in self.lines)
        other = f"remote:\n  - id: primary\n    address: {PRIMARY}\nacl:\n  - id: rule\n{lines}"
        zone = "    master: primary\n    acl: rule\n"
        if self.primary:
            other = (f"remote:\n  - id: service\n{lines}"
                     "acl:\n  - id: transfers\n    action: transfer\n"
                     f"  - id: signed\n    key: {KEY}\n    action: transfer\n")
            zone = "    notify: service\n    acl: [transfers, signed]\n"
        if self.primary and any("action" in line for line in self.lines):
            other, zone = f"acl:\n  - id: rule\n{lines}", "    acl: rule\n"
        self.file("knot.conf", knot_server(self, "info") + f"""\
key:
  - id: {KEY}
    algorithm: {ALGORITHM}
    secret: {SECRET}
{other}
zone:
  - domain: {ZONE}
    storage: {self.directory}
    file: zone
    zonefile-load: whole
{zone}""")

    def argv(self):
        return [self._program(), "-c", self.file("knot.conf")]

    def load(self):
        self.host.run("knotc", "-s", os.path.join(self.directory, "knot.sock"), "zone-reload", ZONE)


class PdnsSecondary(Authoritative):
    """On its BIND backend. with_key: it knows the key, and takes nothing of the zone without."""

    program = "pdns_server"

    def __init__(self, *args, with_key: bool = False, **options):
        super().__init__(*args, **options)
        self.with_key = with_key

    def write_configuration(self):
        keys = self.file("keys.db")
        self.file("named.conf", f'zone "{ZONE}" {{ type slave; file "{self.file("zone")}"; '
                  f"masters {{ {PRIMARY}; }}; }};\n")
        self.file("pdns.conf", f"""\
local-address={','.join(self.addresses)}
socket-dir={self.directory}
launch=bind
bind-config={self.file('named.conf')}
secondary=yes
daemon=no
guardian=no
disable-syslog=yes
write-pid=no
security-poll-suffix=
loglevel=6
""" + (f"bind-dnssec-db={keys}\n" if self.with_key else "") + "\n".join(self.lines) + "\n")
        if self.with_key and not os.path.exists(keys):
            for command in (f"create-bind-db {keys}", f"import-tsig-key {KEY} {ALGORITHM} {SECRET}",
                            f"activate-tsig-key {ZONE} {KEY} secondary"):
                self.host.run("pdnsutil", f"--config-dir={self.directory}", *command.split())

    def argv(self):
        return [self._program(), f"--config-dir={self.directory}"]
