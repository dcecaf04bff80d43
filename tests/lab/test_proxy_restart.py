# SPDX-License-Identifier: Apache-2.0
"""The proxy plane under a real systemd: its sockets outlive it, and queries wait in them."""

import re
import signal
import time

import pytest
from lab import figures, plan, wait_for
from lab.director import CALM_CHECK, cluster, director_block
from lab.systemd import Unit
from test_proxy import bridges

RATE = 2000
SERVERS = {"s1": 1, "s2": 1, "s3": 1}
SOCKETS = "dnsdirector.socket"
# Of a stub resolver: glibc and dig wait for five seconds.
PATIENCE = {"timeout_ms": 5000}

pytestmark = pytest.mark.usefixtures("can_run_systemd")


def configuration(workers: int = 2, **options) -> str:
    # All clients of the lab are one address.
    return (director_block("proxy") + f"proxy {{ tcp_per_address 0; workers {workers} }}\n"
            + cluster(SERVERS, check=CALM_CHECK, **options))


def unit(lab, config: str = None, **changes) -> Unit:
    # An operator who restarts it so often is told by systemd that it is enough.
    return Unit(lab, config or configuration(), StartLimitBurst="100000", **changes)


class Loads:
    """UDP, TCP with a connection for each query, and TCP by connections that are kept."""

    def __init__(self, lab, seconds: float = 120):
        self.loads = {
            "UDP": lab.load(rate=RATE, seconds=seconds, **PATIENCE),
            "UDP, IPv6": lab.load(plan.SERVICE_V6, rate=200, seconds=seconds, **PATIENCE),
            "TCP": lab.load(rate=50, seconds=seconds, tcp=True, again=True, **PATIENCE),
            "TCP, kept": lab.load(rate=200, seconds=seconds, kept=8, again=True, **PATIENCE)}
        self.events = []    # (when, what) of time.monotonic()

    def __enter__(self):
        for load in self.loads.values():
            load.start()
        self.sleep(0.5)
        return self

    def __exit__(self, kind, value, trace):
        for load in self.loads.values():
            load.__exit__(KeyboardInterrupt if load.running() else kind, value, trace)

    @staticmethod
    def sleep(seconds: float):
        time.sleep(seconds)

    def during(self, what, do, *arguments):
        """Does it and remembers when."""
        self.events.append((time.monotonic(), what))
        do(*arguments)
        self.events.append((time.monotonic(), f"{what} is done"))

    def near(self, result) -> str:
        """What was done around the losses of a result."""
        if not result.lost_at:
            return ""
        return "; ".join(f"{what} at {result.at(when):.0f} ms" for when, what in self.events
                         if result.lost_at[0] - 3000 < result.at(when) < result.lost_at[-1] + 3000)

    def finish(self) -> dict:
        self.sleep(0.5)
        assert all(load.running() for load in self.loads.values())
        for load in self.loads.values():
            load.stop()
        return {name: load.finish() for name, load in self.loads.items()}


def nothing_lost(loads, results: dict):
    assert all(each.failed == 0 and each.sent > 0 for each in results.values()), \
        "\n".join(f"{name}: {each}; {loads.near(each)}" for name, each in results.items())


def note(what: str, results: dict):
    figures.note(what + ": " + "; ".join(
        f"{name} {each.sent} sent, {each.failed} lost, longest {each.rtt_us['max'] / 1000:.0f} ms"
        + (f", {each.asked_again} asked again over {each.reconnects or 'new'} connections"
           if name.startswith("TCP") else "") for name, each in results.items()))


def up(director):
    director.wait_states(**{name: "up" for name in SERVERS})


def kept(director) -> int:
    return int(director.manager.show("NFileDescriptorStore")["NFileDescriptorStore"])


def restart(director) -> int:
    before = director.pid()
    director.systemctl("restart")
    return director.wait_new(before)


def upgrade(director):
    turns = director.read_log().count("re-executing")
    director.kill(signal.SIGUSR2)
    wait_for("the program to be executed anew",
             lambda: director.read_log().count("re-executing") > turns, 20)

    def answers():
        try:
            return bool(director.status())
        except Exception:
            return False
    wait_for("the new program to answer", answers, 20)


@pytest.mark.parametrize("turns", [pytest.param(6, id="12"),
                                   pytest.param(100, id="200", marks=pytest.mark.long)])
def test_restarts_and_upgrades_in_turn_lose_no_query(lab, turns):
    with unit(lab) as director:
        up(director)
        assert kept(director) == 2 * 2 * 2  # addresses, protocols, workers
        with Loads(lab, seconds=60 + 6 * turns) as loads:
            for _ in range(turns):
                loads.during("restart", restart, director)
                loads.sleep(0.3)
                loads.during("upgrade", upgrade, director)
                loads.sleep(0.3)
                assert set(director.states().values()) == {"up"}
            results = loads.finish()
        note(f"{turns} restarts and {turns} upgrades in turn", results)
        nothing_lost(loads, results)
        assert kept(director) == 2 * 2 * 2
        assert director.read_log().count("ending for a restart") == turns
        wait_for("the bridges to end", lambda: bridges(director) == [], 20)


def test_after_kill_9_the_next_process_answers_what_came_meanwhile(lab):
    with unit(lab) as director:
        up(director)
        with Loads(lab) as loads:
            for _ in range(3):
                director.wait_new(director.kill(signal.SIGKILL))
                loads.sleep(0.5)
            results = loads.finish()
        note("kill -9 three times", results)
        # What a worker had taken died with it: that is a batch and what servers were asked.
        for name, each in results.items():
            assert each.wrong == each.refused == 0 and each.lost <= 3 * 2 * 64, f"{name}: {each}"


def test_another_number_of_workers_reads_all_that_waits(lab):
    with unit(lab) as director:
        up(director)
        with Loads(lab) as loads:
            for workers in (4, 1, 3):
                director.write(configuration(workers))
                loads.during("restart", restart, director)
                loads.sleep(0.5)
            director.write(configuration(1))
            loads.during("upgrade", upgrade, director)
            loads.sleep(0.5)
            results = loads.finish()
        nothing_lost(loads, results)
        assert kept(director) == 2 * 2 * 4  # none is closed that has clients


def test_a_service_that_went_is_not_kept(lab):
    with unit(lab) as director:
        up(director)
        with lab.load(rate=RATE, seconds=120, **PATIENCE) as load:
            director.reload(configuration(service_ips=[plan.SERVICE_V4]))
            wait_for("systemd to forget", lambda: kept(director) == 4, 5)
            director.reload(configuration())
            wait_for("systemd to have them", lambda: kept(director) == 8, 5)
            director.write(configuration(service_ips=[plan.SERVICE_V4]))
            restart(director)
            wait_for("systemd to forget", lambda: kept(director) == 4, 5)
            load.sleep(0.3)
            result = load.stop().finish()
        assert result.failed == 0, result
        director.systemctl("stop")
        wait_for("the end", lambda: director.manager.show("ActiveState")
                 == {"ActiveState": "inactive"}, 15)
        assert kept(director) == 0


def test_a_store_that_is_too_small_is_said(lab):
    with unit(lab, FileDescriptorStoreMax="5") as director:
        up(director)
        assert kept(director) == 4
        said = [each for each in director.status()["dataplane"]["warnings"]
                if "FileDescriptorStoreMax" in each]
        assert said and re.search("keeps 4 of 8 .*FileDescriptorStoreMax=9", said[0]), said
        assert said[0] in director.read_log()


def socket_unit(addresses) -> str:
    lines = "".join(f"ListenDatagram={address}\nListenStream={address}\n" for address in addresses)
    return ("[Unit]\nDescription=Addresses of the lab's director\n[Socket]\n" + lines
            + "FreeBind=yes\nReusePort=yes\nReceiveBuffer=4M\n")


def test_a_socket_unit_gives_port_53_to_a_service_without_any_right(lab):
    host = lab.director_host
    for address in (plan.SERVICE_V4, plan.SERVICE_V6):
        host.ip(f"address add {address} dev lo")
    try:
        director = unit(lab, CapabilityBoundingSet="")
        director.unit = director.unit.replace("[Service]", f"[Service]\nSockets={SOCKETS}")
        director.beside[SOCKETS] = socket_unit([f"{plan.SERVICE_V4}:53", f"[{plan.SERVICE_V6}]:53"])
        with director:
            up(director)
            assert not re.search("not permitted|denied|CAP_|no service listens",
                                 director.read_log()), director.read_log()
            assert kept(director) == 0  # systemd has them anyhow
            with Loads(lab) as loads:
                for _ in range(3):
                    loads.during("restart", restart, director)
                    loads.sleep(0.3)
                    loads.during("upgrade", upgrade, director)
                    loads.sleep(0.3)
                results = loads.finish()
            nothing_lost(loads, results)
    finally:
        for address in (plan.SERVICE_V4, plan.SERVICE_V6):
            host.run("ip", "address", "del", address, "dev", "lo", check=False)
