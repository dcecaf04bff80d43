# SPDX-License-Identifier: Apache-2.0
"""The proxy plane's scheduler `qname`: each name is asked of one server, so that caches do not
all hold the same. Counted is what four recursors ask the tree, against what one asks and what
four ask among which queries go round."""

import pytest
from lab import Lab, plan
from lab.director import CALM_CHECK, Director, cluster, director_block

SERVERS = ("s1", "s2", "s3", "s4")
# 30,000 draws of 1,500 names by Zipf's law leave out hardly one; a quarter of them many.
NAMES, QUERIES = 1500, 30000
# A slow answer is waited for: a second server's work would be counted too.
PROXY = "proxy {\n    workers 1\n    retry_after 1s\n}\n"


@pytest.fixture(scope="module")
def lab():
    with Lab(servers=("unbound",) * len(SERVERS), services=(plan.SERVICE_V4,),
             native=False) as one:
        yield one


@pytest.fixture(scope="module")
def answers_lab():
    with Lab(servers=("answer",) * len(SERVERS), services=(plan.SERVICE_V4,),
             native=False) as one:
        yield one


def config(scheduler: str, servers=SERVERS) -> str:
    return (director_block("proxy") + PROXY
            + cluster({name: 1 for name in servers}, check=CALM_CHECK,
                      service_ips=[plan.SERVICE_V4])
            .replace("lb_algo wrr", f"lb_algo {scheduler}").replace("    lb_kind DR\n", ""))


def datagrams() -> int:
    """UDP datagrams that reached a socket of the calling namespace."""
    with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
        names, values = [line.split() for line in file if line.startswith("Udp:")]
    return int(values[names.index("InDatagrams")])


def upstream_queries(lab, scheduler: str, servers=SERVERS) -> tuple:
    """(queries that the tree got, those by server that clients sent) with cold caches."""
    with Director(lab, config(scheduler, servers)) as director:
        director.wait_states(**{name: "up" for name in servers})
        for name in servers:
            lab.servers[name].flush()
        before = lab.auth.call(datagrams)
        load = lab.load(rate=1500, count=QUERIES, names=[f"*.{plan.WILDCARD_ZONE}"], zipf=NAMES,
                        expect=[plan.WILDCARD_V4], timeout_ms=5000)
        result = load.start().finish()
        assert result.failed == 0, result
        return lab.auth.call(datagrams) - before, result.counts()


def test_four_caches_hold_as_much_as_one(lab):
    one, _ = upstream_queries(lab, "qname", SERVERS[:1])
    by_name, counts = upstream_queries(lab, "qname")
    in_turn, _ = upstream_queries(lab, "wrr")
    print(f"queries to the tree: one recursor {one}, four by name {by_name} "
          f"({by_name / one:.2f}), four in turn {in_turn} ({in_turn / one:.2f})")
    assert one >= NAMES * 0.9
    assert by_name <= 1.1 * one, (one, by_name, counts)
    assert in_turn >= 2.5 * one, (one, in_turn)
    # The most popular name is one query of eight; nobody has more than his names and that.
    assert len(counts) == 4 and max(counts.values()) <= 0.5 * QUERIES, counts


def test_one_hot_name_does_not_drown_a_server(answers_lab):
    """One name for all queries, of servers that take their time: no more than 5/4 of a
    server's share waits at one, so that all have to help."""
    for server in answers_lab.servers.values():
        server.tell("delay 40")
    try:
        with Director(answers_lab, config("qname")) as director:
            director.wait_states(**{name: "up" for name in SERVERS})
            result = answers_lab.load(rate=4000, count=16000).start().finish()
            assert result.failed == 0, result
            # 160 wait at a time, 40 each by right; a quarter more is what one may have.
            assert len(result.counts()) == 4, result
            assert max(result.shares().values()) <= 0.35, result
            calm = answers_lab.load(in_flight=4, count=300).start().finish()
            assert calm.failed == 0 and len(calm.counts()) == 1, calm
    finally:
        for server in answers_lab.servers.values():
            server.tell("delay 0")
