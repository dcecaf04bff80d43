# SPDX-License-Identifier: Apache-2.0
"""BIND, Unbound and PowerDNS Recursor behind the director: real recursion."""

import pytest
from lab import plan
from lab.director import Director, binary, check_block, cluster, director_block

SERVERS = {"s1": 1, "s2": 1, "s3": 1}
# A name with a TTL of one second: each check has the recursor recurse.
CHECK = check_block(name=plan.LOW_TTL_NAME, every="500ms", timeout="1s", tries=2)


@pytest.fixture
def director(recursor_lab):
    with Director(recursor_lab, director_block() + cluster(SERVERS, check=CHECK)) as director:
        director.wait_states(s1="up", s2="up", s3="up")
        yield director


@pytest.mark.parametrize("service_ip", [pytest.param(plan.SERVICE_V4, id="IPv4"),
                                        pytest.param(plan.SERVICE_V6, id="IPv6")])
def test_shares_of_three_makes_with_every_answer_right(recursor_lab, director, service_ip):
    result = recursor_lab.load(service_ip, rate=4000, count=20000).start().finish()
    assert result.failed == 0, result
    for name in SERVERS:
        assert abs(result.shares()[name] - 1 / 3) <= 0.01, result


def test_names_that_are_in_no_cache_are_resolved(recursor_lab, director):
    result = recursor_lab.load(rate=300, count=900, names=[f"*.{plan.WILDCARD_ZONE}"],
                               expect=[plan.WILDCARD_V4]).start().finish()
    assert result.failed == 0 and len(result.counts()) == 3, result


def test_tcp_to_three_makes(recursor_lab, director):
    result = recursor_lab.load(rate=200, count=400, tcp=True).start().finish()
    assert result.failed == 0 and len(result.counts()) == 3, result


@pytest.mark.parametrize("server", [pytest.param(plan.server_v4(2), id="IPv4"),
                                    pytest.param(f"[{plan.server_v6(2)}]", id="IPv6")])
def test_unbound_is_asked_over_tls(recursor_lab, server):
    for options, status, wanted in [
            (["--expect-answer", plan.WWW_V4, "--do"], 0, "healthy NOERROR "),
            (["--expect-answer", "192.0.2.1"], 1, f"wrong answer: got {plan.WWW_V4}, ")]:
        done = recursor_lab.director_host.run(
            binary(), "probe", "--tls", "--server", server, "--name", plan.WWW_NAME, "--type", "A",
            "--timeout", "2s", *options, check=False, timeout=30)
        assert done.returncode == status and wanted in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", SERVERS)
def test_a_recursor_cut_off_from_the_tree_is_out_and_comes_back(recursor_lab, director, name):
    recursor_lab.cut_off(name)
    try:
        director.wait_states(timeout=20, **{name: "down"})
        result = recursor_lab.load(rate=1000, count=600).start().finish()
        assert result.failed == 0 and name not in result.counts(), result
    finally:
        recursor_lab.reconnect(name)
    director.wait_states(timeout=20, **{name: "up"})
