# SPDX-License-Identifier: Apache-2.0
"""Checks through the service IP (`via service_ip`): what a client's packet finds at one
server, which a check to the server's own address does not see. The director's interfaces keep
their strict reverse-path filter."""

import contextlib
import time

import pytest
from lab import plan, wait_for
from lab.director import Director, check_block, cluster, director_block
from lab.system import LONG, stretched

SERVERS = {"s1": 1, "s2": 1, "s3": 1}
THROUGH = "    via service_ip\n"
# fall 2 at 100 ms with a time-out of 100 ms, and the poll; others build beside what runs by
# default.
OUT_MS = 450 if LONG else 1500

FAMILIES = [pytest.param(plan.SERVICE_V4, id="IPv4"), pytest.param(plan.SERVICE_V6, id="IPv6")]
PLANES = ["xdp", pytest.param("ipvs", marks=pytest.mark.vm(only=True)), "none"]

# Answers NOERROR from whatever source the system chooses: without a look at where the question
# came to, that is the server's own address.
CARELESS = """\
import socket
server = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
server.bind(("::", 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(4096)
    server.sendto(query[:2] + bytes([query[2] | 0x80, query[3]]) + query[4:], client)
"""


SETTINGS = [f"{interface}/{name}" for name in ("rp_filter", "accept_local")
            for interface in ("all", "eth0")]


def settings(lab) -> list:
    """Of the director's interfaces."""
    paths = [f"/proc/sys/net/ipv4/conf/{setting}" for setting in SETTINGS]
    return lab.director_host.run("cat", *paths).stdout.split()


@pytest.fixture(autouse=True)
def strict_reverse_path(lab):
    """The director's host checks sources strictly, and still does at the end."""
    everywhere, on_eth0 = settings(lab)[:2]
    lab.director_host.sysctl(ipv4__conf__all__rp_filter=1, ipv4__conf__eth0__rp_filter=1)
    yield
    now = settings(lab)
    lab.director_host.sysctl(ipv4__conf__all__rp_filter=everywhere,
                             ipv4__conf__eth0__rp_filter=on_eth0)
    assert now == ["1", "1", "0", "0"]


def configuration(plane: str, checks: str = None, **options) -> str:
    if checks is None:
        checks = check_block() + check_block(extra=THROUGH)
    return director_block(plane) + cluster(SERVERS, check=checks, **options)


def all_up(director):
    director.wait_states(s1="up", s2="up", s3="up")


@contextlib.contextmanager
def without(lab, name: str, service_ip: str):
    """The server has lost that service IP meanwhile."""
    host, six = lab.servers[name].host, ":" in service_ip
    host.ip(f"addr del {service_ip}/{128 if six else 32} dev lo")
    try:
        yield
    finally:
        host.ip(f"addr add {service_ip}/{'128 dev lo nodad' if six else '32 dev lo'}")


def checks_of(director, service_ip: str, protocol: str) -> dict:
    """Results of s1's last rounds, by what was asked."""
    server = director.server("s1", address=service_ip, protocol=protocol)
    return {check["what"]: check["last"] for check in server["checks"]}


@pytest.mark.parametrize("service_ip", FAMILIES)
@pytest.mark.parametrize("kind", PLANES)
def test_a_server_that_loses_the_service_ip_is_out_and_comes_back(lab, kind, service_ip):
    own, through = (f"{plan.WWW_NAME}. A {{}}",
                    f"{plan.WWW_NAME}. A {{}} through {service_ip}")
    with Director(lab, configuration(kind)) as director:
        all_up(director)
        before = time.monotonic()
        with without(lab, "s1", service_ip):
            seen = director.wait_states(s1="down", timeout=3, where={"address": service_ip})
            assert (seen - before) * 1000 <= stretched(OUT_MS)
            for protocol in ("udp", "tcp"):
                # Any round may be late; this is what they say in the main.
                def is_told_apart(protocol=protocol):
                    last = checks_of(director, service_ip, protocol)
                    return (last[own.format(protocol)]["result"] == "ok"
                            and last[through.format(protocol)]["result"] != "ok")
                wait_for(f"{protocol}: only the way through the service IP to fail",
                         is_told_apart, 5)
            # The other family's service IP is there.
            other = ({plan.SERVICE_V4, plan.SERVICE_V6} - {service_ip}).pop()
            assert director.states(address=other)["s1"] == "up"
            assert f"through {service_ip}" in director.command("why", "s1").stdout
            if kind != "none":
                result = lab.load(service_ip, rate=2000, count=1000).start().finish()
                assert result.failed == 0 and "s1" not in result.counts(), result
        director.wait_states(s1="up", timeout=3, where={"address": service_ip})
        all_up(director)


@pytest.mark.parametrize("kind", PLANES)
def test_a_check_to_the_own_address_alone_does_not_see_it(lab, kind):
    with Director(lab, configuration(kind, checks=check_block())) as director:
        all_up(director)
        with without(lab, "s1", plan.SERVICE_V4):
            time.sleep(1)  # ten rounds: that nothing happens is what is shown
            assert director.states()["s1"] == "up"


@pytest.mark.parametrize("service_ip", FAMILIES)
def test_a_reply_from_the_own_address_is_named(lab, service_ip):
    checks = check_block(transport="udp", extra=THROUGH)
    with Director(lab, configuration("xdp", checks, protocol="udp")) as director:
        all_up(director)
        sick = lab.servers["s1"]
        sick.kill()
        careless = sick.host.start("careless", ["/usr/bin/python3", "-c", CARELESS],
                                   lab.path("careless.log"))
        own = plan.server_v6(1) if ":" in service_ip else plan.server_v4(1)
        expected = (f"answered from [{own}]:53 instead of [{service_ip}]:53" if ":" in own
                    else f"answered from {own}:53 instead of {service_ip}:53")

        def named():
            server = director.server("s1", address=service_ip, protocol="udp")
            return server["state"] == "down" and expected in server["reason"]
        try:
            wait_for(f"`{expected}`", named, 5)
            assert expected in director.command("why", "s1").stdout
        finally:
            careless.kill()
            careless.wait()


def test_udp_and_tcp_are_judged_apart(lab):
    with Director(lab, configuration("xdp", check_block(extra=THROUGH))) as director:
        all_up(director)
        lab.servers["s1"].tell("tcp off")
        director.wait_states(s1="down", where={"protocol": "tcp"})
        assert director.states(protocol="udp")["s1"] == "up"
        lab.servers["s1"].tell("tcp on")
        director.wait_states(s1="up")
        lab.servers["s1"].tell("udp off")
        director.wait_states(s1="down", where={"protocol": "udp"})
        reason = director.server("s1", protocol="udp", address=plan.SERVICE_V4)["reason"]
        assert "connection refused" in reason
        assert director.states(protocol="tcp")["s1"] == "up"


def test_a_truncated_reply_is_asked_again_over_tcp(lab):
    checks = check_block(transport="udp", timeout="1s", extra=THROUGH)
    with Director(lab, configuration("xdp", checks, protocol="udp")) as director:
        all_up(director)
        lab.servers["s1"].tell("mode truncate")
        asked = lab.servers["s1"].stats()["clients"][plan.DIRECTOR_V4].get("tcp", 0)
        wait_for("questions over TCP", lambda: lab.servers["s1"].stats()["clients"]
                 [plan.DIRECTOR_V4].get("tcp", 0) >= asked + 5, 10)
        assert director.states()["s1"] == "up"


def test_a_reload_brings_and_takes_the_checks(lab):
    plain, through = check_block(), check_block(extra=THROUGH)

    def sockets():
        """Packet sockets of IPv4 and IPv6 that receive from all interfaces."""
        table = lab.director_host.run("cat", "/proc/net/packet").stdout.splitlines()[1:]
        return sum(line.split()[3] in ("0800", "86dd") for line in table)
    with Director(lab, configuration("xdp", plain)) as director:
        all_up(director)
        assert sockets() == 0
        director.reload(configuration("xdp", through))
        all_up(director)
        wait_for("packet sockets", lambda: sockets() == 2, 5)
        with without(lab, "s2", plan.SERVICE_V4):
            director.wait_states(s2="down", where={"address": plan.SERVICE_V4})
            director.reload(configuration("xdp", plain))
            all_up(director)
        assert sockets() == 0


def test_checks_pass_beside_a_load_of_clients(lab):
    with Director(lab, configuration("xdp")) as director:
        all_up(director)
        result = lab.load(plan.SERVICE_V4, rate=10000 if LONG else 5000, seconds=5).start().finish()
        assert result.failed == 0, result
        for name in SERVERS:
            assert director.server(name)["transitions"] <= 1


def test_nat_is_refused_with_the_reason(lab):
    config = configuration("ipvs", check_block(extra=THROUGH)).replace("lb_kind DR", "lb_kind NAT")
    with open(lab.path("nat.conf"), "w", encoding="utf-8") as file:
        file.write(config)
    director = Director(lab, config)
    checked = director.tool("check-config", "-f", lab.path("nat.conf"))
    assert checked.returncode != 0
    assert "via service_ip" in checked.stdout + checked.stderr
    assert "NAT" in checked.stdout + checked.stderr
