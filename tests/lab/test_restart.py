# SPDX-License-Identifier: Apache-2.0
"""The daemon dies, is started again, is stopped: what happens to the queries."""

import json
import os
import signal
import time

import pytest
from lab import ipvs, plan, wait_for
from lab.director import CALM_CHECK, Director, cluster, director_block

RATE = 5000
WHERE = {"address": plan.SERVICE_V4, "protocol": "udp"}


def start(lab, servers=None, plane="xdp", **options) -> Director:
    servers = servers or {"s1": 1, "s2": 1, "s3": 1}
    return Director(lab, director_block(plane) + cluster(servers, check=CALM_CHECK, **options))


def all_up(director, names=("s1", "s2", "s3")):
    director.wait_states(**{name: "up" for name in names})


def in_the_kernel(director, plane) -> list:
    """What forwards without the daemon: lists that are all full or all empty."""
    if plane == "ipvs":
        return [ipvs.table(director.host)]
    return [director.xdp_links(), director.pins()]


@pytest.mark.vm
def test_kill_9_and_a_new_start_lose_no_query_and_count_on(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        counting = director.counting(**WHERE)
        before = in_the_kernel(director, plane)
        with lab.load(rate=RATE, seconds=30) as load, \
                lab.load(plan.SERVICE_V6, rate=500, seconds=30) as load6, \
                lab.load(rate=50, seconds=30, tcp=True) as load_tcp:
            load.sleep(0.3)
            director.kill9()
            load.sleep(1.0)  # the kernel forwards by itself meanwhile
            assert in_the_kernel(director, plane) == before
            director.start()
            for _ in range(10):
                # No server blips: what the kernel forwards to stays in.
                assert set(director.states().values()) == {"up"}
                time.sleep(0.1)
            assert in_the_kernel(director, plane) == before
            for result in [one.stop().finish() for one in (load, load6, load_tcp)]:
                assert result.failed == 0 and result.sent > 0, result
        counting.expect(load.finish().counts())
        assert all(len(load.finish().spans(name)) == 1 for name in ("s1", "s2", "s3"))
        assert "repaired" not in director.read_log()


def test_kill_9_five_times_in_a_row_loses_no_query(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        counting = director.counting(**WHERE)
        with lab.load(rate=RATE, seconds=30) as load:
            for _ in range(5):
                director.kill9()
                director.start()
            assert load.running()
            result = load.stop().finish()
        assert result.failed == 0 and result.sent > 0, result
        counting.expect(result.counts())


def test_usr2_executes_the_binary_anew_and_loses_no_query(lab):
    with start(lab) as director:
        all_up(director)
        begun = director.status()["started_at"]
        with lab.load(rate=RATE, seconds=4) as load:
            load.sleep_until(0.5)
            director.process.send_signal(signal.SIGUSR2)
            wait_for("the new program to answer",
                     lambda: director.status()["started_at"] != begun, 10, every=0.1)
            assert director.running()  # the same process
            while load.running():
                assert set(director.states().values()) == {"up"}
                time.sleep(0.1)
            assert load.finish().failed == 0, load.finish()
        assert director.packets(**WHERE) == load.finish().counts()


def test_a_server_that_dies_while_the_director_is_away_is_out_after_the_start(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        director.kill9()
        lab.servers["s3"].kill()
        director.start()
        director.wait_states(s1="up", s2="up", s3="down", timeout=5)
        result = lab.load(rate=2000, count=1000).start().finish()
        assert result.failed == 0 and "s3" not in result.counts(), result


def test_a_file_that_changed_while_the_director_was_away_counts_at_the_start(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        director.kill9()
        director.write(director_block(plane) + cluster({"s2": 1, "s4": 1}, check=CALM_CHECK))
        with lab.load(rate=RATE, seconds=30) as load:
            director.start()
            director.wait_states(s2="up", s4="up")
            load.sleep(0.3)
            result = load.stop().finish()
        assert result.failed == 0, result
        assert set(director.states()) == {"s2", "s4"}
        assert "s4" in result.counts()


def test_drains_survive_restart_and_undrain_ends_them(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        with lab.load(rate=RATE, seconds=30) as load:
            load.sleep(0.3)
            director.command("drain", "s1")
            director.wait_states(s1="drained", s2="up", s3="up")
            director.kill9()
            director.start()
            assert director.states() == {"s1": "drained", "s2": "up", "s3": "up"}
            server = director.server("s1", **WHERE)
            assert server["drained"] and server["effective_weight"] == 0
            load.sleep(0.3)
            director.command("undrain", "s1")
            director.wait_states(s1="up")
            load.sleep(0.3)
            result = load.stop().finish()
        assert result.failed == 0, result
        assert len(result.spans("s1")) == 2, result.spans("s1")


def test_a_clean_stop_leaves_nothing_behind(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        assert director.held_service_ips() and all(in_the_kernel(director, plane))
        assert director.stop() == 0
        assert director.held_service_ips() == [] and not any(in_the_kernel(director, plane))
        assert "api.sock" not in os.listdir(director.run_dir)


def test_a_stop_after_kill_9_and_a_start_leaves_nothing_behind(lab, plane):
    with start(lab, plane=plane) as director:
        all_up(director)
        director.kill9()
        assert all(in_the_kernel(director, plane))
        director.start()
        assert director.stop() == 0
        assert director.held_service_ips() == [] and not any(in_the_kernel(director, plane))


def test_an_address_that_was_there_before_stays(lab):
    host = lab.director_host
    host.ip(f"addr add {plan.SERVICE_V4}/32 dev lo")
    try:
        with start(lab) as director:
            all_up(director)
            director.stop()
            assert director.held_service_ips() == [plan.SERVICE_V4]
    finally:
        host.run("ip", "addr", "del", f"{plan.SERVICE_V4}/32", "dev", "lo", check=False)


def test_two_directors_side_by_side_are_refused(lab):
    with start(lab) as director:
        all_up(director)
        again = director.tool("run", "-f", director.config, "--run-dir", director.run_dir,
                              "--pin-dir", director.pin_dir, timeout=10)
        assert again.returncode == 1 and again.stderr
        assert director.states() == {"s1": "up", "s2": "up", "s3": "up"}


def test_a_pin_directory_outside_a_bpffs_is_refused_with_the_mount_command(lab):
    director = start(lab)
    director.pin_dir = os.path.join(director.directory, "no-bpffs")
    try:
        director.start(wait=False)
        assert director.process.wait(10) == 1
        assert "mount -t bpf" in director.tail()
    finally:
        director.cleanup()


def test_changes_made_behind_its_back_are_repaired(lab):
    with start(lab) as director:
        all_up(director)
        director.host.ip(f"addr del {plan.SERVICE_V4}/32 dev lo")
        wait_for("the service IP to be back",
                 lambda: plan.SERVICE_V4 in director.held_service_ips(), 10)


def test_a_new_mac_address_of_a_server_is_followed(lab):
    with start(lab) as director:
        all_up(director)
        host = lab.host("s1")
        old = json.loads(host.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        # As a machine does that takes over an address: it tells its neighbours.
        host.sysctl(ipv4__conf__eth0__arp_notify=1, ipv6__conf__eth0__ndisc_notify=1)
        try:
            host.ip("link set eth0 address 02:00:00:00:53:01")

            def no_loss():
                result = lab.load(rate=1000, count=300, timeout_ms=300).start().finish()
                return result.failed == 0 and "s1" in result.counts()
            wait_for("queries to reach the new address", no_loss, 15)
        finally:
            host.ip(f"link set eth0 address {old}")
