# SPDX-License-Identifier: Apache-2.0
"""The client's address through the proxy plane: brought by a balancer, told to servers."""

import contextlib
import socket

import dns.message
import dns.rcode
import pytest
from lab import plan, wait_for
from lab.daemons import ask
from lab.director import Director, cluster, director_block
from lab.system import stretched
from lab.telling import BALANCER_V4, BALANCER_V6, WHO, Balancer, TellingLab

FAMILIES = {"IPv4": (plan.CLIENT_V4, plan.SERVICE_V4, BALANCER_V4),
            "IPv6": (plan.CLIENT_V6, plan.SERVICE_V6, BALANCER_V6)}

# Over both protocols from both families, in one life of a director.
WAYS = [(family, tcp) for family in FAMILIES for tcp in (False, True)]


@pytest.fixture(scope="module")
def telling(can_direct):
    lab = TellingLab().up()
    yield lab
    assert lab.down() == [], "ended by force"


def text_of(reply) -> str:
    assert reply.rcode() == dns.rcode.NOERROR and reply.answer, reply
    return b"".join(reply.answer[0][0].strings).decode()


def who(lab, address: str, tcp: bool = False, name: str = WHO) -> str:
    return text_of(lab.ask(address, name, "TXT", tcp=tcp, timeout=3))


def drops(director, reason: str) -> int:
    return director.status()["dataplane"]["drops"][reason]


# ---- brought by a balancer in front ---------------------------------------------------

FROM = f"proxy {{ proxy_protocol_from {BALANCER_V4} {BALANCER_V6}/128 }}\n"


@contextlib.contextmanager
def behind_a_balancer(lab, crossed=False):
    # The server takes nothing without a header from the director, checks neither.
    config = director_block("proxy") + FROM + cluster({"s1": 1}, check="proxy_protocol on\n")
    with Director(lab, config) as director:
        balancer = Balancer(lab.front, director.directory, crossed)
        try:
            balancer.start()
            yield director
        finally:
            balancer.kill()


@pytest.mark.parametrize("crossed", [pytest.param(False, id="same family"),
                                     pytest.param(True, id="other family")])
def test_the_client_that_a_balancer_brings_is_the_servers_client(telling, crossed):
    with behind_a_balancer(telling, crossed) as director:
        for family, tcp in WAYS:
            client, _, balancer = FAMILIES[family]
            wait_for("the balancer to ask", lambda: who(telling, balancer), 20)
            for _ in range(5):
                assert who(telling, balancer, tcp) == client
        assert drops(director, "proxy-header") == 0


def test_others_need_no_header_and_are_believed_none(telling):
    with behind_a_balancer(telling) as director:
        for family, tcp in WAYS:
            client, service, _ = FAMILIES[family]
            assert who(telling, service, tcp) == client
        for number, (_, service, _) in enumerate(FAMILIES.values(), 1):
            reply = telling.client.call(forge, service)
            assert reply.rcode() == dns.rcode.FORMERR, reply
            assert drops(director, "malformed") == number
            # And the balancer's own host is not heard without.
            before = drops(director, "proxy-header")
            with pytest.raises(OSError):
                telling.front.call(ask, service, WHO, "TXT", timeout=0.5)
            with pytest.raises((OSError, EOFError)):
                telling.front.call(ask, service, WHO, "TXT", tcp=True, timeout=2)
            assert drops(director, "proxy-header") >= before + 2


def forge(service: str):
    """A query behind a header, from somebody who may not send one."""
    header = (b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0c" + socket.inet_aton("203.0.113.99")
              + socket.inet_aton(plan.SERVICE_V4) + b"\x10\x92\0\x35")
    family = socket.AF_INET6 if ":" in service else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(stretched(2))
        client.sendto(header + dns.message.make_query(WHO, "TXT").to_wire(), (service, 53))
        return dns.message.from_wire(client.recv(4096))
