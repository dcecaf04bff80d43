# SPDX-License-Identifier: Apache-2.0
"""The client's address through the proxy plane: brought by a balancer, told to servers."""

import contextlib
import os
import shlex
import signal
import socket
import time

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest
from lab import plan, wait_for
from lab.daemons import ask
from lab.director import REPOSITORY, Director, check_block, cluster, director_block
from lab.packaged import Page
from lab.system import LabError, stretched
from lab.telling import (BALANCER_V4, BALANCER_V6, NO_SUBNET, SUBNET, WHO, Balancer,
                         TellingLab)

DOCS = os.path.join(REPOSITORY, "docs", "proxy.md")
FAMILIES = {"IPv4": (plan.CLIENT_V4, plan.SERVICE_V4, BALANCER_V4),
            "IPv6": (plan.CLIENT_V6, plan.SERVICE_V6, BALANCER_V6)}
CLIENT_SUBNET = 8  # the option (RFC 7871)
SUBNETS = {"IPv4": "198.51.100.0/24", "IPv6": "2001:db8:c::/56"}

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


# ---- EDNS client subnet ------------------------------------------------------------------

def exchange(service: str, tcp: bool, options=None):
    """The reply to a question with EDNS, and these options in it; None: without EDNS."""
    edns = -1 if options is None else 0
    query = dns.message.make_query(SUBNET, "TXT", use_edns=edns, options=options)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, service, timeout=stretched(3))


def subnet_options(reply) -> list:
    return [option for option in reply.options if option.otype == CLIENT_SUBNET]


@pytest.fixture
def subnet_director(telling):
    config = director_block("proxy") + cluster(
        {"s2": 1}, check=check_block(every="500ms", timeout="500ms"),
        extra="client_subnet 24 56\n")
    with Director(telling, config) as director:
        director.wait_states(s2="up")
        yield director


def test_servers_learn_clients_networks_and_clients_see_nothing_of_it(telling, subnet_director):
    for family, tcp in WAYS:
        _, service, _ = FAMILIES[family]
        plain = telling.client.call(exchange, service, tcp)
        assert text_of(plain) == SUBNETS[family] and plain.edns == -1, plain
        with_edns = telling.client.call(exchange, service, tcp, [])
        assert text_of(with_edns) == SUBNETS[family], with_edns
        assert with_edns.edns == 0 and not subnet_options(with_edns), with_edns


def test_what_a_client_says_itself_is_passed_on(telling, subnet_director):
    for family, tcp in WAYS:
        _, service, _ = FAMILIES[family]
        own = telling.client.call(exchange, service, tcp,
                                  [dns.edns.ECSOption("203.0.113.64", 26)])
        assert text_of(own) == "203.0.113.64/26" and len(subnet_options(own)) == 1, own
        nobody = telling.client.call(exchange, service, tcp, [dns.edns.ECSOption("0.0.0.0", 0)])
        assert text_of(nobody) not in SUBNETS.values(), nobody


def test_without_the_keyword_servers_learn_nothing(telling):
    config = director_block("proxy") + cluster(
        {"s2": 1}, check=check_block(every="500ms", timeout="500ms"))
    with Director(telling, config) as director:
        director.wait_states(s2="up")
        assert who(telling, plan.SERVICE_V4, name=SUBNET) == NO_SUBNET
        director.reload(config.replace("lb_kind DR", "lb_kind DR\n    client_subnet 16 0"))
        wait_for("the servers to be told",
                 lambda: who(telling, plan.SERVICE_V4, name=SUBNET) == "198.51.0.0/16", 5)
        assert who(telling, plan.SERVICE_V6, name=SUBNET) == NO_SUBNET


def test_a_successor_tells_from_its_first_query_on(telling, subnet_director):
    def told() -> bool:
        return who(telling, plan.SERVICE_V4, name=SUBNET) == SUBNETS["IPv4"]
    for turn in range(3):
        subnet_director.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + stretched(15)
        while subnet_director.read_log().count("re-executing") <= turn or not serves(subnet_director):
            assert told() and time.monotonic() < deadline
        assert all(told() for _ in range(20))


def serves(director) -> bool:
    try:
        return bool(director.status())
    except LabError:
        return False


# ---- from the client's own address --------------------------------------------------------

TRANSPARENT = director_block("proxy") + cluster(
    {"s2": 1}, check=check_block(every="500ms", timeout="500ms"), extra="transparent on\n")


@contextlib.contextmanager
def replies_led_back(lab):
    """What the page says of the network: the director's host, then the server's routes."""
    page, director, server = Page(DOCS), lab.director_host, lab.host("s2")
    for start in ("ip rule add fwmark", "ip route add local", "ip -6 rule add fwmark",
                  "ip -6 route add local", "nft add table", "nft 'add chain", "nft add rule"):
        director.run(*shlex.split(page.command(start)))
    routes = [f"198.51.100.0/24 via {plan.DIRECTOR_V4}", f"2001:db8:c::/64 via {plan.DIRECTOR_V6}"]
    server.ip(*[f"route add {route}" for route in routes])
    try:
        yield
    finally:
        server.ip(*[f"route del {route}" for route in routes])
        director.run("nft", "flush", "ruleset")
        for start in ("ip rule add", "ip route add local", "ip -6 rule add",
                      "ip -6 route add local"):
            director.run(*shlex.split(page.command(start).replace(" add ", " del ")))


def test_servers_are_asked_from_the_clients_own_address(telling):
    with replies_led_back(telling), Director(telling, TRANSPARENT) as director:
        director.wait_states(s2="up")
        for family, tcp in WAYS:
            client, service, _ = FAMILIES[family]
            for _ in range(10):
                assert who(telling, service, tcp) == client


def test_without_the_privilege_the_start_is_refused_with_the_mend(telling):
    director = Director(telling, TRANSPARENT)
    done = telling.director_host.run(
        "setpriv", "--bounding-set=-net_admin,-net_raw", director.program, "run", "-f",
        director.config, "--run-dir", director.run_dir, check=False, timeout=30)
    assert done.returncode == 1 and "CAP_NET_ADMIN or CAP_NET_RAW" in done.stderr, done
