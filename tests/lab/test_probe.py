# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector probe` from the shell: 0 healthy, 1 unhealthy, 2 usage."""

import time

import pytest
from lab import plan
from lab.director import binary

FAILING = "SERVFAIL|REFUSED|NXDOMAIN"


def nine(server=1, tries="1", seconds="1", regex=FAILING, transport="udp", six=False):
    """The nine words of the classic dig wrapper."""
    source = plan.DIRECTOR_V6 if six else plan.DIRECTOR_V4
    target = plan.server_v6(server) if six else plan.server_v4(server)
    words = [source, "IN", "A", plan.WWW_NAME, target, seconds, tries, regex]
    return words + ([transport] if transport else [])


def probe(lab, *arguments):
    return lab.director_host.run(binary(), "probe", *arguments, check=False, timeout=30)


@pytest.mark.parametrize("transport", ["udp", "tcp", None])
@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
def test_a_good_server_passes(lab, transport, six):
    done = probe(lab, *nine(transport=transport, six=six))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("mode, transport, wanted", [
    ("rcode 2", "udp", 1), ("rcode 2", "tcp", 1), ("rcode 5", "udp", 1),
    ("rcode 1", "udp", 0),                # FORMERR is not in the expression
    ("silent", "udp", 1), ("silent", "tcp", 1), ("garbage", "udp", 1), ("garbage", "tcp", 1),
    ("wrong-id", "udp", 1), ("wrong-question", "udp", 1),
    ("wrong-id-then-right", "udp", 0), ("wrong-question-then-right", "udp", 0),
    ("truncate", "udp", 0),               # asked again over TCP
])
def test_misbehaving_servers(lab, mode, transport, wanted):
    lab.servers["s1"].tell(f"mode {mode}")
    done = probe(lab, *nine(transport=transport))
    assert done.returncode == wanted, done.stdout + done.stderr


@pytest.mark.parametrize("regex, wanted", [
    ("SERVFAIL", 1), ("SERV", 1),         # anchored at its start, not at its end
    ("FAIL", 0), ("servfail", 0),         # …and case-sensitive
    (".*FAIL", 1), ("(REFUSED|SERVFAIL)", 1), ("NOERROR", 0)])
def test_the_expression_is_matched_against_the_status(lab, regex, wanted):
    lab.servers["s1"].tell("mode rcode 2")
    assert probe(lab, *nine(regex=regex)).returncode == wanted


def test_closed_ports_fail_at_once(lab):
    lab.servers["s1"].tell("udp off")
    lab.servers["s1"].tell("tcp off")
    for transport in ("udp", "tcp"):
        began = time.monotonic()
        assert probe(lab, *nine(seconds="5", tries="1", transport=transport)).returncode == 1
        assert time.monotonic() - began < 2


def test_tries_and_time_are_kept(lab):
    lab.servers["s1"].tell("mode silent")
    before = lab.servers["s1"].stats()["udp"]
    began = time.monotonic()
    assert probe(lab, *nine(seconds="1", tries="2")).returncode == 1
    assert 1.9 <= time.monotonic() - began <= 4
    assert lab.servers["s1"].stats()["udp"] - before == 2


def test_a_slow_server_passes_within_its_time_only(lab):
    lab.servers["s1"].tell("delay 400")
    assert probe(lab, *nine(seconds="1")).returncode == 0
    lab.servers["s1"].tell("delay 1500")
    assert probe(lab, *nine(seconds="1")).returncode == 1


def test_the_source_address_is_used(lab):
    before = lab.servers["s1"].stats()["clients"].get(plan.DIRECTOR_V6, {"udp": 0})["udp"]
    assert probe(lab, *nine(six=True)).returncode == 0
    assert lab.servers["s1"].stats()["clients"][plan.DIRECTOR_V6]["udp"] == before + 1


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("told, options, reason", [
    (None, ["--match", "exactly", "--expect-answer", plan.WWW_V4], None),
    (None, ["--match", "pattern", "--expect-answer", "[.]80$"], None),
    (None, ["--match", "all", "--expect-answer", plan.WWW_V4, "192.0.2.1"],
     f"wrong answer: got {plan.WWW_V4}, expected {plan.WWW_V4} and 192.0.2.1"),
    (None, ["--match", "exactly", "--expect-answer", "192.0.2.1"],
     f"wrong answer: got {plan.WWW_V4}, expected exactly 192.0.2.1"),
    (None, ["--min-answers", "2"], "1 answer, at least 2 expected"),
    (None, ["--edns", "4096", "--do"], None),
    (None, ["--fwmark", "0x7"], None),
    (None, ["--interface", "no-such0"], "cannot send through no-such0: no such interface"),
    ("delay 400", ["--timeout", "2", "--max-time", "100ms"], "late by "),
    ("mode truncate", ["--on-truncated", "fail"], "truncated"),
    ("mode silent", ["--timeout", "0.2"], "timeout"),
    ("tcp off", ["--tls", "--timeout", "2"], "connection refused"),
])
def test_long_options_say_what_is_wrong(lab, told, options, reason, six):
    if told:
        lab.servers["s1"].tell(told)
    server = f"[{plan.server_v6(1)}]" if six else plan.server_v4(1)
    done = probe(lab, "--server", server, "--name", plan.WWW_NAME, "--type", "A", *options)
    assert done.returncode == (1 if reason else 0), done.stdout + done.stderr
    if reason:
        assert f": {reason}" in done.stdout, done.stdout


@pytest.mark.parametrize("arguments", [
    [], ["203.0.113.1"], nine(tries="none"), nine(regex="("), nine(transport="sctp"),
    ["not-an-address", *nine()[1:]]],
    ids=["nothing", "one word", "tries", "expression", "transport", "address"])
def test_wrong_use_exits_2(lab, arguments):
    done = probe(lab, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.strip()
