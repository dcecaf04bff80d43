# SPDX-License-Identifier: Apache-2.0
"""The xdp plane's ways to a server besides other MACs: this machine, another director, VLANs,
tunnels. Devices for the last two are in the virtual machine only."""

import json

import dns.edns
import dns.message
import dns.query
import pytest
from lab import plan, wait_for
from lab.daemons import Answer
from lab.director import CALM_CHECK, Director, cluster, director_block
from lab.system import stretched

FAMILIES = (plan.SERVICE_V4, plan.SERVICE_V6)
SECOND = ("203.0.113.2", "2001:db8:1::2")
FIRST = (plan.DIRECTOR_V4, plan.DIRECTOR_V6)


def answer(lab, host, name: str, addresses) -> Answer:
    server = Answer(host, lab.directory, name, [*addresses, *FAMILIES],
                    lab.tools.path("dnsanswer"))
    server.start()
    return server


def listed(name: str, addresses, weight: int = 1) -> str:
    return f"real_server {name} {{ address {' '.join(addresses)}; weight {weight} }}\n"


def drops(director) -> dict:
    return {why: n for why, n in director.status()["dataplane"]["drops"].items() if n}


def load(lab, target: str, tcp: bool = False):
    result = lab.load(target, rate=300 if tcp else 2000, count=300 if tcp else 2000,
                      tcp=tcp).start().finish()
    assert result.failed == 0, result
    return result


# ---- this machine -----------------------------------------------------------------

@pytest.mark.vm
def test_the_directors_own_server_takes_its_share(lab):
    config = director_block() + cluster({"s1": 1}, check=CALM_CHECK,
                                        extra=listed("own", FIRST, 3))
    with Director(lab, config) as director:
        director.wait_states(s1="up", own="down")
        # The director has brought the service IPs.
        own = answer(lab, lab.director_host, "own", FIRST)
        try:
            director.wait_states(s1="up", own="up")
            for target in FAMILIES:
                before = director.packets(address=target, protocol="udp")
                result = load(lab, target)
                assert abs(result.shares()["own"] - 0.75) <= 0.01, result
                after = director.packets(address=target, protocol="udp")
                assert {n: after[n] - before[n] for n in after} == result.counts()
                assert set(load(lab, target, tcp=True).counts()) == {"s1", "own"}
            own.kill()
            director.wait_states(s1="up", own="down")
            for target in FAMILIES:
                assert set(load(lab, target).counts()) == {"s1"}
            assert drops(director) == {}
        finally:
            own.kill()


class Other(Director):
    """A director on another host than the lab's."""

    def __init__(self, lab, config: str, host):
        super().__init__(lab, config)
        self.host = host


def test_two_directors_are_servers_for_each_other(lab):
    """Each lists both. Whichever the router sends to, each server answers, and nothing bounces."""
    second = lab.network.hosts.get("d2") or lab.network.server("d2", SECOND)
    config = director_block() + cluster({}, check=CALM_CHECK,
                                        extra=listed("d1", FIRST) + listed("d2", SECOND))
    other_config = config.replace(" ".join(FIRST) + "\n", " ".join(SECOND) + "\n")
    assert f"source {SECOND[0]}" in other_config
    hosts = {"d1": (lab.director_host, FIRST), "d2": (second, SECOND)}
    servers = []
    with Director(lab, config) as first, Other(lab, other_config, second) as other:
        try:
            servers = [answer(lab, host, name, own) for name, (host, own) in hosts.items()]
            for director in (first, other):
                director.wait_states(d1="up", d2="up")
            handed_on = 0
            for target in FAMILIES:
                result = load(lab, target)
                assert abs(result.shares()["d1"] - 0.5) <= 0.01, result
                handed_on += result.counts()["d2"]
                assert set(load(lab, target, tcp=True).counts()) == {"d1", "d2"}
            # The second passed to its own server whatever the first handed to it.
            assert other.packets(protocol="udp") == {"d1": 0, "d2": handed_on}
            # It need not know that its own server is not wanted there.
            other.command("drain", "d2")
            for target in FAMILIES:
                handed_on += load(lab, target).counts()["d2"]
            assert other.packets(protocol="udp") == {"d1": 0, "d2": handed_on}
            assert drops(first) == {} and drops(other) == {}
        finally:
            for server in servers:
                server.kill()


# ---- VLANs ------------------------------------------------------------------------

CLIENTS_VLAN = 77
ROUTER_THERE, DIRECTOR_THERE = "192.0.2.193", "192.0.2.194"


@pytest.fixture
def clients_vlan(lab):
    """The router sends to the director's service IP with a tag, by a network of its own."""
    router, director = lab.router, lab.director_host
    for host, interface, address in ((router, "eth1", ROUTER_THERE),
                                     (director, "eth0", DIRECTOR_THERE)):
        name = f"{interface}.{CLIENTS_VLAN}"
        host.ip(f"link add link {interface} name {name} type vlan id {CLIENTS_VLAN}",
                f"link set {name} up", f"addr add {address}/28 dev {name}")
    router.ip(f"route replace {plan.SERVICE_V4} via {DIRECTOR_THERE}")
    yield
    router.ip(f"route replace {plan.SERVICE_V4} via {plan.DIRECTOR_V4}",
              f"link del eth1.{CLIENTS_VLAN}")
    director.ip(f"link del eth0.{CLIENTS_VLAN}")


@pytest.mark.vm(only=True, xdp=True)
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_tagged_packets_of_clients_go_on_without_the_tag(lab, clients_vlan, mode):
    config = director_block(mode=mode).replace("interface eth0",
                                               f"interface eth0.{CLIENTS_VLAN}")
    with Director(lab, config + cluster({"s1": 1, "s2": 1}, check=CALM_CHECK)) as director:
        director.wait_states(s1="up", s2="up")
        interfaces = director.status()["dataplane"]["interfaces"]
        assert [(i["name"], i["mode"]) for i in interfaces] == [("eth0", mode)]
        for tcp in (False, True):
            assert set(load(lab, plan.SERVICE_V4, tcp).counts()) == {"s1", "s2"}
        assert director.service(address=plan.SERVICE_V4,
                                protocol="udp")["counters"]["packets"] == 2000
        assert drops(director) == {}


# ---- TUN --------------------------------------------------------------------------

far_servers = {}  # by name, once they are there: as long as the lab
FAR = {"u1": plan.front_server(3), "u2": plan.front_server(4)}


@pytest.fixture
def tunnel_servers(lab):
    """Servers behind the router, which take packets out of IPIP of their own family."""
    for name, addresses in FAR.items():
        if name in far_servers:
            far_servers[name].start()
        else:
            host = lab.network.server(name, addresses, front=True)
            host.ip(f"link add tun4 type ipip local {addresses[0]}",
                    f"link add tun6 type ip6tnl mode ip6ip6 local {addresses[1]}",
                    "link set tun4 up", "link set tun6 up",
                    f"addr add {plan.SERVICE_V4}/32 dev lo",
                    f"addr add {plan.SERVICE_V6}/128 dev lo nodad")
            far_servers[name] = answer(lab, host, name, addresses)
    yield [lab.network.hosts[name] for name in FAR]
    for server in far_servers.values():
        server.kill()


def tunnelled(host) -> dict:
    """Packets that came out of each tunnel of a host."""
    links = json.loads(host.run("ip", "-j", "-s", "link").stdout)
    return {link["ifname"]: link["stats64"]["rx"]["packets"] for link in links
            if link["ifname"] in ("tun4", "tun6")}


@pytest.mark.vm(only=True, xdp=True)
@pytest.mark.parametrize("mode", ["native", "generic"])
def test_tunnels_lead_to_servers_behind_a_router(lab, tunnel_servers, mode):
    servers = "".join(listed(name, addresses) for name, addresses in FAR.items())
    config = director_block(mode=mode) + cluster({}, check=CALM_CHECK, extra=servers).replace(
        "lb_kind DR", "lb_kind TUN")
    before = [tunnelled(host) for host in tunnel_servers]
    with Director(lab, config) as director:
        director.wait_states(u1="up", u2="up")
        for target in FAMILIES:
            counting = director.counting(address=target, protocol="udp")
            result = load(lab, target)
            assert abs(result.shares()["u1"] - 0.5) <= 0.02, result
            counting.expect(result.counts())
            assert set(load(lab, target, tcp=True).counts()) == {"u1", "u2"}
        after = [tunnelled(host) for host in tunnel_servers]
        for old, new in zip(before, after):
            assert new["tun4"] - old["tun4"] >= 1000 and new["tun6"] - old["tun6"] >= 1000, after
        assert drops(director) == {}
        big_queries(lab, director)


def big_queries(lab, director):
    """Segments too big for the tunnel come to smaller ones by the director's ICMP."""
    query = dns.message.make_query("id.server", "TXT", "CH")
    query.use_edns(options=[dns.edns.GenericOption(12, bytes(6000))], request_payload=65535)
    for target in FAMILIES:
        before = drops(director).get("tunnel_mtu", 0)
        for family in ("-4", "-6"):  # what an earlier run has learned
            lab.client.run("ip", family, "route", "flush", "cache")
        reply = lab.client.call(dns.query.tcp, query, target, stretched(5))
        assert reply.answer[0][0].strings[0].decode() in FAR, reply
        wait_for("the director to have answered what was too big",
                 lambda: drops(director).get("tunnel_mtu", 0) > before, 5)
