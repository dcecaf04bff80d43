# SPDX-License-Identifier: Apache-2.0
"""What IPVS does with packets when the ipvs plane has told it what to do: tunnels, NAT, marks,
persistence, limits, schedulers. Answers are counted by the server that gave them."""

import json
import socket
from collections import Counter
from contextlib import contextmanager

import dns.message
import dns.query
import pytest
from lab import plan, wait_for
from lab.daemons import Answer
from lab.director import CALM_CHECK, Director, cluster, director_block
from lab.ipvs import ipvsadm
from lab.system import stretched

pytestmark = pytest.mark.vm(only=True)

IPVS = director_block("ipvs")
SECOND_V4 = "192.0.2.54"
S1, S2 = ((plan.server_v4(n), plan.server_v6(n)) for n in (1, 2))
T1, T2 = plan.front_server(1), plan.front_server(2)
N1, N2 = ("203.0.113.61", "2001:db8:1::3d"), ("203.0.113.62", "2001:db8:1::3e")
N1_PORT, N2_PORT = 5353, 1053
# Clients of two networks of 256: the client's own addresses, and what it has besides.
NEAR = ["198.51.100.21", "198.51.100.22", "198.51.100.23"]
FAR = ["192.0.2.21", "192.0.2.22", "192.0.2.23"]
# Two first packets of a flow that two processors look at in the same moment make two
# connections of it (ip_vs_core.c): so many more than there are flows are borne.
TWICE = 3


def virtual_server(where: str, servers: dict, words: str) -> str:
    """A virtual_server of keepalived.conf. servers: {"ADDRESS PORT": weight or text}."""
    lines = [f"virtual_server {where} {{", *(f"    {w}" for w in words.split("; "))]
    for endpoint, weight in servers.items():
        body = weight if isinstance(weight, str) else f"weight {weight}"
        lines.append(f"    real_server {endpoint} {{\n        {body}\n    }}")
    return "\n".join(lines) + "\n}\n"


def answer(lab, host, name: str, addresses: list, port: int = 53) -> Answer:
    server = Answer(host, lab.directory, name, addresses, lab.tools.path("dnsanswer"), port)
    server.start()
    return server


# ---- who answers ------------------------------------------------------------------

class Streams:
    """TCP connections of the client's that stay open, and the servers that they lead to."""

    def __init__(self, lab):
        self.lab, self.kept = lab, []

    def open(self, target: str, count: int) -> Counter:
        """Makes so many more; returns how many of these each server has."""
        found = Counter()
        for _ in range(count):
            stream = self.lab.client.call(socket.create_connection, (target, 53), stretched(5))
            server = _name(dns.query.tcp(_question(), target, stretched(3), sock=stream))
            self.kept.append((server, stream))
            found[server] += 1
        return found

    def close(self, server: str = None):
        """Those to a server, or all."""
        for each in [e for e in self.kept if server in (None, e[0])]:
            each[1].close()
            self.kept.remove(each)


def _question():
    return dns.message.make_query("id.server", "TXT", "CH")


def _name(reply) -> str:
    return reply.answer[0][0].strings[0].decode()


def who(lab, target: str, sources, each: int = 1) -> list:
    """The servers that answer these addresses of the client's over UDP, asked in turn."""
    def ask():
        return [_name(dns.query.udp(_question(), target, stretched(2), source=source))
                for _ in range(each) for source in sources]
    return lab.client.call(ask)


@pytest.fixture
def streams(lab):
    streams = Streams(lab)
    yield streams
    streams.close()


@pytest.fixture
def quick_timeouts(lab):
    """Ended connections and silent UDP flows are forgotten after 2 s, not 2 and 5 minutes."""
    ipvsadm(lab.director_host, "--set 900 2 2")
    yield
    ipvsadm(lab.director_host, "--set 900 120 300")


@pytest.fixture
def more_clients(lab):
    """The client has addresses of two networks of 256."""
    lab.client.ip(*[f"addr add {a}/32 dev eth0" for a in NEAR + FAR])
    lab.router.ip(*[f"route add {a} via {plan.CLIENT_V4}" for a in FAR])
    yield
    lab.router.ip(*[f"route del {a}" for a in FAR])
    lab.client.ip(*[f"addr del {a}/32 dev eth0" for a in NEAR + FAR])


@contextmanager
def directing(lab, text: str):
    """A director that has put all of its file's servers into the table."""
    with Director(lab, text) as director:
        wait_for("all servers to serve", lambda: all(
            server["effective_weight"] for service in director.services()
            for server in service["real_servers"]), 15)
        yield director


def connections(director, kind: str = "active", **where) -> dict:
    """{server: connections} in the one service that fits, those without left out."""
    servers = director.service(**where)["real_servers"]
    return {s["name"]: s["connections"][kind] for s in servers if s["connections"][kind]}


def check_loads(lab, director, shares: dict, names: dict, **where):
    """UDP and TCP queries to all targets are answered, shared as told, and what is counted is
    what was answered over UDP. names: {target: {server: its name in status}}."""
    def load(target: str, **options) -> dict:
        result = lab.load(target, **options).start().finish()
        assert result.failed == 0, result
        for server, share in shares.items():
            assert abs(result.shares()[server] - share) <= 0.03, result
        return result.counts()

    counting = director.counting(**where)
    answered = Counter()
    for target, named in names.items():
        for server, count in load(target, rate=2000, count=600, in_turn=True).items():
            answered[named[server]] += count
    counting.expect(answered)
    for target in names:
        load(target, rate=150, count=45, tcp=True)


# ---- TUN --------------------------------------------------------------------------

@pytest.fixture
def tunnel_servers(lab):
    """t1 and t2 behind the router, which take packets out of all four kinds of tunnel."""
    hosts = []
    for number, (name, addresses) in enumerate((("t1", T1), ("t2", T2)), 1):
        host = lab.network.hosts.get(name) or lab.network.server(name, addresses, front=True)
        host.ip(f"link add tun44 type ipip local {addresses[0]}",
                f"link add tun64 type sit local {addresses[0]}",
                f"link add tunx6 type ip6tnl mode any local {addresses[1]}",
                *[f"link set {device} up" for device in ("tun44", "tun64", "tunx6")],
                f"addr add {plan.SERVICE_V4}/32 dev lo",
                f"addr add {plan.SERVICE_V6}/128 dev lo nodad")
        hosts.append(host)
    servers = [answer(lab, host, host.name, [*addresses, plan.SERVICE_V4, plan.SERVICE_V6])
               for host, addresses in zip(hosts, (T1, T2))]
    yield hosts
    for server in servers:
        server.kill()


def tunnelled(host) -> dict:
    """Packets that came out of each tunnel of a host."""
    links = json.loads(host.run("ip", "-j", "-s", "link").stdout)
    return {link["ifname"]: link["stats64"]["rx"]["packets"] for link in links
            if link["ifname"].startswith("tun") and link["stats64"]["rx"]["packets"]}


def test_tunnels_lead_to_servers_behind_a_router_in_all_four_kinds(lab, tunnel_servers):
    """4 in 4, 6 in 6, and each service's other server by the other family."""
    text = IPVS
    for service_ip, first, second in ((plan.SERVICE_V4, T1[0], T2[1]),
                                      (plan.SERVICE_V6, T1[1], T2[0])):
        for protocol in ("UDP", "TCP"):
            text += virtual_server(f"{service_ip} 53", {f"{first} 53": 2, f"{second} 53": 1},
                                   f"lb_algo wrr; lb_kind TUN; protocol {protocol}")
    with directing(lab, text) as director:
        names = {}
        for service in director.services(protocol="udp"):
            assert service["forwarding"] == "tun", service
            names[service["address"]] = {name: server["name"] for name, server in
                                         zip(("t1", "t2"), service["real_servers"])}
        check_loads(lab, director, {"t1": 2 / 3, "t2": 1 / 3}, names, protocol="udp")
    out = [tunnelled(host) for host in tunnel_servers]
    # t1 has what is 4 in 4 and 6 in 6, t2 what is 4 in 6 and 6 in 4.
    assert set(out[0]) == {"tun44", "tunx6"} and set(out[1]) == {"tun64", "tunx6"}, out
    assert min(out[0].values()) >= 400 and min(out[1].values()) >= 200, out


# ---- NAT --------------------------------------------------------------------------

@pytest.fixture
def nat_servers(lab):
    """n1 and n2, without the service IP, at ports of their own; the director is their router.

    All are in one network: nobody may tell them of the shorter way (ICMP redirects)."""
    director = lab.director_host
    director.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1,
                    ipv4__conf__all__send_redirects=0, ipv4__conf__eth0__send_redirects=0)
    servers = []
    for name, addresses, port in (("n1", N1, N1_PORT), ("n2", N2, N2_PORT)):
        host = lab.network.hosts.get(name) or lab.network.server(name, addresses)
        host.sysctl(ipv6__conf__eth0__accept_redirects=0)
        host.ip(f"route replace default via {plan.DIRECTOR_V4}",
                f"route replace default via {plan.DIRECTOR_V6}")
        servers.append(answer(lab, host, name, addresses, port))
    yield servers
    for server in servers:
        server.kill()
    director.sysctl(ipv4__ip_forward=0, ipv6__conf__all__forwarding=0)


def test_nat_brings_replies_back_through_the_director_from_other_ports(lab, nat_servers):
    text = IPVS + f"""\
dns_cluster resolvers {{
    service_ip {plan.SERVICE_V4} {plan.SERVICE_V6}
    lb_kind NAT
    {CALM_CHECK}
    real_server n1 {{ address {N1[0]} {N1[1]}; port {N1_PORT}; weight 2 }}
    real_server n2 {{ address {N2[0]} {N2[1]}; port {N2_PORT}; weight 1 }}
}}
"""
    with directing(lab, text) as director:
        assert director.status()["dataplane"]["warnings"] == []
        assert {service["forwarding"] for service in director.services()} == {"nat"}
        # By flow: 64 ports, of which n1 has two thirds.
        own = {"n1": "n1", "n2": "n2"}
        check_loads(lab, director, {"n1": 43 / 64, "n2": 21 / 64},
                    {plan.SERVICE_V4: own, plan.SERVICE_V6: own}, protocol="udp")
        for service_ip in (plan.SERVICE_V4, plan.SERVICE_V6):
            flows = connections(director, "inactive", address=service_ip, protocol="udp")
            assert 64 <= sum(flows.values()) <= 64 + TWICE, flows
        # Nobody but clients asks through the director: the servers saw who they are.
        clients = nat_servers[0].stats()["clients"]
        assert clients[plan.CLIENT_V4]["udp"] and clients[plan.CLIENT_V6]["tcp"], clients


# ---- firewall marks -----------------------------------------------------------------

MARKS = f"""
table inet marks {{
    chain before_routing {{
        type filter hook prerouting priority mangle
        ip daddr {SECOND_V4} meta l4proto {{ tcp, udp }} th dport 53 meta mark set 7
        ip6 daddr {plan.SERVICE_V6} meta l4proto {{ tcp, udp }} th dport 53 meta mark set 8
    }}
}}
"""


@pytest.fixture
def marks(lab):
    """Packets for two service IPs get marks 7 and 8 and are brought to the local stack."""
    director = lab.director_host
    director.run("nft", "-f", "-", input=MARKS)
    routes = [(family, mark) for family, mark in (("-4", 7), ("-6", 8))]
    for family, mark in routes:
        director.run("ip", family, "rule", "add", "fwmark", mark, "lookup", 100)
        director.run("ip", family, "route", "add", "local", "default", "dev", "lo", "table", 100)
    yield
    for family, mark in routes:
        director.run("ip", family, "route", "flush", "table", 100)
        director.run("ip", family, "rule", "del", "fwmark", mark)
    director.run("nft", "delete", "table", "inet", "marks")


def test_marked_packets_of_both_protocols_are_one_service(lab, marks):
    text = IPVS
    for mark, family, number in ((7, "inet", 0), (8, "inet6", 1)):
        text += virtual_server(f"fwmark {mark}", {f"{S1[number]} 53": 2, f"{S2[number]} 53": 1},
                               f"ip_family {family}; lb_algo wrr; lb_kind DR")
    with directing(lab, text) as director:
        assert director.held_service_ips() == []
        names = {}
        for mark, target in ((7, SECOND_V4), (8, plan.SERVICE_V6)):
            servers = director.service(fwmark=mark)["real_servers"]
            names[target] = {name: server["name"] for name, server in zip(("s1", "s2"), servers)}
        check_loads(lab, director, {"s1": 2 / 3, "s2": 1 / 3}, names)


# ---- staying with a server ----------------------------------------------------------

def test_clients_of_one_network_stay_together_until_the_timeout(lab, more_clients,
                                                                quick_timeouts):
    """And `ops off` keeps each flow, and no more, with its server."""
    seconds = 6
    text = (IPVS + cluster({"s1": 1, "s2": 1}, check=CALM_CHECK, extra="ops off\n", name="flows")
            + cluster({"s1": 1, "s2": 1}, check=CALM_CHECK, name="networks",
                      service_ips=[SECOND_V4], protocol="udp",
                      extra=f"persistence_timeout {seconds}s\n"
                            "persistence_granularity 255.255.255.0\n"))
    with directing(lab, text) as director:
        near, = set(who(lab, SECOND_V4, NEAR, each=3))
        far, = set(who(lab, SECOND_V4, FAR, each=3))
        assert near != far, "by turns: the second network is the other server's"
        where = {"cluster": "networks"}
        assert sum(connections(director, "persistent", **where).values()) == 2

        # By flow: one port is one server's, 64 ports are shared.
        for target in (plan.SERVICE_V4, plan.SERVICE_V6):
            one = lab.load(target, rate=500, count=100, sockets=1).start().finish()
            assert one.failed == 0 and max(one.shares().values()) >= 0.97, one
            many = lab.load(target, rate=1000, count=320, sockets=64, in_turn=True).start().finish()
            assert many.failed == 0 and abs(many.shares()["s1"] - 0.5) <= 0.05, many

        wait_for("persistence to end",
                 lambda: not connections(director, "persistent", **where), 2 * seconds + 10)
        # The turn is that of the first network's server; whoever comes first gets it.
        assert set(who(lab, SECOND_V4, FAR, each=3)) == {near}
        assert set(who(lab, SECOND_V4, NEAR, each=3)) == {far}


# ---- limits and schedulers ------------------------------------------------------------

def test_a_server_at_its_limit_gets_no_more_until_connections_end(lab, streams, quick_timeouts):
    """Beside it nq: whoever is idle comes first."""
    text = (IPVS + virtual_server(f"{plan.SERVICE_V4} 53", {
        f"{S1[0]} 53": "weight 1\n        uthreshold 4\n        lthreshold 2", f"{S2[0]} 53": 1},
        "lb_algo rr; lb_kind DR; protocol TCP")
            + virtual_server(f"{SECOND_V4} 53", {f"{S1[0]} 53": 5, f"{S2[0]} 53": 1},
                             "lb_algo nq; lb_kind DR; protocol TCP"))
    with directing(lab, text) as director:
        where = {"address": plan.SERVICE_V4}
        assert streams.open(plan.SERVICE_V4, 10) == {"s1": 4, "s2": 6}
        assert connections(director, **where) == {f"{S1[0]}:53": 4, f"{S2[0]}:53": 6}
        # Two of nq's are as weighted as sed's are, but for the idle one.
        assert streams.open(SECOND_V4, 4) == {"s1": 3, "s2": 1}
        streams.close("s1")
        wait_for("ended connections to be forgotten",
                 lambda: set(connections(director, **where)) == {f"{S2[0]}:53"}
                 and not connections(director, "inactive", **where), 10)
        assert streams.open(plan.SERVICE_V4, 4) == {"s1": 2, "s2": 2}


def test_schedulers_keep_their_promises_over_tcp(lab, streams):
    text = IPVS
    for target, number, algo, weights in (
            (plan.SERVICE_V4, 0, "lc", (1, 3)), (SECOND_V4, 0, "wlc", (2, 1)),
            (plan.SERVICE_V6, 1, "sed", (5, 1))):
        servers = {f"{s[number]} 53": w for s, w in zip((S1, S2), weights)}
        text += virtual_server(f"{target} 53", servers, f"lb_algo {algo}; lb_kind DR; "
                               "protocol TCP")
    with directing(lab, text) as director:
        # lc: as many each, whatever the weights. wlc: by the weights. sed: to the strong one,
        # as long as it would answer sooner than the idle one.
        for target, wanted in ((plan.SERVICE_V4, {"s1": 3, "s2": 3}),
                               (SECOND_V4, {"s1": 4, "s2": 2}), (plan.SERVICE_V6, {"s1": 4})):
            assert streams.open(target, sum(wanted.values())) == wanted, target
            found = {s["name"]: s["connections"]["active"] for s in
                     director.service(address=target, protocol="tcp")["real_servers"]}
            assert sorted(n for n in found.values() if n) == sorted(wanted.values()), found


def test_schedulers_keep_their_promises_over_udp(lab, more_clients, quick_timeouts):
    text = IPVS
    for target, number, algo in ((plan.SERVICE_V4, 0, "sh"), (SECOND_V4, 0, "wlc"),
                                 (plan.SERVICE_V6, 1, "mh")):
        weights = (1, 1) if algo == "sh" else (2, 1)
        servers = {f"{s[number]} 53": w for s, w in zip((S1, S2), weights)}
        text += virtual_server(f"{target} 53", servers, f"lb_algo {algo}; lb_kind DR; "
                               "protocol UDP" + ("; mh-port" if algo == "mh" else ""))
    with directing(lab, text):
        # sh: a client stays, and clients are at both.
        clients = [plan.CLIENT_V4, *NEAR, *FAR]
        first = who(lab, plan.SERVICE_V4, clients)
        assert set(first) == {"s1", "s2"}, first
        assert who(lab, plan.SERVICE_V4, clients, each=2) == first * 2
        # mh with ports: a flow stays, and flows are shared.
        one = lab.load(plan.SERVICE_V6, rate=500, count=50, sockets=1).start().finish()
        assert one.failed == 0 and len(one.counts()) == 1, one
        many = lab.load(plan.SERVICE_V6, rate=1000, count=1024, sockets=256,
                        in_turn=True).start().finish()
        assert many.failed == 0 and abs(many.shares()["s1"] - 2 / 3) <= 0.15, many
        # wlc counts flows, so that they are kept.
        flows = lab.load(SECOND_V4, rate=1000, count=600, sockets=60,
                         in_turn=True).start().finish()
        assert flows.failed == 0 and abs(flows.shares()["s1"] - 2 / 3) <= 0.08, flows


def test_counting_schedulers_give_udp_to_one_server(lab, quick_timeouts):
    """What check-config warns of (udp-to-one-server), and why `ops` is off under wlc."""
    text = IPVS
    for target, number, words in ((plan.SERVICE_V4, 0, "lb_algo sed"),
                                  (SECOND_V4, 0, "lb_algo wlc; ops"),
                                  (plan.SERVICE_V6, 1, "lb_algo nq")):
        text += virtual_server(f"{target} 53", {f"{S1[number]} 53": 1, f"{S2[number]} 53": 1},
                               words + "; lb_kind DR; protocol UDP")
    with directing(lab, text):
        for target in (plan.SERVICE_V4, SECOND_V4, plan.SERVICE_V6):
            result = lab.load(target, rate=1000, count=128, in_turn=True).start().finish()
            assert result.failed == 0 and max(result.shares().values()) >= 0.75, result
