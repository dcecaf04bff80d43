# SPDX-License-Identifier: Apache-2.0
"""What is left of a real server when its agent is killed, restarted, re-executed, and stopped."""

import os
import re
import signal
from contextlib import contextmanager

import pytest
from lab import LabError, wait_for
from lab.agent import (TABLE, V4, V6, WITHDRAW, Agent, Named, Watched, check, has_rule,
                       held, processes, without_counts)
from lab.real_server import SECOND_V4, SERVER_V4, SERVER_V6
from lab.system import run
from lab.systemd import SHORTER, Manager, derived

UNIT = "dnsdirector-realserver.service"


@pytest.mark.parametrize("failed", [False, True], ids=["held", "withdrawn"])
def test_kill_9_and_a_new_start_change_nothing(machine, failed):
    server = Named(machine.server, machine.directory, f"kill{failed}", [SECOND_V4, SERVER_V6], 5301)
    two = Named(machine.server, machine.directory, f"kill{failed}2", [SERVER_V4, SERVER_V6], 5302)
    agent = Agent(machine, processes(WITHDRAW), f"agent-{failed}")
    try:
        if not failed:
            server.start()
            two.start()
        agent.start()
        if failed:
            agent.wait_withdrawn(V4, V6)
        else:
            agent.wait_states(one="up", two="up")
        wait_for("a quiet agent", lambda: agent.kept()["looks"] > 3)
        before = without_counts(machine.picture())
        with Watched(machine) as watched:
            for _ in range(2):
                agent.kill9()
                assert without_counts(machine.picture()) == before
                agent.start()
                wait_for("verdicts", lambda: "unknown" not in agent.states().values())
                wait_for("some looks", lambda: agent.kept()["looks"] > 3)
        assert watched.lines == []
        assert without_counts(machine.picture()) == before
        if failed:
            agent.wait_withdrawn(V4, V6)
    finally:
        server.kill()
        two.kill()
        agent.cleanup()


def test_usr2_changes_nothing(machine):
    with Agent(machine, processes()) as agent:
        before = without_counts(machine.picture())
        started = agent.status()["started_at"]
        with Watched(machine) as watched:
            agent.process.send_signal(signal.SIGUSR2)

            def is_new() -> bool:
                try:
                    return agent.status()["started_at"] != started
                except LabError:
                    return False
            wait_for("the new program", is_new, 15)
            wait_for("some looks", lambda: agent.kept()["looks"] > 2)
        assert watched.lines == [] and without_counts(machine.picture()) == before


def test_a_clean_stop_takes_all_back(machine):
    with stops_clean(machine, processes(check())):
        assert held(machine, V4)


def test_a_clean_stop_takes_back_what_holds_withdrawn_service_ips(machine):
    with stops_clean(machine, processes(WITHDRAW)):  # nobody answers
        wait_for("the withdrawal", lambda: has_rule(machine, f"{V4} drop")
                 and not held(machine, V4) and not held(machine, V6))


@contextmanager
def stops_clean(machine, config: str):
    before = machine.picture()
    os.makedirs(machine.run_dir, exist_ok=True)  # or else who makes it removes it, too
    with Agent(machine, config) as agent:
        yield
        assert agent.stop() == 0
        assert machine.picture() == before
        assert "stopped" in agent.read_log() and f"removed {V6}/128 from lo" in agent.read_log()
        assert os.listdir(machine.run_dir) == []


class AgentUnit(Agent):
    """By a private systemd."""

    def __init__(self, lab, config):
        super().__init__(lab, config, "unit")
        self.manager = Manager(self.host, self.directory)
        self.unit = derived(UNIT, self.log, {**SHORTER, "ExecStart": " ".join(self.line()),
                                             "Before": "shutdown.target"}, {})

    def start(self, wait: bool = True, timeout: float = 15.0):
        self.manager.start()
        self.manager.install(UNIT, self.unit)
        try:
            self.manager.systemctl("start", UNIT)
        except LabError as error:
            raise LabError(f"{error}\n{self.tail()}") from None
        return self

    def show(self, *properties):
        return self.manager.show(*properties, unit=UNIT)

    def running(self) -> bool:
        return self.manager.running() and self.show("MainPID") != {"MainPID": "0"}

    def cleanup(self):
        try:
            if self.manager.running():
                self.manager.systemctl("stop", UNIT, check=False)
        finally:
            self.manager.end()
            run(*self.lab.argv("down"), check=False)


def test_under_systemd_a_restart_changes_nothing_and_a_stop_takes_all_back(
        machine, can_run_systemd):
    before = machine.picture()
    server = Named(machine.server, machine.directory, "unit", [SECOND_V4, SERVER_V6], 5301)
    server.start()
    try:
        with AgentUnit(machine, processes(WITHDRAW)) as agent:
            agent.wait_states(one="up", two="down")
            during = without_counts(machine.picture())
            with Watched(machine) as watched:
                pid = agent.show("MainPID")
                agent.manager.systemctl("restart", UNIT)
                assert agent.show("MainPID") != pid
                os.kill(int(agent.show("MainPID")["MainPID"]), signal.SIGKILL)
                wait_for("another process", lambda: agent.show("NRestarts") == {"NRestarts": "1"}
                         and agent.show("SubState") == {"SubState": "running"}, 15)
                wait_for("some looks", lambda: agent.kept()["looks"] > 3)
            assert watched.lines == [] and without_counts(machine.picture()) == during
            # Nothing that it wants to do is forbidden it.
            machine.server.sysctl(ipv4__conf__all__arp_ignore=0)
            machine.server.run("nft", "delete", "table", "inet", TABLE)
            machine.server.run("ip", "addr", "del", f"{V4}/32", "dev", "lo")
            wait_for("the repairs", lambda: agent.kept()["repairs"] == 3)
            assert without_counts(machine.picture()) == during
            assert not re.search("not permitted|denied|watchdog", agent.read_log(), re.I)
            agent.manager.systemctl("stop", UNIT)
            assert machine.picture() == before
    finally:
        server.kill()
