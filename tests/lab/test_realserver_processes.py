# SPDX-License-Identifier: Apache-2.0
"""Two DNS processes of one machine, told apart by the interface that a packet came in on, and
translated without connection tracking (lab/processes.py)."""

import contextlib
import ipaddress
import os
import re
import select
import socket
import struct
import time

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.update
import pytest
from lab import plan, wait_for
from lab.processes import (DNAT, FIREWALL, HUGE, LARGE, PLACES, SECOND_V4, SECOND_V6, SERVICES,
                           Machine, question)
from lab.system import SLOWNESS, stretched

# There, with VLANs and Debian's kernel.
IN_VM = os.environ.get("DNSDIRECTOR_VM") == "1"
FAMILIES = [pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")]
PROCESSES = ["one", "two"]


@pytest.fixture(scope="module")
def shared(can_direct):
    with Machine(vlans=IN_VM) as machine:
        yield machine


@pytest.fixture
def machine(shared):
    shared.install()
    shared.lead_to("one")
    return shared


@pytest.fixture(params=[False, True], ids=["", "firewall"])
def tracking(machine, request):
    """Connection tracking off, and at work for somebody else's rules."""
    with firewall(machine) if request.param else contextlib.nullcontext():
        yield machine


@contextlib.contextmanager
def firewall(machine, rules=FIREWALL):
    machine.nft(rules)
    try:
        yield
    finally:
        machine.nft(f"delete table inet {rules.split()[2]}")


def service(family: int) -> str:
    return SERVICES[0 if family == 4 else 1]


def own(process: str, family: int) -> tuple:
    _, addresses, port, *_ = PLACES[process]
    return addresses[0 if family == 4 else 1], port


@pytest.mark.vm
# ---- who answers, and from where ------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_each_interface_leads_to_its_process(tracking, family, tcp):
    """dnspython takes an answer only from the address and port that it asked."""
    protocol = "tcp" if tcp else "udp"
    before = tracking.counters()
    for process in ("one", "two", "one"):
        tracking.lead_to(process)
        assert [tracking.ask(service(family), tcp=tcp) for _ in range(5)] == [process] * 5
        assert tracking.ask(*own(process, family), tcp=tcp) == process
    after = tracking.counters()
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert set(grown) == {f"process.{process}.{protocol}.{way}" for process in PROCESSES
                          for way in ("queries", "replies", "direct")}, grown
    if not tcp:
        assert grown == {
            **{f"process.one.udp.{way}": n for way, n in
               (("queries", 10), ("replies", 10), ("direct", 2))},
            **{f"process.two.udp.{way}": n for way, n in
               (("queries", 5), ("replies", 5), ("direct", 1))}}, grown
    else:
        assert grown["process.one.tcp.direct"] == 2 and grown["process.two.tcp.direct"] == 1, grown


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_one_socket_may_ask_the_service_ip_and_the_process_itself_at_once(tracking, family,
                                                                          process):
    tracking.lead_to(process)
    targets = [(service(family), 53), own(process, family)]
    wrong = tracking.client.call(interleave, family, targets, int(500 / SLOWNESS))
    assert wrong == [], wrong
    kind = f"direct_udp{family}"
    assert tracking.remembered(kind) == [], "an answer leaves nothing behind"


def interleave(family: int, targets: list, count: int) -> list:
    """Asks each target `count` questions from one port, ten of each at a time; returns what was
    answered from elsewhere, or not."""
    wrong = []
    with socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                       socket.SOCK_DGRAM) as asker:
        for begin in range(0, count, 10):
            waiting = {}
            for number in range(begin, begin + 10):
                for at, target in enumerate(targets):
                    identifier = number * len(targets) + at
                    waiting[identifier] = target
                    asker.sendto(question(identifier), target)
            deadline = time.monotonic() + stretched(5)
            while waiting and select.select([asker], [], [], deadline - time.monotonic())[0]:
                answer, sender = asker.recvfrom(65535)
                identifier = struct.unpack("!H", answer[:2])[0]
                target = waiting.pop(identifier)
                if sender[:2] != target:
                    wrong.append((target, sender))
            wrong += [(target, None) for target in waiting.values()]
    return wrong


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
def test_a_client_that_keeps_its_port_follows_the_packets_at_once(tracking, family):
    def ask(asker) -> str:
        asker.sendto(question(4711), (service(family), 53))
        reply = dns.message.from_wire(asker.recv(4096))
        return reply.answer[0][0].strings[0].decode()

    def open_asker():
        asker = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6,
                              socket.SOCK_DGRAM)
        asker.settimeout(stretched(5))
        asker.bind(("", 7053))
        return asker

    with tracking.client.call(open_asker) as asker:
        for process in ("one", "two", "one", "two"):
            tracking.lead_to(process)
            assert [ask(asker) for _ in range(3)] == [process] * 3


@pytest.mark.vm
def test_translation_by_connection_tracking_does_not_follow(machine):
    """Why it is not used: the flow is known by its ports, whichever way its packets come."""
    machine.nft("delete table inet dnsdirector_realserver")
    with firewall(machine, DNAT.format(**machine.interfaces)):
        assert machine.ask("192.0.2.53", source="198.51.100.10") == "one"
        with machine.client.call(socket.socket, socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.settimeout(stretched(5))
            answers = []
            for process in PROCESSES:
                machine.lead_to(process)
                asker.sendto(question(1), ("192.0.2.53", 53))
                answers.append(asker.recv(4096))
    names = [dns.message.from_wire(a).answer[0][0].strings[0].decode() for a in answers]
    assert names == ["one", "one"], names


def test_who_is_in_no_from_network_finds_nobody(machine):
    outsider = "198.51.100.200"
    machine.client.ip(f"addr add {outsider}/24 dev eth0")
    try:
        assert machine.ask(plan.SERVICE_V4, source=plan.CLIENT_V4) == "one"
        with pytest.raises((OSError, dns.exception.Timeout)):
            machine.ask(plan.SERVICE_V4, source=outsider, timeout=0.5)
        machine.lead_to("two")
        assert machine.ask(plan.SERVICE_V4, source=outsider) == "two"
    finally:
        machine.client.ip(f"addr del {outsider}/24 dev eth0")


def test_a_dead_process_refuses_connections_in_the_name_of_the_service_ip(machine):
    dead = machine.processes["one"]
    dead.kill()
    try:
        for address in SERVICES:
            with pytest.raises(ConnectionRefusedError):
                machine.ask(address, tcp=True, timeout=3)
        machine.lead_to("two")
        assert machine.ask(plan.SERVICE_V4) == "two"
    finally:
        dead.start()


# ---- no state ---------------------------------------------------------------------

def blast(interface: str, mac: bytes, count: int, target: str):
    """UDP questions from `count` different addresses and ports, without waiting for answers.
    Their checksum is right, since a kernel that corrects it must not turn it into a wrong one."""
    payload = question(0)
    base = int(ipaddress.ip_address("198.51.100.0"))
    head = struct.pack("!BBHHHBB", 0x45, 0, 28 + len(payload), 0, 0, 64, 17)
    to = ipaddress.ip_address(target).packed

    def words(data: bytes) -> int:
        data += b"\0" * (len(data) % 2)
        return sum(struct.unpack(f"!{len(data) // 2}H", data))
    ip_sum = words(head + to)
    udp_sum = words(to + payload) + 17 + 2 * (8 + len(payload)) + 53
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((interface, 0))
        ether = mac + b"\2\0\0\0\0\1" + b"\x08\0"
        for number in range(count):
            # 100 addresses of the client's network, each from port 1024 on.
            address, port = base + 20 + number % 100, 1024 + number // 100
            source = struct.pack("!I", address)
            shared = (address >> 16) + (address & 0xffff)
            wire.send(ether + head + folded(ip_sum + shared) + source + to
                      + struct.pack("!HHH", port, 53, 8 + len(payload))
                      + folded(udp_sum + shared + port) + payload)


def folded(total: int) -> bytes:
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff)


def blast_at(machine, process: str, count: int, target: str = plan.SERVICE_V4):
    interface = machine.interfaces[process]
    mac = re.search(r"link/ether ([0-9a-f:]+)",
                    machine.host.run("ip", "link", "show", interface).stdout)[1]
    machine.router.call(blast, interface, bytes.fromhex(mac.replace(":", "")), count, target)


@pytest.mark.vm
@pytest.mark.parametrize("count", [int(50_000 / SLOWNESS),
                                   pytest.param(1_000_000, marks=pytest.mark.long)])
def test_questions_from_as_many_ports_leave_no_connection_tracked(machine, count):
    with firewall(machine):
        before, tracked = machine.counters(), machine.tracked()
        blast_at(machine, "two", count)
        wait_for("the questions to be counted", lambda: machine.counters()[
            "process.two.udp.queries"] - before["process.two.udp.queries"] >= 0.99 * count, 20)
        assert machine.tracked() <= tracked + 5, "others' packets only"
        # It may not have read them all yet, and is not asked to bear the rate.
        wait_for("a part to be answered", lambda: machine.counters()[
            "process.two.udp.replies"] - before["process.two.udp.replies"] > count / 10, 20)
        machine.lead_to("two")
        assert [machine.ask(plan.SERVICE_V4) for _ in range(100)] == ["two"] * 100
        assert machine.remembered("direct_udp4") == []


def test_questions_that_are_translated_by_connection_tracking_are_tracked(machine):
    """The measurement of the test above sees a tracked connection where there is one."""
    machine.nft("delete table inet dnsdirector_realserver")
    with firewall(machine, DNAT.format(**machine.interfaces)):
        before = machine.tracked()
        blast_at(machine, "two", 1000)
        wait_for("the connections to be tracked", lambda: machine.tracked() - before >= 900)


@pytest.mark.vm
# ---- what is large ------------------------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_large_answers_over_tcp_pass_a_narrow_way(tracking, family, process):
    """Their way to the client takes 1,280 bytes at a time, which the router says by ICMP, to the
    service IP; no socket of the machine has that address."""
    tracking.lead_to(process)
    tracking.host.run("ip", f"-{family}", "route", "flush", "cache")
    query = dns.message.make_query(HUGE, "TXT")
    for target in ((service(family), 53), own(process, family)):
        reply = tracking.client.call(dns.query.tcp, query, target[0], port=target[1],
                                     timeout=stretched(10))
        assert len(reply.to_wire()) > 55_000
    counted = re.findall(r"packet-too-big.*counter packets (\d+)" if family == 6 else
                         r"frag-needed.*counter packets (\d+)",
                         tracking.host.run("nft", "list", "chain", "inet",
                                           "dnsdirector_realserver", f"process.{process}").stdout)
    # named sends 1,220 bytes at a time anyway (TCP_MAXSEG).
    assert counted and (sum(map(int, counted)) >= 1 or process == "one"), counted


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_answers_in_fragments_come_from_where_was_asked(tracking, family, process):
    tracking.lead_to(process)
    query = dns.message.make_query(LARGE, "TXT", use_edns=0, payload=4096)
    for target in ((service(family), 53), own(process, family)):
        reply = tracking.client.call(dns.query.udp, query, target[0], port=target[1],
                                     timeout=stretched(5))
        assert len(reply.to_wire()) > 2 * 1500 and not reply.flags & dns.flags.TC


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_questions_in_fragments_arrive_whole(tracking, family, process):
    tracking.lead_to(process)
    name = f"update{family}{time.monotonic_ns()}"
    update = dns.update.UpdateMessage("example.com")
    texts = [f"{number:02}" + "x" * 248 for number in range(12)]
    update.add(name, 60, "TXT", *texts)
    assert len(update.to_wire()) > 2 * 1500
    for target in ((service(family), 53), own(process, family)):
        reply = tracking.client.call(dns.query.udp, update, target[0], port=target[1],
                                     timeout=stretched(5))
        # Unbound takes none, but says so only of what it has received.
        assert reply.rcode() == (dns.rcode.NOERROR if process == "one" else dns.rcode.NOTIMP)
    if process == "one":
        query = dns.message.make_query(f"{name}.example.com", "TXT", use_edns=0, payload=4096)
        reply = tracking.client.call(dns.query.udp, query, service(family), timeout=stretched(5))
        assert sorted(each.strings[0].decode() for each in reply.answer[0]) == texts


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_cards_that_do_checksums_and_segments_may(tracking, family, process):
    """What leaves then has an unfinished checksum, and is up to 64 kB in one piece; what comes in
    may have one, too."""
    tracking.lead_to(process)
    links = [(tracking.host, "eth0"), (tracking.router, tracking.interfaces[process])]
    for host, link in links:
        host.run("ethtool", "-K", link, "tx", "on", "tso", "on", "gso", "on")
    try:
        for target, port in ((service(family), 53), own(process, family)):
            query = dns.message.make_query(HUGE, "TXT")
            reply = tracking.client.call(dns.query.tcp, query, target, port=port,
                                         timeout=stretched(10))
            assert len(reply.to_wire()) > 55_000
            for name in (LARGE, "who.example.com"):
                query = dns.message.make_query(name, "TXT", use_edns=0, payload=4096)
                reply = tracking.client.call(dns.query.udp, query, target, port=port,
                                             timeout=stretched(5))
                assert reply.answer and not reply.flags & dns.flags.TC
    finally:
        for host, link in links:
            host.run("ethtool", "-K", link, "tx", "off", "tso", "off", "gso", "off")


@pytest.mark.vm
@pytest.mark.parametrize("process", PROCESSES)
def test_questions_without_a_checksum_are_answered(machine, process):
    machine.lead_to(process)

    def ask():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setsockopt(socket.SOL_SOCKET, 11, 1)  # SO_NO_CHECK (asm-generic/socket.h)
            asker.settimeout(stretched(5))
            asker.sendto(question(7), (plan.SERVICE_V4, 53))
            return asker.recvfrom(4096)
    answer, sender = machine.client.call(ask)
    assert sender == (plan.SERVICE_V4, 53) and answer[:2] == b"\0\7"


# ---- several service IPs --------------------------------------------------------------

@pytest.fixture(scope="module")
def several(can_direct):
    with Machine([*SERVICES, SECOND_V4, SECOND_V6], vlans=IN_VM) as machine:
        yield machine


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("process", PROCESSES)
def test_answers_come_from_the_service_ip_that_was_asked(several, family, process):
    several.lead_to(process)
    second = SECOND_V4 if family == 4 else SECOND_V6
    targets = [(service(family), 53), (second, 53), own(process, family)]
    wrong = several.client.call(interleave, family, targets, int(500 / SLOWNESS))
    assert wrong == [], wrong
    assert several.remembered(f"asked_udp{family}_2") == []
    for _ in range(3):
        for address, port in targets:
            assert several.ask(address, port, tcp=True) == process
    query = dns.message.make_query(HUGE, "TXT")
    reply = several.client.call(dns.query.tcp, query, second, timeout=stretched(10))
    assert len(reply.to_wire()) > 55_000


@pytest.mark.vm
@pytest.mark.parametrize("family", FAMILIES)
def test_a_port_of_an_earlier_connection_may_go_to_another_address(several, family):
    """What is remembered of a connection does not outlive the next one from the same port."""
    several.lead_to("one")
    second = SECOND_V4 if family == 4 else SECOND_V6

    def connect(port: int, target: tuple) -> int:
        with socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6) as asker:
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # Gone at once, on both sides (socket(7)).
            asker.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            asker.bind(("", port))
            asker.settimeout(stretched(5))
            asker.connect(target)
            wire = question(1)
            asker.sendall(struct.pack("!H", len(wire)) + wire)
            return len(asker.recv(4096))
    targets = [(second, 53), (service(family), 53), own("one", family)]
    for target in (*targets, *reversed(targets), *targets):
        assert several.client.call(connect, 7100 + family, target) > 0, target


@pytest.mark.long
def test_a_full_memory_harms_only_the_service_ips_that_need_it(several):
    """A process that answers nothing, so that nothing is forgotten before its time."""
    several.lead_to("one")
    victim = several.processes["one"]
    victim.pause()
    try:
        blast_at(several, "one", 300_000, SECOND_V4)
        assert several.counters()["process.one.udp.refused"] > 0
    finally:
        victim.go_on()
    several.lead_to("two")
    assert [several.ask(plan.SERVICE_V4) for _ in range(100)] == ["two"] * 100
    wait_for("the memory to be free again",
             lambda: several.ask(SECOND_V4, timeout=1) == "two", 30)


# ---- tunnels ----------------------------------------------------------------------------

TUNNELS = """\
realserver {
    service_ip 192.0.2.53
    tunnel 203.0.113.98 2001:db8:1:1::98
    tunnel_from 203.0.113.96/28
}
"""


def test_a_tunnel_takes_nothing_from_networks_that_are_not_named(machine):
    def send(protocol: int, target: str):
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        with socket.socket(family, socket.SOCK_RAW, protocol) as outer:
            outer.sendto(b"\x45" + b"\0" * 39, (target, 0))

    def refused(wanted: int) -> bool:
        return machine.counters()["tunnel.refused"] == wanted

    machine.nft(machine.rules(TUNNELS))
    v4, v6 = PLACES["one"][1]
    # In order, by one wire: who was refused later shows that who came before was not.
    for protocol in (4, 41):
        machine.router.call(send, protocol, v4)
    machine.router.call(send, 17, v4)
    assert refused(0)
    machine.client.call(send, 4, v4)
    wait_for("the client's packet to be refused", lambda: refused(1))
    machine.client.call(send, 41, v4)
    wait_for("the other protocol to be refused", lambda: refused(2))
    # None of the named networks is an IPv6 one.
    for host in (machine.router, machine.client):
        host.call(send, 41, v6)
    wait_for("whoever comes by IPv6 to be refused", lambda: refused(4))
