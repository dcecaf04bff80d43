# SPDX-License-Identifier: Apache-2.0
"""The DNS servers of docs/realserver_servers.md on a machine that `dnsdirector realserver up` made
a real server. The page's configurations, units and table are what is tested."""

import contextlib
import os
import re
import shlex
import socket
import subprocess
import time

import dns.edns
import dns.flags
import dns.rcode
import pytest
from lab import cookies, wait_for
from lab.dns_makes import LARGE, MAKES, PROCESSES, changed
from lab.packaged import Page, Service, System, Unit
from lab.real_server import Ear
from lab.served import CLIENT, INPUTS, OUTSIDERS, SERVICE, ServedLab
from lab.system import find_program
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6


ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = Page(os.path.join(ROOT, "docs/realserver_servers.md"))
EXAMPLE, EXAMPLE_OF_TWO = (os.path.join(ROOT, "examples", name) for name in
                           ("realserver.conf", "realserver-two-processes.conf"))
ONE, TWO = "One process", "Two processes"
OWN = INPUTS["eth1.105"][0]
SECRET = "00112233445566778899aabbccddeeff"
NSID, COOKIE = 3, 10
BIND, UNBOUND = MAKES[:2]
# What they do by themselves, as the page has it: {make: {column: what}}.
TABLE = PAGE.table("server")
START, WILDCARD, SECOND, COOKIES, WRONG_COOKIE = list(next(iter(TABLE.values())))[2:]
every_make = pytest.mark.parametrize("make", MAKES, ids=lambda make: make.heading)


@pytest.fixture(scope="module")
def served(can_direct):
    with ServedLab() as lab:
        yield lab


@pytest.fixture
def machine(served):
    """No real server yet, and no process of it when the test is over."""
    served.services = []
    yield served
    for service in served.services:
        service.stop()
    served.real_server("down")
    served.lead_to("eth1.105")


def prepare(machine, make, section: str = ONE, changes=()) -> tuple:
    """A system with the page's files of a section; the first one changed. Returns both."""
    files = PAGE.files(make.heading, section)
    path = next(iter(files))
    written = {**files, path: changed(files[path], changes)}
    folder = os.path.join(machine.directory, f"system{len(os.listdir(machine.directory))}")
    os.mkdir(folder)
    system = System(folder, make.folders)
    system.write({**make.data, **{p: t + make.more.get(p, "") for p, t in written.items()}})
    return system, files


def service(machine, make, changes=()) -> Service:
    """The one process of the page, its configuration changed, started."""
    system, files = prepare(machine, make, ONE, changes)
    return start(machine, system, Unit(make.unit, files))


def start(machine, system: System, unit: Unit) -> Service:
    process = Service(machine.server, system, unit)
    machine.services.append(process)
    process.start()
    return process


def wait_answered(machine, process: Service, addresses):
    def answered():
        if process.ended():
            raise RuntimeError(f"{process.unit.name} ended:\n{process.said()[-2000:]}")
        return all(machine.ask(address, timeout=0.3).answer for address in addresses)
    wait_for(f"{process.unit.name} to answer at {addresses}", answered, 20)


def option(reply, number: int):
    found = [each.to_wire() for each in reply.options if each.otype == number]
    return found[0] if found else None


def ask_all(machine, address: str, name: str):
    """By both protocols, what is small and what is large; the answers name their server."""
    edns = {"use_edns": 0, "payload": 4096, "options": [dns.edns.GenericOption(NSID, b"")]}
    small = machine.ask(address, **edns)
    large = machine.ask(address, LARGE, "TXT", **edns)
    whole = machine.ask(address, LARGE, "TXT", tcp=True, **edns)
    for reply in (small, large, whole):
        assert option(reply, NSID) == name.encode(), (address, reply)
    assert small.answer and large.flags & dns.flags.TC and len(large.to_wire()) <= 1232
    assert len(whole.to_wire()) > 1232 and len(whole.answer[0]) == 10


def cookie_of(machine, address: str, value: bytes = b"askedask"):
    """The reply, and the server's word on a cookie."""
    reply = machine.ask(address, use_edns=0, options=[dns.edns.GenericOption(COOKIE, value)])
    return reply, option(reply, COOKIE)


def cell(make, column: str, meanings: dict):
    return meanings[TABLE[make.heading][column]]


# ---- the page's configurations ------------------------------------------------------

@every_make
def test_one_process_answers_as_the_service_ip(machine, make):
    process = service(machine, make)
    wait_answered(machine, process, OWN[:1])
    machine.real_server("up", EXAMPLE)  # the server was there first
    wait_answered(machine, process, SERVICE)
    for address in (*SERVICE, *OWN):
        ask_all(machine, address, "ns1")
    for address, client, outsider in zip(SERVICE, CLIENT, OUTSIDERS):
        wrong = cookies.cookie(SECRET[::-1], client, int(time.time()))
        reply, cookie = cookie_of(machine, address, wrong)
        assert reply.rcode() == cell(make, WRONG_COOKIE, {"answered": dns.rcode.NOERROR,
                                                          "BADCOOKIE": dns.rcode.BADCOOKIE})
        assert cookies.made_with(SECRET, cookie, client) if make.cookie else cookie is None
        right = cookies.cookie(SECRET, client, int(time.time()))
        assert cookie_of(machine, address, right)[0].answer
        if make.recursor:
            assert machine.ask(address, source=client).flags & dns.flags.RA
            assert turned_away(machine, make, address, outsider), "an open resolver"
    if make.recursor:
        assert not askers(machine) & set(SERVICE)
    machine.real_server("down")
    machine.real_server("up", EXAMPLE)
    wait_answered(machine, process, SERVICE)


def askers(machine) -> set:
    """The sources of a recursor's own questions, made when it is asked what it does not know."""
    ear = Ear(machine.client, ("eth0",))

    def found() -> set:
        packets = [packet for _, packet in ear.frames()]
        return {packet[layer].src for packet in packets for layer in (IP, IPv6)
                if layer in packet and UDP in packet and packet[UDP].dport == 53
                and packet.src == machine.mac}
    try:
        with contextlib.suppress(OSError):
            machine.ask(SERVICE[0], "www.example.org", timeout=0.2)
        return wait_for("the recursor to ask others", found, 10)
    finally:
        ear.close()


def turned_away(machine, make, address: str, outsider: str) -> bool:
    if not make.silent:
        return machine.ask(address, ".", "NS", source=outsider).rcode() == dns.rcode.REFUSED
    try:
        return not machine.ask(address, source=outsider, timeout=0.5)
    except OSError:
        return True


@every_make
def test_two_processes_are_told_apart_and_share_nothing(machine, make):
    system, files = prepare(machine, make, TWO)
    for path in files:
        if "ns1" in path:
            _, expression, *_ = shlex.split(PAGE.command("sed "))
            second = changed(path, [("ns1", "ns2")])
            machine.server.run(*system.inside("sh", "-c", f"sed '{expression}' {path} > {second}"))
    machine.real_server("up", EXAMPLE_OF_TWO)
    processes = [start(machine, system, Unit(make.template.format(name), files))
                 for name in PROCESSES]
    for name, process, (interface, (own, _)) in zip(PROCESSES, processes, INPUTS.items()):
        wait_answered(machine, process, own)
        machine.lead_to(interface)
        for address in (*SERVICE, *own):
            ask_all(machine, address, name)
    end_by_control(make, processes[1], "ns2")
    processes[1].wait_ended()
    machine.lead_to("eth1.105")
    for address in SERVICE:
        ask_all(machine, address, "ns1")


@pytest.mark.skipif(find_program("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("make", [make for make in MAKES if "/etc/systemd" in "".join(
    PAGE.files(make.heading, TWO))], ids=lambda make: make.heading)
def test_systemd_has_nothing_to_say_of_a_unit_of_the_page(make, tmp_path):
    [(path, text)] = [file for file in PAGE.files(make.heading, TWO).items()
                      if file[0].startswith("/etc/systemd")]
    # Under a name of its own, beside Debian's unit of the same name where that is installed.
    unit = tmp_path / os.path.basename(path).replace("@", "-of-the-page@")
    unit.write_text(text, encoding="utf-8")
    instance = tmp_path / unit.name.replace("@", "@ns1")
    done = subprocess.run([find_program("systemd-analyze"), "verify", "--man=no", instance],
                          capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def end_by_control(make, process: Service, name: str):
    how = make.control(name)
    if isinstance(how, list):
        process.run(*how)
        return
    with socket.socket(socket.AF_UNIX) as control:
        control.connect(process.system.path(how))
        control.sendall(b"quit()\n")


# ---- the page's table: what they do by themselves -----------------------------------

def test_the_table_is_of_these_servers():
    assert list(TABLE) == [make.heading for make in MAKES]


@every_make
def test_without_the_service_ip_at_the_start(machine, make):
    ends = cell(make, START, {"ends": True, "waits for it": False, "listens all the same": False})
    assert ends == bool(make.freebind), "the others' own way is in the page's configuration"
    process = service(machine, make, make.freebind)
    if ends:
        process.wait_ended()
        assert process.process.returncode != 0
        return
    wait_answered(machine, process, OWN[:1])
    listens = f"{SERVICE[0]}:53 " in machine.server.run("ss", "-Hnlu").stdout
    assert listens == cell(make, START, {"waits for it": False, "listens all the same": True})


@every_make
def test_on_the_wildcard_and_without_a_secret_and_twice(machine, make):
    machine.real_server("up", EXAMPLE)
    naive = [*make.wildcard, *make.cookie]
    first = service(machine, make, naive)
    wait_answered(machine, first, OWN)
    sources = [machine.source_of_answer(address) for address in SERVICE]
    assert sources == list(cell(make, WILDCARD, {"the service IP": SERVICE,
                                                 "its own address": OWN}))
    for address in SERVICE:
        assert machine.ask(address, tcp=True).answer, "right by TCP always"
    _, cookie = cookie_of(machine, OWN[0])
    assert (cookie is not None) == cell(make, COOKIES, {"unasked": True, "when told to": False,
                                                        "none": False})
    assert not cookie or not cookies.made_with(SECRET, cookie, CLIENT[0])
    second = service(machine, make, naive)
    if cell(make, SECOND, {"ends": True, "shares the questions": False}):
        second.wait_ended()
        assert second.process.returncode != 0
        return
    wait_for("both to listen", lambda: len(listeners(machine)) == 2, 10)
    assert not first.ended() and not second.ended()


def listeners(machine) -> set:
    """The processes with a UDP socket on port 53."""
    shown = machine.server.run("ss", "-Hnlup", "sport = 53").stdout
    return set(re.findall(r"pid=(\d+)", shown))


# ---- single traps ---------------------------------------------------------------------

def test_unbound_on_the_wildcard_answers_as_it_was_asked_with_interface_automatic(machine):
    machine.real_server("up", EXAMPLE)
    process = service(machine, UNBOUND, [*UNBOUND.wildcard, ("max-udp-size: 1232",
                                                             "interface-automatic: yes")])
    wait_answered(machine, process, SERVICE)
    # And without max-udp-size in fragments.
    for address in SERVICE:
        reply = machine.ask(address, LARGE, "TXT", use_edns=0, payload=4096)
        assert not reply.flags & dns.flags.TC and len(reply.to_wire()) > 1500


def test_bind_that_does_not_scan_is_deaf_until_told(machine):
    process = service(machine, BIND, [("options {", "options { automatic-interface-scan no;")])
    wait_answered(machine, process, OWN[:1])
    machine.real_server("up", EXAMPLE)
    with pytest.raises(OSError):
        machine.ask(SERVICE[0], timeout=1)
    process.run("rndc", "scan")
    wait_answered(machine, process, SERVICE)


def test_a_cookie_of_another_secret_costs_a_second_question_where_one_is_demanded(machine):
    machine.real_server("up", EXAMPLE)
    process = service(machine, BIND, [("cookie-secret", "require-server-cookie yes; \\g<0>")])
    wait_answered(machine, process, SERVICE)
    for address, client in zip(SERVICE, CLIENT):
        for secret, rcode in ((SECRET, dns.rcode.NOERROR),
                              (SECRET[::-1], dns.rcode.BADCOOKIE)):
            cookie = cookies.cookie(secret, client, int(time.time()))
            assert cookie_of(machine, address, cookie)[0].rcode() == rcode
