# SPDX-License-Identifier: Apache-2.0
"""Versions with different layouts of the kernel's tables follow each other
(tests/upgrade): no query is lost, and every one is counted once."""

import json
import os
import shutil
import signal
import time

import pytest
from lab import plan, wait_for
from lab.director import CALM_CHECK, Director, binary, cluster, director_block
from lab.system import stretched

RATE = 4000
WHERE = {"address": plan.SERVICE_V4, "protocol": "udp"}
SERVERS = ("s1", "s2", "s3")


def tool(name: str) -> str:
    """A program that lies beside the director's."""
    path = os.path.join(os.path.dirname(binary()), name)
    if not os.access(path, os.X_OK):
        pytest.skip(f"no {path}: build the target upgrade_tools")
    return path


@pytest.fixture
def versions():
    """Today's version, and one that is built of it with another layout."""
    return {"today": binary(), "other": tool("dnsdirector_other")}


class Machine(Director):
    """A director whose program is a file that an upgrade replaces."""

    def __init__(self, lab, version: str):
        super().__init__(lab, director_block() + cluster({name: 1 for name in SERVERS},
                                                         check=CALM_CHECK))
        self.program = os.path.join(self.directory, "dnsdirector")
        self.install(version)

    def install(self, version: str):
        """As a package manager does: a new file takes the old one's name."""
        shutil.copy2(version, self.program + ".new")
        os.replace(self.program + ".new", self.program)

    def layouts(self) -> set:
        return {os.path.basename(os.path.dirname(pin)) for pin in self.pins()}

    def kill_and_start(self):
        self.kill9()
        self.start()

    def re_execute(self):
        begun = self.status()["started_at"]
        pid = self.process.pid
        self.process.send_signal(signal.SIGUSR2)
        wait_for("the new program to answer",
                 lambda: self.status()["started_at"] != begun, 15, every=0.1)
        assert self.process.pid == pid and self.running()


def all_up(director):
    director.wait_states(**{name: "up" for name in SERVERS})


def counted_exactly(director, load):
    """Every query that arrived at a server was counted for it, once."""
    assert load.finish().failed == 0, load.finish()
    assert director.packets(**WHERE) == load.finish().counts()


@pytest.mark.parametrize("take_over", [Machine.kill_and_start, Machine.re_execute],
                         ids=["kill_9_and_start", "usr2"])
def test_an_upgrade_and_the_way_back_lose_no_query(lab, versions, take_over):
    with Machine(lab, versions["today"]) as director:
        all_up(director)
        layouts = [director.layouts()]
        with lab.load(rate=RATE, seconds=60) as load, \
                lab.load(plan.SERVICE_V6, rate=500, seconds=60) as load6, \
                lab.load(rate=50, seconds=60, tcp=True) as load_tcp:
            for version in ("other", "today", "other", "today"):
                director.install(versions[version])
                take_over(director)
                layouts.append(director.layouts())
                # What was forwarded to counts as up: nobody has to pass first.
                assert set(director.states().values()) == {"up"}
            assert load.running(), "the load was too short to see it all"
            load.stop()
            counted_exactly(director, load)
            for other in (load6, load_tcp):
                other.stop()
                assert other.finish().failed == 0, other.finish()
        assert all(len(load.finish().spans(name)) == 1 for name in SERVERS)
        # Each time one set of tables, and not that of before.
        assert all(len(each) == 1 for each in layouts), layouts
        assert all(a != b for a, b in zip(layouts, layouts[1:])), layouts
        assert director.stop() == 0
        assert (director.xdp_links(), director.pins()) == ([], [])


def test_a_start_takes_over_from_layout_1(lab, versions):
    """What a director of layout 1 left, killed long ago, goes on forwarding."""
    director = Machine(lab, versions["today"])
    macs = {name: json.loads(lab.host(name).run("ip", "-j", "link", "show", "eth0").stdout)
            [0]["address"] for name in SERVERS}
    forwarding = ""
    for protocol, scheduler in (("udp", "wrr"), ("tcp", "mh")):
        for service, address in ((f"{plan.SERVICE_V4}:53", plan.server_v4),
                                 (f"[{plan.SERVICE_V6}]:53", plan.server_v6)):
            forwarding += f"service {protocol} {service} {scheduler}\n"
            for name in SERVERS:
                server = address(int(name[1:]))
                server = f"[{server}]:53" if ":" in server else f"{server}:53"
                forwarding += f"server {server} {macs[name]} 1\n"
    try:
        director.host.run(tool("layout1_director"), director.pin_dir, "eth0", input=forwarding)
        assert director.layouts() == {"v1"}
        with lab.load(rate=RATE, seconds=60) as load:
            wait_for("queries to be under way", lambda: time.monotonic() > load.begun + 0.5, 5)
            director.start()
            assert set(director.states().values()) == {"up"}
            assert "v1" not in director.layouts()
            load.stop()
            counted_exactly(director, load)
        assert director.stop() == 0
        assert (director.xdp_links(), director.pins()) == ([], [])
    finally:
        director.cleanup()


def test_takeovers_that_are_killed_halfway_lose_no_query(lab, versions):
    with Machine(lab, versions["today"]) as director:
        all_up(director)
        with lab.load(rate=RATE, seconds=90) as load:
            director.kill9()
            # Whenever it is killed (the unit tests do so at each step), what is left
            # forwards, and the next one goes on from there.
            for attempt, milliseconds in enumerate(range(20, 300, 35)):
                director.install(versions["other" if attempt % 3 else "today"])
                director.start(wait=False)
                time.sleep(milliseconds / 1000)
                director.kill9()
            for version in ("other", "today"):
                director.install(versions[version])
                director.start()
                assert set(director.states().values()) == {"up"}
                director.kill9()
            director.start()
            assert load.running(), "the load was too short to see it all"
            load.stop()
            counted_exactly(director, load)


def test_drains_and_weights_hold_over_an_upgrade(lab, versions):
    with Machine(lab, versions["today"]) as director:
        all_up(director)
        director.command("drain", "s1")
        director.wait_states(s1="drained")
        director.install(versions["other"])
        with lab.load(rate=1000, seconds=60) as load:
            director.kill_and_start()
            assert director.states() == {"s1": "drained", "s2": "up", "s3": "up"}
            load.stop()
            result = load.finish()
        assert result.failed == 0 and "s1" not in result.counts(), result


@pytest.mark.parametrize("take_over", [Machine.kill_and_start, Machine.re_execute],
                         ids=["kill_9_and_start", "usr2"])
def test_no_connection_breaks_in_an_upgrade_or_on_the_way_back(lab, versions, take_over):
    """Those that stand at drained servers, where no table leads any more."""
    with Machine(lab, versions["today"]) as director:
        all_up(director)
        with lab.flows(connections=200, every_ms=200) as flows:
            service = {"address": plan.SERVICE_V4, "protocol": "tcp"}
            wait_for("the connections to be open and busy",
                     lambda: sum(director.packets(**service).values()) > 4000, 60, every=0.2)
            # The second drain leaves flows of both with memory alone: they are of
            # another table than the one before the first change names, or the last.
            for name in ("s1", "s2"):
                director.command("drain", name)
            remembered = lambda: director.status()["dataplane"]["flows"]["remembered"]  # noqa: E731
            wait_for("flows of drained servers to be remembered", lambda: remembered() > 60, 30)
            for version in ("other", "today", "other", "today"):
                director.install(versions[version])
                take_over(director)
                assert remembered() > 60, version
                time.sleep(stretched(1))
            result = flows.stop()
        assert result["unopened"] == 0 and result["opened"] == 200, result
        assert result["broken"] == [], result
        assert result["servers"]["s1"] > 20 and result["servers"]["s2"] > 20, result
        assert "are lost" not in director.read_log(), director.tail()
