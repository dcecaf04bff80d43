# SPDX-License-Identifier: Apache-2.0
"""Queries arrive at the servers in the shares of their weights, unharmed."""

import pytest
from lab import Lab, plan
from lab.director import CALM_CHECK, Director, cluster, director_block
from lab.system import SLOWNESS

FAMILIES = [pytest.param(plan.SERVICE_V4, id="IPv4"), pytest.param(plan.SERVICE_V6, id="IPv6")]
QUERIES = round(20000 / SLOWNESS)


def start(lab, servers: dict, **options) -> Director:
    interfaces = options.pop("interfaces", 1)
    mode = options.pop("mode", "auto")
    plane = options.pop("plane", "xdp")
    config = director_block(plane, interfaces, mode) + cluster(servers, check=CALM_CHECK, **options)
    return Director(lab, config)


def all_up(director: Director, servers):
    director.wait_states(**{name: "up" for name in servers})


@pytest.mark.parametrize("weights", [
    {"s1": 1, "s2": 1}, pytest.param({"s1": 3, "s2": 1}, marks=pytest.mark.vm),
    {"s1": 1, "s2": 1, "s3": 1, "s4": 1}], ids=["1:1", "3:1", "four equal"])
def test_udp_shares_are_within_one_percent_of_the_weights(lab, plane, weights):
    with start(lab, weights, plane=plane) as director:
        all_up(director, weights)
        counting = director.counting(protocol="udp")
        answered = dict.fromkeys(weights, 0)
        for service_ip in (plan.SERVICE_V4, plan.SERVICE_V6):
            result = lab.load(service_ip, rate=8000, count=QUERIES).start().finish()
            assert result.failed == 0, result
            for name, weight in weights.items():
                wanted = weight / sum(weights.values())
                assert abs(result.shares()[name] - wanted) <= 0.01, result
                answered[name] += result.counts()[name]
        # What the director counts is what the servers answered.
        counting.expect(answered)


@pytest.mark.parametrize("service_ip", FAMILIES)
def test_a_client_that_keeps_its_port_is_spread_too(lab, plane, service_ip):
    with start(lab, {"s1": 1, "s2": 1}, plane=plane) as director:
        all_up(director, ["s1", "s2"])
        result = lab.load(service_ip, rate=2000, count=1000, sockets=1).start().finish()
        assert result.failed == 0, result
        assert abs(result.shares()["s1"] - 0.5) <= 0.01, result


@pytest.mark.parametrize("service_ip", FAMILIES)
def test_a_server_of_weight_zero_gets_no_query_and_is_checked(lab, plane, service_ip):
    with start(lab, {"s1": 1, "s2": 0}, plane=plane) as director:
        all_up(director, ["s1", "s2"])
        result = lab.load(service_ip, rate=5000, count=5000).start().finish()
        assert result.failed == 0, result
        assert result.counts() == {"s1": 5000}
        server = director.server("s2", address=service_ip, protocol="udp")
        assert (server["weight"], server["effective_weight"]) == (0, 0)
        quorum = director.service(address=service_ip, protocol="udp")["quorum"]
        assert quorum["up"] == 1  # weight 0 does not count


@pytest.mark.parametrize("service_ip", FAMILIES)
def test_tcp_queries_are_answered_by_every_server(lab, plane, service_ip):
    weights = {"s1": 1, "s2": 1, "s3": 2}
    with start(lab, weights, plane=plane) as director:
        all_up(director, weights)
        result = lab.load(service_ip, rate=500, count=1500, tcp=True).start().finish()
        assert result.failed == 0, result
        # By flow; over random ports 5 standard deviations are about 6.5%.
        for name, weight in weights.items():
            assert abs(result.shares()[name] - weight / 4) <= 0.065, result


def test_answers_carry_the_clients_own_address_to_the_server(lab, plane):
    with start(lab, {"s1": 1}, plane=plane) as director:
        all_up(director, ["s1"])
        before = lab.servers["s1"].stats()["clients"].get(plan.CLIENT_V4, {"udp": 0})["udp"]
        lab.load(rate=1000, count=100).start().finish()
        assert lab.servers["s1"].stats()["clients"][plan.CLIENT_V4]["udp"] - before == 100


@pytest.mark.parametrize("service_ip", FAMILIES)
def test_the_service_ip_answers_ping_while_the_director_runs(lab, service_ip):
    with start(lab, {"s1": 1, "s2": 1}) as director:
        assert lab.client.run("ping", "-c", "3", "-i", "0.1", "-W", "1", service_ip,
                              check=False).returncode == 0
        director.stop()
        assert lab.client.run("ping", "-c", "1", "-W", "1", service_ip,
                              check=False).returncode != 0


def test_the_service_ip_is_answered_over_arp_by_the_director_only(lab):
    with start(lab, {"s1": 1, "s2": 1}) as director:
        router = lab.router
        router.ip("route del 192.0.2.53", "route add 192.0.2.53 dev eth1")
        try:
            assert router.run("ping", "-c", "2", "-i", "0.1", "-W", "1", plan.SERVICE_V4,
                              check=False).returncode == 0
            neighbour = router.run("ip", "neigh", "show", plan.SERVICE_V4, "dev", "eth1").stdout
            mac = director.host.run("ip", "-br", "link", "show", "eth0").stdout.split()[2]
            assert mac in neighbour
        finally:
            router.ip("neigh flush dev eth1", "route del 192.0.2.53",
                      f"route add 192.0.2.53 via {plan.DIRECTOR_V4}")


def test_other_packets_pass_untouched(lab, plane):
    with start(lab, {"s1": 1, "s2": 1}, plane=plane) as director:
        all_up(director, ["s1"])
        for own in (plan.DIRECTOR_V4, plan.DIRECTOR_V6):
            assert lab.client.run("ping", "-c", "2", "-i", "0.1", "-W", "1", own,
                                  check=False).returncode == 0
        # A port of the service IP that is no service: the local stack refuses it.
        result = lab.load(rate=100, count=10, port=5353, timeout_ms=200).start().finish()
        assert result.lost == 10 and result.icmp_errors > 0, result


@pytest.mark.parametrize("mode", [pytest.param("native", marks=pytest.mark.vm), "generic"])
def test_status_says_which_xdp_mode_it_got(lab, mode):
    with start(lab, {"s1": 1, "s2": 1}, mode=mode) as director:
        all_up(director, ["s1", "s2"])
        interfaces = director.status()["dataplane"]["interfaces"]
        assert [(i["name"], i["mode"]) for i in interfaces] == [("eth0", mode)]
        for service_ip in (plan.SERVICE_V4, plan.SERVICE_V6):
            result = lab.load(service_ip, rate=3000, count=3000).start().finish()
            assert result.failed == 0 and len(result.counts()) == 2, result


def test_clients_and_servers_may_be_on_different_interfaces(can_direct):
    with Lab(servers=["answer", "answer"], interfaces=2) as two:
        with start(two, {"s1": 1, "s2": 1}, interfaces=2) as director:
            all_up(director, ["s1", "s2"])
            for service_ip in (plan.SERVICE_V4, plan.SERVICE_V6):
                for tcp in (False, True):
                    result = two.load(service_ip, rate=500 if tcp else 3000,
                                      count=500 if tcp else 3000, tcp=tcp).start().finish()
                    assert result.failed == 0 and len(result.counts()) == 2, result
