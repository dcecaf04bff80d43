# SPDX-License-Identifier: Apache-2.0
"""The lab itself, without a director: what the other tests rely on."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from lab import Lab, plan, wait_for
from lab.registry import Registry, start_time
from lab.system import run

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def bare_lab(can_lab):
    lab = Lab(servers=["answer"]).up()
    yield lab
    assert lab.down() == []


def test_load_generator_loses_nothing_at_5000_a_second_without_a_director(bare_lab):
    for target in (plan.server_v4(1), plan.server_v6(1)):
        result = bare_lab.load(target, rate=5000, count=5000).start().finish()
        assert (result.sent, result.failed) == (5000, 0), result
        assert result.counts() == {"s1": 5000}


def test_load_generator_counts_what_the_server_counts(bare_lab):
    server = bare_lab.servers["s1"]
    before = server.stats()["clients"].get(plan.CLIENT_V4, {"udp": 0, "tcp": 0})
    bare_lab.load(plan.server_v4(1), rate=2000, count=500).start().finish()
    bare_lab.load(plan.server_v4(1), rate=200, count=50, tcp=True).start().finish()
    after = server.stats()["clients"][plan.CLIENT_V4]
    assert (after["udp"] - before["udp"], after["tcp"] - before["tcp"]) == (500, 50)


def test_load_generator_accounts_for_what_it_sent_until_it_was_stopped(bare_lab):
    server = bare_lab.servers["s1"]
    before = server.stats()["udp"]
    with bare_lab.load(plan.server_v4(1), rate=1000, seconds=60) as load:
        wait_for("some queries", lambda: server.stats()["udp"] > before + 100)
        result = load.stop().finish()
    assert result.failed == 0 and 100 < result.sent < 60000, result
    assert server.stats()["udp"] - before == result.sent == sum(result.counts().values())


@pytest.mark.parametrize("mode, kind", [
    ("rcode 2", "rcode 2"), ("wrong-question", "wrong question"), ("truncate", "truncated")])
def test_load_generator_notices_wrong_replies(bare_lab, mode, kind):
    server = bare_lab.servers["s1"]
    server.tell(f"mode {mode}")
    try:
        result = bare_lab.load(plan.server_v4(1), rate=1000, count=100).start().finish()
    finally:
        server.tell("mode answer")
    assert result.wrong == 100 and result.wrong_kinds == {kind: 100}


@pytest.mark.parametrize("command, undo", [
    ("mode silent", "mode answer"), ("mode wrong-id", "mode answer"), ("udp off", "udp on")])
def test_load_generator_notices_losses(bare_lab, command, undo):
    server = bare_lab.servers["s1"]
    server.tell(command)
    try:
        result = bare_lab.load(plan.server_v4(1), rate=1000, count=100,
                               timeout_ms=200).start().finish()
    finally:
        server.tell(undo)
    assert result.lost == 100


def test_a_run_that_was_killed_is_cleaned_up_by_lab_down(can_lab):
    script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
              "from lab import Lab\n"
              "lab = Lab(servers=['answer']).up()\n"
              "print(lab.registry.lab['id'], flush=True)\n"
              "time.sleep(60)\n")
    child = subprocess.Popen(["/usr/bin/python3", "-B", "-c", script, HERE],
                             stdout=subprocess.PIPE, text=True)
    lab_id = child.stdout.readline().strip()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    registry = next(r for r in Registry.all() if r.lab["id"] == lab_id)
    pids = [e["pid"] for e in registry.entries("process")]
    wait_for("the lab to be without its owner", registry.abandoned, 5)

    done = run(sys.executable, "-B", os.path.join(HERE, "lab_cli.py"), "--lab", lab_id, "down")
    assert f"lab {lab_id} is down" in done.stdout
    assert_gone(lab_id, registry.directory, pids)


def by_hand(*arguments) -> str:
    """What it says. It may have to build the lab's tools first, and to await many daemons."""
    return run(sys.executable, "-B", os.path.join(HERE, "lab_cli.py"), *arguments,
               timeout=300).stdout


def test_the_redundancy_lab_by_hand(can_route):
    said = by_hand("up", "--redundancy", "frr")
    lab_id = re.search(r"lab (\S+) is up", said).group(1)
    registry = next(r for r in Registry.all() if r.lab["id"] == lab_id)
    pids = [e["pid"] for e in registry.entries("process")]
    try:
        inside = ("run", "--lab", lab_id)
        for address in (plan.SERVICE_V4, plan.SERVICE_V6):
            assert plan.WWW_V4 in by_hand(*inside, "client", "dig", "+short", f"@{address}",
                                          plan.WWW_NAME)
        for host, med in (("director", 0), ("director2", 1)):
            status = json.loads(by_hand(*inside, host, "sh", "-c",
                                        "dnsdirector status --json --run-dir $LAB_RUN_DIR"))
            meds = {e["prefix"]: e["med"] for e in status["announcements"]}
            assert meds[f"{plan.SERVICE_V4}/32"] == med
            assert "Established" in by_hand(*inside, host, "sh", "-c",
                                            "birdc -s $LAB_BIRD show protocols")
        for host, ask in (("router", "vtysh --vty_socket $LAB_VTY -c 'show bgp ipv4 unicast'"),
                          ("core2", "birdc -s $LAB_BIRD show route")):
            assert f"{plan.SERVICE_V4}/32" in by_hand(*inside, host, "sh", "-c", ask)
    finally:
        assert f"lab {lab_id} is down" in by_hand("--lab", lab_id, "down")
    assert_gone(lab_id, registry.directory, pids)


def assert_gone(lab_id: str, directory: str, pids: list):
    assert not os.path.exists(directory)
    assert not [n for n in os.listdir("/run/netns") if n.startswith(lab_id + "-")]
    with open("/proc/mounts", encoding="utf-8") as mounts:
        assert directory not in mounts.read()
    for pid in pids:
        assert start_time(pid) is None
