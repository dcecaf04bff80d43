# SPDX-License-Identifier: Apache-2.0
"""Datagrams in fragments end whole at one server; ICMP errors at whom they concern."""

import random
import re
import select
import socket
import struct
import time

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import pytest
from lab import Lab, plan
from lab.director import CALM_CHECK, Director, cluster, director_block
from lab.system import stretched, wait_for

NAMES = [f"s{number}" for number in range(1, 9)]
DATAGRAMS = 5000  # of each family
# On their way at a time: over eight servers; to one, whose kernel gives a datagram up
# after 64 fragments of others from the same sender (net.ipv4.ipfrag_max_dist).
WINDOW, WINDOW_TO_ONE = 50, 12
HASHED_V4, HASHED_V6 = "192.0.2.54", "2001:db8::54"
FAMILIES = [pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")]
PORT = 4053
UDP = 17


@pytest.fixture(scope="module")
def eight(can_direct):
    """Unbound and the lab's own server by turns; one address goes by turns, one by flows."""
    lab = Lab(servers=["unbound", "answer"] * 4,
              services=(plan.SERVICE_V4, plan.SERVICE_V6, HASHED_V4, HASHED_V6)).up()
    try:
        with Director(lab, configuration()) as director:
            director.wait_states(timeout=30, **{name: "up" for name in NAMES})
            yield lab, director
    finally:
        assert lab.down() == [], "ended by force"


def configuration() -> str:
    servers = {name: 1 for name in NAMES}
    by_turns = cluster(servers, check=CALM_CHECK)
    by_flow = cluster(servers, check=CALM_CHECK, name="by_flow", protocol="udp",
                      service_ips=[HASHED_V4, HASHED_V6]).replace("lb_algo wrr", "lb_algo mh")
    return director_block() + by_turns + by_flow


# ---- packets -------------------------------------------------------------------

def checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def udp(source: str, sport: int, destination: str, dport: int, data: bytes) -> bytes:
    """A UDP datagram with its checksum."""
    length = 8 + len(data)
    pseudo = packed(source) + packed(destination) + struct.pack("!IHBB", length, 0, 0, UDP)
    header = struct.pack("!HHHH", sport, dport, length, 0)
    value = checksum(pseudo + header + data) or 0xffff
    return header[:6] + struct.pack("!H", value) + data


def ipv4(source: str, destination: str, protocol: int, data: bytes, identification: int = 0,
         flags_and_offset: int = 0) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(data), identification, flags_and_offset,
                         64, protocol, 0) + packed(source) + packed(destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + data


def ipv6(source: str, destination: str, following: int, data: bytes) -> bytes:
    return (struct.pack("!IHBB", 6 << 28, len(data), following, 64) + packed(source)
            + packed(destination) + data)


def fragments(source: str, destination: str, datagram: bytes, identification: int,
              count: int) -> list:
    """IP packets that make up the datagram, cut at random places."""
    units = (len(datagram) + 7) // 8
    edges = [0, len(datagram)]
    while len(edges) == 2 or max(end - begin for begin, end in zip(edges, edges[1:])) > 1400:
        cuts = sorted(random.sample(range(2, units), count - 1))
        edges = [0] + [8 * cut for cut in cuts] + [len(datagram)]
    packets = []
    for begin, end in zip(edges, edges[1:]):
        more = end < len(datagram)
        part = datagram[begin:end]
        if ":" in source:
            header = struct.pack("!BBHI", UDP, 0, begin | more, identification)
            packets.append(ipv6(source, destination, 44, header + part))
        else:
            packets.append(ipv4(source, destination, UDP, part, identification & 0xffff,
                                more << 13 | begin // 8))
    return packets


def query(number: int, size: int) -> bytes:
    """A question for the server's name besides the answer, padded (RFC 7830)."""
    message = dns.message.make_query(plan.WWW_NAME, "A", id=number)
    message.use_edns(0, payload=1232, options=[
        dns.edns.GenericOption(dns.edns.OptionType.NSID, b""),
        dns.edns.GenericOption(12, bytes(size))])
    return message.to_wire(max_size=65535)


def identity(reply: bytes) -> tuple:
    """The query's number, and the server that answered; a wrong answer raises."""
    message = dns.message.from_wire(reply)
    assert any(rrset.rdtype == dns.rdatatype.A for rrset in message.answer), message
    for option in message.options:
        if option.otype == dns.edns.OptionType.NSID:
            return message.id, getattr(option, "nsid", getattr(option, "data", b"")).decode()
    raise AssertionError(f"no NSID in {message}")


class Client:
    """Sends raw packets, and hears the answers to its port."""

    def __init__(self, lab, family: int):
        self.address = plan.CLIENT_V6 if family == 6 else plan.CLIENT_V4
        self.raw, self.heard = lab.client.call(self._open, family)

    def _open(self, family: int):
        kind = socket.AF_INET6 if family == 6 else socket.AF_INET
        raw = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW)
        heard = socket.socket(kind, socket.SOCK_DGRAM)
        heard.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        heard.bind((self.address, PORT))
        heard.setblocking(False)
        return raw, heard

    def send(self, packet: bytes, destination: str):
        self.raw.sendto(packet, (destination, 0))

    def answers(self, wanted: set, timeout: float) -> dict:
        """{number: server} until all that are wanted are there, or the time is up."""
        got, deadline = {}, time.monotonic() + stretched(timeout)
        while wanted - got.keys() and (left := deadline - time.monotonic()) > 0:
            if not select.select([self.heard], [], [], left)[0]:
                break
            number, server = identity(self.heard.recv(65535))
            assert number not in got, f"query {number} was answered twice"
            got[number] = server
        return got

    def close(self):
        self.raw.close()
        self.heard.close()


@pytest.fixture
def client(eight, family):
    opened = Client(eight[0], family)
    yield opened
    opened.close()


def drops(director) -> dict:
    """Packets not forwarded, by those reasons that there were."""
    return {k: v for k, v in director.status()["dataplane"]["drops"].items() if v}


def counted(director, reason: str) -> int:
    return drops(director).get(reason, 0)


def ask_in_fragments(client, service: str, numbers: range, order, at_a_time=WINDOW) -> dict:
    """Each number a query in 2 to 5 fragments; {number: server} of what is answered."""
    answered = {}
    for first in range(numbers.start, numbers.stop, at_a_time):
        window = range(first, min(first + at_a_time, numbers.stop))
        datagrams = []
        for number in window:
            count = random.randint(2, 5)
            # Some need their fragments, others could do without.
            wire = query(number, random.randint(200, 650 * count))
            datagram = udp(client.address, PORT, service, 53, wire)
            datagrams.append(fragments(client.address, service, datagram, number, count))
        for packet in order(datagrams):
            client.send(packet, service)
        answered.update(client.answers(set(window), 5))
    return answered


def reordered_and_interleaved(datagrams: list) -> list:
    packets = [packet for datagram in datagrams for packet in datagram]
    random.shuffle(packets)
    return packets


def interleaved_first_ones_first(datagrams: list) -> list:
    first = [datagram[0] for datagram in datagrams]
    rest = [packet for datagram in datagrams for packet in datagram[1:]]
    random.shuffle(first)
    random.shuffle(rest)
    return first + rest


# ---- fragments -----------------------------------------------------------------

@pytest.mark.parametrize("family", FAMILIES)
def test_every_datagram_in_fragments_arrives_whole_at_one_server(eight, client, family):
    _, director = eight
    service = plan.SERVICE_V6 if family == 6 else plan.SERVICE_V4
    random.seed(family)
    answered = ask_in_fragments(client, service, range(1, DATAGRAMS + 1),
                                reordered_and_interleaved)
    shares = {name: list(answered.values()).count(name) for name in NAMES}
    print(f"answered {len(answered)} of {DATAGRAMS}: {shares}; not forwarded: {drops(director)}")
    assert len(answered) == DATAGRAMS
    # By a hash of identification and addresses: six standard deviations.
    expected = DATAGRAMS / len(NAMES)
    assert all(abs(share - expected) < 6 * expected ** 0.5 for share in shares.values()), shares


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_flow_decides_fragments_follow_their_first_one(eight, client, family):
    _, director = eight
    service = HASHED_V6 if family == 6 else HASHED_V4
    random.seed(10 + family)
    before = counted(director, "fragment")
    answered = ask_in_fragments(client, service, range(10001, 10501),
                                interleaved_first_ones_first, WINDOW_TO_ONE)
    assert len(answered) == 500
    assert len(set(answered.values())) == 1  # one client, one port: one flow
    assert counted(director, "fragment") == before
    # One that comes first is lost, and said to be.
    wire = udp(client.address, PORT, service, 53, query(11000, 500))
    pieces = fragments(client.address, service, wire, 11000, 2)
    client.send(pieces[1], service)
    wait_for("the fragment to be counted", lambda: counted(director, "fragment") == before + 1)


# ---- ICMP ----------------------------------------------------------------------

def too_big(service: str, to: str, mtu: int) -> bytes:
    """What a router says of an answer from the service to `to`."""
    answer = udp(service, 53, to, PORT, bytes(1000))
    if ":" in service:
        quoted = ipv6(service, to, UDP, answer)[:1000]
        body = struct.pack("!BBHI", 2, 0, 0, mtu) + quoted
        pseudo = packed(plan.ROUTER_CLIENT_V6) + packed(service) + struct.pack("!II", len(body), 58)
        body = body[:2] + struct.pack("!H", checksum(pseudo + body)) + body[4:]
        return ipv6(plan.ROUTER_CLIENT_V6, service, 58, body)
    quoted = ipv4(service, to, UDP, answer, flags_and_offset=0x4000)[:500]
    body = struct.pack("!BBHI", 3, 4, 0, mtu) + quoted
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ipv4(plan.ROUTER_CLIENT_V4, service, socket.IPPROTO_ICMP, body)


def errors_heard(lab, family: int) -> dict:
    """Messages of that kind that each server's kernel has had. Not what it makes of
    them: Unbound's sockets take no advice on path MTU, since an attacker could give it."""
    heard = {}
    for name in NAMES:
        file = "/proc/net/snmp6" if family == 6 else "/proc/net/snmp"
        text = lab.host(name).run("cat", file).stdout
        if family == 6:
            heard[name] = int(re.search(r"Icmp6InPktTooBigs\s+(\d+)", text)[1])
        else:
            keys, values = re.findall(r"^Icmp: (.*)$", text, re.MULTILINE)
            heard[name] = int(dict(zip(keys.split(), values.split()))["InDestUnreachs"])
    return heard


def path_mtu(lab, name: str, to: str) -> int:
    """What the server believes of the way to a client; 0: no more than its interface says."""
    words = lab.host(name).run("ip", "route", "get", to).stdout.split()
    return int(words[words.index("mtu") + 1]) if "mtu" in words else 0


def send_from_router(lab, family: int, packet: bytes, destination: str):
    def send():
        kind = socket.AF_INET6 if family == 6 else socket.AF_INET
        with socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            raw.sendto(packet, (destination, 0))
    lab.host("router").call(send)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_that_is_too_big_is_told_to_every_server(eight, family):
    lab, director = eight
    service = plan.SERVICE_V6 if family == 6 else plan.SERVICE_V4
    to = plan.CLIENT_V6 if family == 6 else plan.CLIENT_V4
    before, heard = drops(director), errors_heard(lab, family)
    send_from_router(lab, family, too_big(service, to, 1400), service)
    wait_for("every server to hear of it", lambda: errors_heard(lab, family)
             == {name: count + 1 for name, count in heard.items()})
    assert counted(director, "icmp_too_big") == before.get("icmp_too_big", 0) + 1
    # The lab's own server, like most programs, leaves path MTU to its kernel.
    for name in NAMES[1::2]:
        assert path_mtu(lab, name, to) == 1400


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_flow_decides_one_server_is_told(eight, client, family):
    lab, director = eight
    service = HASHED_V6 if family == 6 else HASHED_V4
    wire = udp(client.address, PORT, service, 53, query(12000, 0))
    make = ipv6 if family == 6 else ipv4
    client.send(make(client.address, service, UDP, wire), service)
    server = client.answers({12000}, 5)[12000]
    before, heard = drops(director), errors_heard(lab, family)
    send_from_router(lab, family, too_big(service, client.address, 1300), service)
    wait_for(f"{server} alone to hear of it", lambda: errors_heard(lab, family)
             == {name: count + (name == server) for name, count in heard.items()})
    assert drops(director) == before


@pytest.mark.parametrize("family", FAMILIES)
def test_a_fragmented_ping_is_answered_by_the_director(eight, family):
    lab, _ = eight
    service = plan.SERVICE_V6 if family == 6 else plan.SERVICE_V4
    ping = lab.client.run("ping", "-c", "2", "-i", "0.1", "-W", "2", "-s", "4000", service,
                          check=False)
    assert ping.returncode == 0, ping.stdout
