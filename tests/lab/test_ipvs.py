# SPDX-License-Identifier: Apache-2.0
"""The ipvs plane on a kernel that has IPVS: scripts/lab-vm runs this file."""

import difflib
import glob
import os
import socket
import subprocess
import time

import pytest
from lab import plan, wait_for
from lab.director import CALM_CHECK, Director, binary, check_block, cluster, director_block
from lab.ipvs import Keepalived, ipvsadm, table
from lab.network import Network
from lab.registry import Registry
from lab.system import LabError, in_netns, stretched

pytestmark = pytest.mark.vm(only=True)

IPVS = director_block("ipvs")
FOREIGN = "-A -t 192.0.2.200:80 -s dh"
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ipvs")


def config(servers: dict, check: str = CALM_CHECK, **options) -> str:
    return cluster(servers, check=check, director=IPVS, **options)


@pytest.fixture
def ipvs(lab):
    """The shared lab; its IPVS table is empty before and after."""
    return lab


def log_of(director) -> str:
    with open(director.log, encoding="utf-8") as log:
        return log.read()


def settled(director, service_ip: str = plan.SERVICE_V4) -> dict:
    """What is counted at the start. The kernel adds up what its CPUs counted every two
    seconds; a server that it took out of its trash for a new service brings along what had not
    been added up when it went, which is an earlier test's."""
    time.sleep(2.5)
    return director.packets(address=service_ip, protocol="udp")


def wait_counted(director, answered: dict, base: dict, service_ip: str = plan.SERVICE_V4):
    """Until the counters are what was answered since settled()."""
    wanted = {name: count + base.get(name, 0) for name, count in answered.items()}
    seen = {}

    def counted():
        seen.clear()
        seen.update(director.packets(address=service_ip, protocol="udp"))
        return all(seen[name] == count for name, count in wanted.items() if name in seen)
    try:
        wait_for(f"counters of {wanted}", counted, 10)
    except LabError as error:
        raise LabError(f"{error}; they are {seen}") from None


# ---- forwarding -----------------------------------------------------------------

@pytest.mark.parametrize("weights", [{"s1": 1, "s2": 1}, {"s1": 3, "s2": 1}], ids=["1:1", "3:1"])
def test_udp_is_shared_by_the_weights_and_counted(ipvs, weights):
    with Director(ipvs, config(weights)) as director:
        director.wait_states(**{name: "up" for name in weights})
        for service_ip in (plan.SERVICE_V4, plan.SERVICE_V6):
            base = settled(director, service_ip)
            result = ipvs.load(service_ip, rate=1000, count=4000).start().finish()
            assert result.failed == 0, result
            for name, weight in weights.items():
                wanted = weight / sum(weights.values())
                assert abs(result.shares()[name] - wanted) <= 0.01, result
            wait_counted(director, result.counts(), base, service_ip)


def test_one_client_that_keeps_its_port_is_spread_too(ipvs):
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        result = ipvs.load(rate=500, count=1000, sockets=1).start().finish()
        assert result.failed == 0 and result.counts() == {"s1": 500, "s2": 500}, result


def test_tcp_is_answered_by_every_server(ipvs):
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        result = ipvs.load(rate=100, count=400, tcp=True).start().finish()
        assert result.failed == 0, result
        assert result.counts() == {"s1": 200, "s2": 200}, result


def test_a_dead_servers_flows_are_at_the_others_within_the_fall_time(ipvs):
    """Also those of a client that never changes its port."""
    check = check_block(every="200ms", timeout="200ms", fall=2)
    with Director(ipvs, config({"s1": 1, "s2": 1}, check=check)) as director:
        director.wait_states(s1="up", s2="up")
        with ipvs.load(rate=400, seconds=12, sockets=1, timeout_ms=300) as load:
            load.sleep_until(2)
            ipvs.servers["s2"].kill()
            killed = time.monotonic()
            director.wait_states(s2="down")
            removed = time.monotonic()
            assert not any("203.0.113.12" in line for line in table(ipvs.director_host))
            load.sleep_until(8)
            ipvs.servers["s2"].start()
            director.wait_states(s1="up", s2="up")
            result = load.finish()
        # Two rounds, the second one's wait, and the look that saw it.
        assert removed - killed < stretched(2), removed - killed
        assert all(at <= result.at(removed) for at in result.lost_at), result
        assert result.wrong == 0 and result.spans("s2")[-1][1] > result.at(removed), result


def test_twenty_reloads_under_load_lose_no_query(ipvs):
    steps = [{"s1": 1, "s2": 1}, {"s1": 3, "s2": 1}, {"s1": 3, "s2": 1, "s3": 2},
             {"s2": 1, "s3": 2}, {"s2": 0, "s3": 2, "s4": 1}]
    with Director(ipvs, config(steps[0])) as director:
        director.wait_states(s1="up", s2="up")
        with ipvs.load(rate=1000, seconds=40) as load:
            for number in range(1, 21):
                load.sleep_until(0.35 * number)
                director.reload(config(steps[number % len(steps)]))
            assert load.running(), "the load ended before the last reload"
            result = load.stop().finish()
        assert result.failed == 0 and result.sent > 0, result


def test_kill_9_loses_no_query_and_the_next_start_changes_nothing(ipvs):
    with Director(ipvs, config({"s1": 1, "s2": 3})) as director:
        director.wait_states(s1="up", s2="up")
        before = table(ipvs.director_host)
        base = settled(director)
        with ipvs.load(rate=1000, seconds=30) as load:
            load.sleep_until(1)
            director.kill9()
            assert table(ipvs.director_host) == before
            load.sleep_until(2)
            director.start()
            director.wait_states(s1="up", s2="up")
            assert table(ipvs.director_host) == before
            result = load.stop().finish()
        assert result.failed == 0, result
        wait_counted(director, result.counts(), base)
        assert "repaired" not in log_of(director)


def test_counters_go_on_when_a_server_was_removed_and_is_back(ipvs):
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        base = settled(director)
        answered = {"s1": 0, "s2": 0}

        def load():
            counts = ipvs.load(rate=500, count=400).start().finish().counts()
            for name, count in counts.items():
                answered[name] += count
            wait_counted(director, answered, base)
        load()
        for servers in ({"s1": 1}, {"s1": 1, "s2": 1}):
            director.reload(config(servers))
            director.wait_states(**{name: "up" for name in servers})
            load()


def test_a_drain_sets_weight_0_and_shows_the_connections_left(ipvs):
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        # Two connections by turns: one at each server.
        streams = [in_netns(ipvs.client.netns, socket.create_connection, (plan.SERVICE_V4, 53),
                            stretched(5)) for _ in range(2)]
        try:
            director.command("drain", "s2")
            server = director.server("s2", address=plan.SERVICE_V4, protocol="tcp")
            assert server["effective_weight"] == 0 and server["state"] == "drained"
            assert server["connections"]["active"] == 1, server["connections"]
            drained = [l for l in table(ipvs.director_host) if "203.0.113.12" in l]
            assert drained and all(" -w 0" in line for line in drained), drained
            assert "1 connections left" in director.command("status").stdout
            result = ipvs.load(rate=500, count=300).start().finish()
            assert result.failed == 0 and result.counts() == {"s1": 300}, result
        finally:
            for stream in streams:
                stream.close()


# ---- the table and others -------------------------------------------------------

def test_services_of_others_are_left_alone_and_listed(ipvs):
    ipvsadm(ipvs.director_host, FOREIGN)
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        assert director.status()["dataplane"]["foreign_services"] == ["192.0.2.200:80/tcp"]
        director.reload(config({"s1": 1}))
        director.stop()
    assert table(ipvs.director_host) == [FOREIGN]
    ipvsadm(ipvs.director_host, "-D -t 192.0.2.200:80")


@pytest.mark.parametrize("harm", [
    "-D -u 192.0.2.53:53", "-d -u 192.0.2.53:53 -r 203.0.113.11:53",
    "-e -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 9", "-E -u 192.0.2.53:53 -s lblc",
    "-a -u 192.0.2.53:53 -r 203.0.113.99:53 -g", "-e -u 192.0.2.53:53 -r 203.0.113.11:53 -m", "-C"],
    ids=["service removed", "server removed", "weight", "scheduler", "server added", "method",
         "flush"])
def test_what_somebody_else_changes_is_repaired_within_a_second_and_logged(ipvs, harm):
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        before = table(ipvs.director_host)
        ipvsadm(ipvs.director_host, harm)
        begun = time.monotonic()
        wait_for("the repair", lambda: table(ipvs.director_host) == before, 10)
        assert time.monotonic() - begun < stretched(1)
        wait_for("the log", lambda: "repaired: " in log_of(director), 5)
        assert "somebody else changed the IPVS table: " in log_of(director)


def test_a_service_that_the_configuration_names_is_taken_over(ipvs):
    ipvsadm(ipvs.director_host, "-A -u 192.0.2.53:53 -s rr",
            "-a -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 7",
            "-a -u 192.0.2.53:53 -r 203.0.113.77:53 -g")
    with Director(ipvs, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        lines = [l for l in table(ipvs.director_host) if "-u 192.0.2.53:53" in l]
        assert lines == ["-A -u 192.0.2.53:53 -s wrr -o",
                         "-a -u 192.0.2.53:53 -r 203.0.113.11:53 -g -w 1",
                         "-a -u 192.0.2.53:53 -r 203.0.113.12:53 -g -w 1"]
        assert "taken over" in log_of(director)


def test_sysctls_that_harm_are_named_with_their_mend(ipvs):
    ipvs.director_host.sysctl(ipv4__vs__expire_nodest_conn=0)
    with Director(ipvs, config({"s1": 1})) as director:
        warnings = director.status()["dataplane"]["warnings"]
        assert any("sysctl -w net.ipv4.vs.expire_nodest_conn=1" in w for w in warnings), warnings


# ---- beside keepalived ----------------------------------------------------------

@pytest.fixture(scope="module")
def bare_host(can_direct):
    """A namespace with nothing but lo."""
    registry = Registry.create(keep=False)
    host = Network(registry, registry.lab["id"]).real_server(1, [])
    host.ip("addr add 203.0.113.1/24 dev lo", "addr add 2001:db8:1::1/64 dev lo")
    yield host, registry
    assert registry.teardown() == []


def our_table(host, path: str, directory: str) -> list:
    file = os.path.join(directory, "dnsdirector.conf")
    with open(file, "w", encoding="utf-8") as out:
        out.write(IPVS + f"include {path}\n")
    run_dir = os.path.join(directory, "run")
    with open(os.path.join(directory, "log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(host.argv(binary(), "run", "-f", file, "--run-dir", run_dir),
                                   stdout=log, stderr=log)
    try:
        wait_for("the director", lambda: host.run(
            binary(), "status", "--run-dir", run_dir, check=False).returncode == 0, 15)
        found = table(host)
    finally:
        process.terminate()
        process.wait(stretched(10))
    assert table(host) == []
    return found


@pytest.mark.parametrize("path", sorted(glob.glob(os.path.join(CORPUS, "*.conf"))),
                         ids=lambda path: os.path.basename(path)[:-5])
def test_the_table_is_keepaliveds(bare_host, path, tmp_path):
    host, _ = bare_host
    ours = our_table(host, path, str(tmp_path))
    assert any(line.startswith("-a") for line in ours), ours
    keepalived = Keepalived(host, path, str(tmp_path))
    theirs = []

    def same():
        theirs[:] = table(host)
        return theirs == ours
    try:
        wait_for("keepalived's table", same, 8)
    except Exception as error:
        diff = "\n".join(difflib.unified_diff(theirs, ours, "keepalived", "dnsdirector", n=0))
        raise AssertionError(f"{error}\n{diff}") from None
    finally:
        keepalived.stop()
        wait_for("keepalived's end", lambda: table(host) == [], 10)


def test_the_corpus_is_as_large_as_promised():
    assert len(glob.glob(os.path.join(CORPUS, "*.conf"))) >= 30
