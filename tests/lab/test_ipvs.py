# SPDX-License-Identifier: Apache-2.0
"""What the ipvs plane has of its own, on a kernel that has IPVS: scripts/lab-vm runs this file.
What it has in common with the xdp plane is in the tests that take `plane`."""

import socket
import time

import pytest
from lab import figures, ipvs_dump, plan, wait_for
from lab.director import CALM_CHECK, Director, cluster, director_block
from lab.ipvs import ipvsadm, table
from lab.system import in_netns, stretched

pytestmark = pytest.mark.vm(only=True)

IPVS = director_block("ipvs")
FOREIGN = "-A -t 192.0.2.200:80 -s dh"


def config(servers: dict, check: str = CALM_CHECK, **options) -> str:
    return cluster(servers, check=check, director=IPVS, **options)


# ---- forwarding -----------------------------------------------------------------

def test_counters_go_on_when_a_server_was_removed_and_is_back(lab):
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        counting = director.counting(address=plan.SERVICE_V4, protocol="udp")
        answered = {"s1": 0, "s2": 0}

        def load(names):
            counts = lab.load(rate=5000, count=400).start().finish().counts()
            for name, count in counts.items():
                answered[name] += count
            counting.expect({name: answered[name] for name in names})
        load(("s1", "s2"))
        for servers in ({"s1": 1}, {"s1": 1, "s2": 1}):
            director.reload(config(servers))
            director.wait_states(**{name: "up" for name in servers})
            load(servers)


def test_a_drain_sets_weight_0_and_shows_the_connections_left(lab):
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        # Two connections by turns: one at each server.
        streams = [in_netns(lab.client.netns, socket.create_connection, (plan.SERVICE_V4, 53),
                            stretched(5)) for _ in range(2)]
        try:
            director.command("drain", "s2")
            server = director.server("s2", address=plan.SERVICE_V4, protocol="tcp")
            assert server["effective_weight"] == 0 and server["state"] == "drained"
            assert server["connections"]["active"] == 1, server["connections"]
            drained = [l for l in table(lab.director_host) if "203.0.113.12" in l]
            assert drained and all(" -w 0" in line for line in drained), drained
            assert "1 connections left" in director.command("status").stdout
            result = lab.load(rate=5000, count=300).start().finish()
            assert result.failed == 0 and result.counts() == {"s1": 300}, result
        finally:
            for stream in streams:
                stream.close()


# ---- the table and others -------------------------------------------------------

def test_services_of_others_are_left_alone_and_listed(lab):
    ipvsadm(lab.director_host, FOREIGN)
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        assert director.status()["dataplane"]["foreign_services"] == ["192.0.2.200:80/tcp"]
        director.reload(config({"s1": 1}))
        director.stop()
    assert table(lab.director_host) == [FOREIGN]
    ipvsadm(lab.director_host, "-D -t 192.0.2.200:80")


HARMS = {
    "service removed": "-D -u 192.0.2.53:53",
    "server removed": "-d -u 192.0.2.53:53 -r 203.0.113.11:53",
    "weight": "-e -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 9",
    "scheduler": "-E -u 192.0.2.53:53 -s lblc",
    "server added": "-a -u 192.0.2.53:53 -r 203.0.113.99:53 -g",
    "method": "-e -u 192.0.2.53:53 -r 203.0.113.11:53 -m",
    "flush": "-C",
}


def test_what_somebody_else_changes_is_repaired_within_a_second_and_logged(lab):
    host, took = lab.director_host, {}
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        before = ipvs_dump.dump(host)
        for what, harm in HARMS.items():
            logged = len(director.read_log())
            ipvsadm(host, harm)
            begun = time.monotonic()
            wait_for(f"the repair of: {what}", lambda: ipvs_dump.dump(host) == before, 10)
            took[what] = time.monotonic() - begun
            wait_for(f"the log of: {what}", lambda: all(
                text in director.read_log()[logged:]
                for text in ("somebody else changed the IPVS table: ", "repaired: ")), 5)
    assert max(took.values()) < stretched(1), took
    figures.note(f"repair of what somebody else changed in IPVS: at most "
                 f"{max(took.values()):.2f} s")


def test_a_service_that_the_configuration_names_is_taken_over(lab):
    ipvsadm(lab.director_host, "-A -u 192.0.2.53:53 -s rr",
            "-a -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 7",
            "-a -u 192.0.2.53:53 -r 203.0.113.77:53 -g")
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        lines = [l for l in table(lab.director_host) if "-u 192.0.2.53:53" in l]
        assert lines == ["-A -u 192.0.2.53:53 -s wrr -o",
                         "-a -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 1",
                         "-a -u 192.0.2.53:53 -r 203.0.113.12:53 -g -w 1"]
        assert "taken over" in director.read_log()


def test_sysctls_that_harm_are_named_with_their_mend(lab):
    lab.director_host.sysctl(ipv4__vs__expire_nodest_conn=0)
    with Director(lab, config({"s1": 1})) as director:
        warnings = director.status()["dataplane"]["warnings"]
        assert any("sysctl -w net.ipv4.vs.expire_nodest_conn=1" in w for w in warnings), warnings
