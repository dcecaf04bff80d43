# SPDX-License-Identifier: Apache-2.0
"""The proxy plane: queries go through the director itself, and outlive their server."""

import os
import signal
import subprocess
import time

import pytest
from lab import plan, wait_for
from lab.director import CALM_CHECK, Director, check_block, cluster, director_block

RATE = 5000
SERVERS = {"s1": 1, "s2": 1, "s3": 1, "s4": 1}
WHERE = {"address": plan.SERVICE_V4, "protocol": "udp"}
# A check that takes its time, so that what happens before its verdict is the proxy's doing.
SLOW_CHECK = check_block(every="1s", timeout="1s", tries=2, fall=3)


def configuration(servers=None, check=CALM_CHECK, **options) -> str:
    # All clients of the lab are one address.
    return director_block("proxy") + "proxy { tcp_per_address 0 }\n" + cluster(servers or SERVERS, check=check, **options)


@pytest.fixture
def director(lab):
    with Director(lab, configuration(check=SLOW_CHECK)) as director:
        director.wait_states(**{name: "up" for name in SERVERS})
        yield director


def events(director) -> dict:
    return director.status()["dataplane"]["events"]


@pytest.mark.parametrize("service_ip", [pytest.param(plan.SERVICE_V4, id="IPv4"),
                                        pytest.param(plan.SERVICE_V6, id="IPv6")])
def test_shares_follow_weights_and_every_answer_is_right(lab, service_ip):
    # What a server that was not let run for 50 ms does not answer, another one would.
    text = configuration({"s1": 2, "s2": 1, "s3": 1}).replace("proxy { ",
                                                              "proxy { retry_after 500ms; ", 1)
    with Director(lab, text) as director:
        director.wait_states(s1="up", s2="up", s3="up")
        result = lab.load(service_ip, rate=RATE, count=20000).start().finish()
        assert result.failed == 0, result
        for name, share in {"s1": 0.5, "s2": 0.25, "s3": 0.25}.items():
            assert abs(result.shares()[name] - share) <= 0.01, result


def test_tcp_is_answered_over_connections_that_are_used_again(lab, director):
    result = lab.load(rate=300, count=1500, tcp=True).start().finish()
    assert result.failed == 0 and len(result.counts()) == 4, result
    happened = events(director)
    assert happened["tcp-accepted"] >= 1500 and happened["tcp-connected"] <= 64, happened


def break_server(lab, how: str):
    server = lab.servers["s2"]
    if how == "killed":
        server.kill()
    elif how == "stopped":
        server.signal(signal.SIGSTOP)
    else:
        server.tell("mode rcode 2")


@pytest.mark.parametrize("how", ["killed", "stopped", "servfail"])
def test_a_server_that_breaks_costs_no_query(lab, director, how):
    with lab.load(rate=RATE, seconds=5, timeout_ms=2000) as load:
        load.sleep(1.5)
        break_server(lab, how)
        result = load.finish()
    assert result.failed == 0, result
    happened = events(director)
    assert happened["rescued"] > 0 and happened["accused"] >= 1, happened
    # Within a second, and its check takes three.
    assert result.spans("s2")[-1][1] < 3000, result


def test_a_server_that_breaks_costs_no_tcp_query(lab, director):
    with lab.load(rate=300, seconds=4, tcp=True, timeout_ms=3000) as load:
        load.sleep(1)
        break_server(lab, "killed")
        result = load.finish()
    assert result.failed == 0, result


def test_the_check_brings_back_whom_queries_put_out(lab, director):
    with lab.load(rate=1000, seconds=3) as load:
        load.sleep(0.5)
        break_server(lab, "servfail")
        load.finish()
    assert director.server("s2", **WHERE)["state"] == "down"
    lab.servers["s2"].tell("mode answer")
    director.wait_states(timeout=20, s2="up")
    result = lab.load(rate=1000, count=2000).start().finish()
    assert result.failed == 0 and result.counts().get("s2", 0) > 300, result


def test_a_drain_moves_new_queries_and_loses_none(lab, director):
    with lab.load(rate=RATE, seconds=3) as load, \
            lab.load(rate=100, seconds=3, tcp=True) as load_tcp:
        load.sleep(0.5)
        director.command("drain", "s3")
        results = [load.finish(), load_tcp.finish()]
    assert all(result.failed == 0 for result in results), results
    assert director.server("s3", **WHERE)["state"] == "drained"
    result = lab.load(rate=1000, count=1000).start().finish()
    assert "s3" not in result.counts(), result


def test_a_reload_loses_no_query(lab, director):
    with lab.load(rate=RATE, seconds=4) as load, \
            lab.load(rate=100, seconds=4, tcp=True) as load_tcp:
        for servers in ({"s1": 1, "s2": 3}, {"s3": 1, "s4": 1}, SERVERS):
            load.sleep(0.7)
            director.reload(configuration(servers, check=SLOW_CHECK))
        results = [load.finish(), load_tcp.finish()]
    assert all(result.failed == 0 for result in results), results


def test_usr2_ten_times_loses_no_query(lab, director):
    pid = director.process.pid
    # Nothing is lost; on a busy machine a start of the program may take its time.
    with lab.load(rate=RATE, seconds=12, timeout_ms=9000) as load, \
            lab.load(rate=100, seconds=12, tcp=True, timeout_ms=9000) as load_tcp:
        for turn in range(10):
            load.sleep(0.5)
            director.process.send_signal(signal.SIGUSR2)
            wait_for("the program to be executed anew",
                     lambda turn=turn: director.read_log().count("re-executing") > turn, 10)
            wait_for("the new program to answer", lambda: answers(director), 15)
            assert set(director.states(**WHERE).values()) == {"up"}
        results = [load.finish(), load_tcp.finish()]
    assert all(result.failed == 0 for result in results), results
    assert director.process.pid == pid and director.running()
    wait_for("the bridges to end", lambda: bridges(director) == [], 20)


def answers(director) -> bool:
    try:
        return bool(director.status())
    except Exception:
        return False


def bridges(director) -> list:
    """Processes that serve in the place of a program that is being replaced."""
    pids = director.host.run("ip", "netns", "pids", director.host.netns).stdout.split()
    found = []
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as file:
                found += [pid] if file.read().strip() == "dns-bridge" else []
        except OSError:
            pass
    return found


class OrdinaryDirector(Director):
    """Run by a user who may do nothing."""

    def start(self, wait: bool = True, timeout: float = 15.0):
        # The lab's own folders, and none above them.
        for folder in (self.lab.directory, self.directory):
            os.chmod(folder, 0o755)
        subprocess.run(["chown", "-R", "nobody", self.run_dir], check=True)
        self.process = self.host.start(
            self.name, ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
                        "--bounding-set", "-all", "--no-new-privs",
                        self.program, "run", "-f", self.config, "--run-dir", self.run_dir],
            self.log)
        if wait:
            wait_for("the director to answer", self._answers, timeout)
        self.begun = time.monotonic()
        return self


def test_an_ordinary_user_without_any_privilege_serves_an_address_of_the_machine(lab):
    host = lab.director_host
    host.ip(f"address add {plan.SERVICE_V4}/32 dev lo")
    try:
        config = director_block("proxy") + cluster(SERVERS, check=CALM_CHECK,
                                                   service_ips=[plan.SERVICE_V4])
        config = config.replace("    lb_algo", "    port 5300\n    lb_algo")
        for number in range(1, 5):
            config = config.replace(f"real_server s{number} {{", f"real_server s{number} {{ port 53;")
        with OrdinaryDirector(lab, config) as director:
            director.wait_states(**{name: "up" for name in SERVERS})
            for tcp, rate in ((False, RATE), (True, 200)):
                result = lab.load(rate=rate, count=2 * rate, port=5300, tcp=tcp).start().finish()
                assert result.failed == 0 and len(result.counts()) == 4, result
            assert "error" not in director.read_log()
    finally:
        # The lab's own cleaning may have been faster.
        host.run("ip", "address", "del", f"{plan.SERVICE_V4}/32", "dev", "lo", check=False)
