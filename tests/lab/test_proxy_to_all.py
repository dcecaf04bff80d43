# SPDX-License-Identifier: Apache-2.0
"""NOTIFY and UPDATE through the proxy plane to every server (docs/proxy.md, whose lines for the
servers these are): a primary that knows the service IP alone."""

import itertools
import os
import re
import signal

import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode
import dns.tsigkeyring
import dns.update
import pytest
from lab import Lab, plan, wait_for
from lab.authoritative import (ALGORITHM, KEY, PRIMARY, SECRET, ZONE, KnotServer, Named,
                               NsdSecondary, PdnsSecondary)
from lab.director import Director, check_block, cluster, director_block
from lab.packaged import Page
from lab.system import stretched

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = Page(os.path.join(ROOT, "docs/proxy.md"))
SECONDARIES = {"BIND": Named, "NSD": NsdSecondary, "Knot DNS": KnotServer,
               "PowerDNS": PdnsSecondary}
PRIMARIES = {"BIND": Named, "Knot DNS": KnotServer}
ADDRESS, WITH_KEY = "by the director's address", "by a key"
SERVERS = {f"s{number}": 1 for number in range(1, 5)}
CHECK = check_block(ZONE, every="250ms", timeout="1s", tries=2, fall=3)
# A day until a secondary asks by itself: what comes within this time came by NOTIFY.
SECONDS = 15


class EmptyLab(Lab):
    """Hosts of real servers, on which tests start what they need."""

    def __init__(self):
        super().__init__(servers=["none"] * len(SERVERS), native=False)

    def _start_server(self, number: int, make: str):
        self.network.real_server(number, [])


@pytest.fixture(scope="module")
def empty_lab(can_direct):
    with EmptyLab() as lab:
        yield lab


class Cluster:
    """A primary on the client's host, and servers."""

    numbers = itertools.count(1)

    def __init__(self, lab):
        self.lab, self.running = lab, []
        self.secondaries = {}

    def start(self, kind, host, name, addresses, lines, **options):
        number = next(self.numbers)
        daemon = kind(host, self.lab.directory, f"{name}-{number}", addresses, lines, **options)
        daemon.start(wait=False)
        self.running.append(daemon)
        return daemon

    def start_primary(self, make: str, how: str, serial: int):
        [row] = [row for name, row in PAGE.table("primary").items() if name.startswith(make)]
        lines = code(row["by a key" if how == WITH_KEY else "by address"])
        self.primary = self.start(PRIMARIES[make], self.lab.client, "primary", [PRIMARY], lines,
                                  serial=serial)
        self.primary.wait_ready()

    def start_secondaries(self, how: str):
        for number, (make, kind) in enumerate(SECONDARIES.items(), 1):
            lines = notify_lines(make, how)
            options = {"with_key": how == WITH_KEY} if make == "PowerDNS" else {}
            self.secondaries[make] = self.start(
                kind, self.lab.host(f"s{number}"), f"s{number}",
                [plan.server_v4(number), plan.server_v6(number)], lines, **options)
        for server in self.secondaries.values():
            server.wait_ready()

    def serials(self) -> dict:
        return {make: server.serial_of() for make, server in self.secondaries.items()
                if server.running()}

    def wait_serial(self, serial: int):
        try:
            wait_for(f"serial {serial} at every secondary",
                     lambda: set(self.serials().values()) == {serial}, SECONDS, every=0.1)
        except Exception as error:
            raise AssertionError(f"{error}: {self.serials()}") from error

    def end(self):
        for daemon in self.running:
            daemon.kill()


def code(cell: str) -> list:
    return re.findall("`([^`]+)`", cell)


def notify_lines(make: str, how: str) -> list:
    table = PAGE.table("secondary")
    [row] = [row for row in table if row.startswith(make)]
    if make == "PowerDNS":  # what else it says of the key is a command
        return code(table[row][ADDRESS])
    return code(table[row][how])


@pytest.fixture
def servers(empty_lab):
    one = Cluster(empty_lab)
    yield one
    one.end()


def configuration(to_all: str = "to_all notify", servers=None) -> str:
    lines = f"{to_all}\nto_all_from {PRIMARY} {plan.CLIENT_V6}\n" if to_all else ""
    return director_block("proxy") + cluster(servers or SERVERS, check=CHECK, extra=lines,
                                             name="auth").replace("    lb_kind DR\n", "")


def events(director) -> dict:
    return director.status()["dataplane"]["events"]


@pytest.mark.parametrize("how", [ADDRESS, WITH_KEY], ids=["address", "key"])
@pytest.mark.parametrize("make", PRIMARIES)
def test_all_makes_of_secondaries_serve_the_new_serial_within_seconds(servers, empty_lab, make, how):
    servers.start_primary(make, how, 1)
    servers.start_secondaries(how)
    with Director(empty_lab, configuration()) as director:
        director.wait_states(**{name: "up" for name in SERVERS})
        before = events(director)
        for serial in (2, 3):
            servers.primary.publish(serial)
            servers.wait_serial(serial)
        happened = events(director)
        assert happened["to-all"] >= before["to-all"] + 2, happened
        assert happened["to-all-unanswered"] == before["to-all-unanswered"], happened
        assert happened["to-all-failed"] == before["to-all-failed"], happened
        # By what it came.
        udp, tcp = (director.service(address=plan.SERVICE_V4, protocol=protocol)["counters"]["packets"]
                    for protocol in ("udp", "tcp"))
        assert (udp, tcp)[make == "BIND"] == 0 and (tcp, udp)[make == "BIND"] >= 2, (udp, tcp)


def test_without_it_one_server_alone_learns_of_the_change(servers, empty_lab):
    servers.start_primary("BIND", ADDRESS, 1)
    servers.start_secondaries(ADDRESS)
    with Director(empty_lab, configuration(to_all="")) as director:
        director.wait_states(**{name: "up" for name in SERVERS})
        servers.primary.publish(2)
        wait_for("one to have the new serial", lambda: 2 in servers.serials().values(), SECONDS)
        assert sorted(servers.serials().values()) == [1, 1, 1, 2]
        director.reload(configuration())
        servers.primary.notify()
        servers.wait_serial(2)


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_secondary_that_is_dead_keeps_nobody_from_the_change(servers, empty_lab, how):
    servers.start_primary("BIND", ADDRESS, 1)
    servers.start_secondaries(ADDRESS)
    with Director(empty_lab, configuration()) as director:
        director.wait_states(**{name: "up" for name in SERVERS})
        dead = servers.secondaries["Knot DNS"]
        if how == "killed":
            dead.kill()
        else:
            dead.pause()
            del servers.secondaries["Knot DNS"]
        servers.primary.publish(2)
        servers.wait_serial(2)
        director.wait_states(s3="down")
        if how == "stopped":
            dead.go_on()
            wait_for("it to have heard", lambda: dead.serial_of() == 2, SECONDS)
        else:
            wait_for("it to be given up", lambda: events(director)["to-all-unanswered"], SECONDS)
        # The primary had got its answer before, when the dead one was out.
        assert events(director)["to-all-failed"] == 0


def test_a_program_that_takes_the_place_of_another_goes_on_with_it(servers, empty_lab):
    servers.start_primary("BIND", ADDRESS, 1)
    servers.start_secondaries(ADDRESS)
    with Director(empty_lab, configuration()) as director:
        director.wait_states(**{name: "up" for name in SERVERS})
        director.process.send_signal(signal.SIGUSR2)
        # From now on it is one program or the other that serves, or one in between.
        servers.primary.publish(2)
        servers.wait_serial(2)
        wait_for("the new program", lambda: "re-executing" in director.read_log(), SECONDS)
        wait_for("it to answer", director.status, SECONDS)
        servers.primary.publish(3)
        servers.wait_serial(3)


def test_one_that_is_out_is_told_and_so_comes_back(servers, empty_lab):
    """Without a zone it answers SERVFAIL, which puts it out, and it needs the NOTIFY most."""
    server = servers.start(Named, empty_lab.host("s1"), "s1",
                           [plan.server_v4(1), plan.server_v6(1)], notify_lines("BIND", ADDRESS))
    with Director(empty_lab, configuration(servers={"s1": 1})) as director:
        wait_for("it to answer without a zone", lambda: server.serial_of() == 0, SECONDS)
        director.wait_states(s1="down")
        servers.start_primary("Knot DNS", ADDRESS, 1)
        servers.primary.publish(2)
        # Up it is with the first serial, too: Knot tells of it when it has loaded the zone.
        director.wait_states(timeout=SECONDS, s1="up")
        wait_for("serial 2", lambda: server.serial_of() == 2, SECONDS)


# ---- UPDATE -------------------------------------------------------------------------

UPDATES = {"BIND": (Named, ["allow-update { key \"" + KEY + "\"; };"]),
           "Knot DNS": (KnotServer, [f"key: {KEY}", "action: update"])}


@pytest.mark.parametrize("make", UPDATES)
def test_an_update_arrives_at_both_primaries(servers, empty_lab, make):
    kind, lines = UPDATES[make]
    both = [servers.start(kind, empty_lab.host(f"s{number}"), f"s{number}",
                          [plan.server_v4(number), plan.server_v6(number)], lines, serial=1)
            for number in (1, 2)]
    for server in both:
        server.wait_ready()
    with Director(empty_lab, configuration("to_all update", {"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        for name, options in (("over-udp", []), ("over-tcp", ["-v"])):
            nsupdate(empty_lab, name, *options)
            assert all(server.has(name) for server in both)
        assert events(director)["to-all"] == 2
        # A name that is there already at one of them: the sender is told, and the other one has it.
        both[1].kill()
        director.wait_states(s2="down")
        nsupdate(empty_lab, "one-only")
        both[1].start()
        director.wait_states(s1="up", s2="up")
        assert both[0].has("one-only") and not both[1].has("one-only")
        update = dns.update.Update(ZONE, keyring=keyring(), keyname=KEY, keyalgorithm=ALGORITHM)
        update.absent("one-only")
        update.add("one-only", 60, "A", plan.WWW_V4)
        answer = empty_lab.client.call(dns.query.udp, update, plan.SERVICE_V4,
                                       timeout=stretched(5))
        assert answer.rcode() == dns.rcode.YXDOMAIN and answer.had_tsig
        # The sender hears of what one refuses before the other has answered.
        wait_for("the other one to have it", lambda: both[1].has("one-only"), 5)


def keyring():
    return dns.tsigkeyring.from_text({KEY: (ALGORITHM, SECRET)})


def nsupdate(lab, name: str, *options):
    lab.client.run("nsupdate", *options, "-y", f"{ALGORITHM}:{KEY}:{SECRET}", input=(
        f"server {plan.SERVICE_V4}\nzone {ZONE}\nupdate add {name}.{ZONE} 60 A {plan.WWW_V4}\n"
        "send\n"))


def test_who_is_not_named_is_refused(empty_lab):
    with Director(empty_lab, configuration()) as director:
        notify = dns.message.make_query(ZONE, "SOA")
        notify.set_opcode(dns.opcode.NOTIFY)
        notify.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
        for tcp in (False, True):
            send = dns.query.tcp if tcp else dns.query.udp
            answer = empty_lab.router.call(send, notify, plan.SERVICE_V4, timeout=stretched(5))
            assert answer.rcode() == dns.rcode.REFUSED
        assert director.status()["dataplane"]["drops"]["not-allowed"] == 2
