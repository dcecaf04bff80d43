# SPDX-License-Identifier: Apache-2.0
"""The director's own BIRD as its packaged unit, beside the director's, both under a real systemd;
and what a core router hears when either is reloaded, killed, restarted or stopped."""

import os
import re
import signal

import pytest
from lab import wait_for
from lab.routing import CORES, DIRECTOR, Bird, RoutingLab
from lab.systemd import BIRD, Unit
from test_bgp import CORE_BIRD, PASSWORD
from test_bgp_sessions import AS, CONFIG, MED, V6, Place

BROKEN = "bgp { nonsense }\n"


@pytest.fixture
def scene(can_route, can_run_systemd):
    """Both units run, and core1 was told of all service IPs. core2 is off."""
    with RoutingLab() as lab:
        core = Bird(lab.cores["core1"], lab.directory)
        own4, own6 = CORES["core1"]
        core.start(CORE_BIRD.format(core_as=AS, local_as=AS, own4=own4, own6=own6,
                                    director4=DIRECTOR[0], director6=DIRECTOR[1],
                                    password=PASSWORD))
        with Unit(Place(lab), CONFIG.replace("{daemon}", "bird")) as director:
            scene = Scene(director, core)
            director.install_bird(scene.log)
            director.manager.systemctl("start", BIRD)
            scene.wait_told(MED)
            yield scene


class Scene:
    def __init__(self, director, core):
        self.director, self.core, self.manager = director, core, director.manager
        self.log = os.path.join(director.directory, "bird.log")

    def show(self, *properties) -> dict:
        return self.manager.show(*properties, unit=BIRD)

    def pid(self) -> int:
        return int(self.show("MainPID")["MainPID"])

    def told(self) -> dict:
        """{service IP: MED} as core1 was told."""
        neighbors = {address: DIRECTOR[":" in address] for address in MED}
        heard = {a: self.core.route(f"{a}/{128 if ':' in a else 32}", neighbor)
                 for a, neighbor in neighbors.items()}
        return {address: route["med"] for address, route in heard.items() if route}

    def wait_told(self, wanted: dict):
        wait_for(f"core1 to be told {wanted}", lambda: self.told() == wanted, 60, 0.05)

    def sessions(self) -> set:
        """Of each of core1's two sessions, what the kernel calls its connection: a session that
        was lost gets another. BIRD's own "since" is no measure: it is reckoned anew for each
        reply, from two clocks that were not read at once."""
        def both():
            connections = self.core.host.run("ss", "-Htne", "state", "established",
                                             "( sport = :179 or dport = :179 )").stdout
            sockets = set(re.findall(r"\bsk:(\w+)", connections))
            return len(sockets) == 2 and self.core.established() == 2 and sockets
        return wait_for("two sessions of core1", both, 60, 0.05)

    def heard(self) -> list:
        """Of each of core1's sessions, how many updates and withdrawals it had."""
        text = self.core.ask("show", "protocols", "all", '"director*"')
        lines = re.findall(r"^ *(Import (?:updates|withdraws):.*)", text, re.M)
        assert len(lines) == 4, text
        return lines


def test_a_reload_takes_the_file_or_leaves_all_as_it_was(scene):
    text = open(scene.director.config, encoding="utf-8").read()
    pid, sessions, heard = scene.pid(), scene.sessions(), scene.heard()
    scene.director.write(BROKEN)
    assert scene.manager.systemctl("reload", BIRD, check=False).returncode != 0
    with open(scene.log, encoding="utf-8") as log:
        assert "nonsense" in log.read()
    assert scene.show("ActiveState") == {"ActiveState": "active"}
    assert scene.sessions() == sessions and scene.heard() == heard
    scene.director.write(text.replace("med 7", "med 70"))
    scene.manager.systemctl("reload", BIRD)
    scene.wait_told({**MED, V6: 70})
    assert scene.pid() == pid
    assert scene.sessions() == sessions


def test_a_director_that_dies_or_is_restarted_is_not_heard_of(scene):
    sessions, heard = scene.sessions(), scene.heard()
    scene.director.wait_new(scene.director.kill(signal.SIGKILL))
    before = scene.director.pid()
    scene.director.systemctl("restart")
    assert scene.director.wait_new(before) != before
    wait_for("the new director to have read BIRD", lambda: all(
        entry["state"] == "announced" for entry in scene.director.status()["announcements"])
        and scene.director.status()["bgp"]["answering"])
    assert scene.told() == MED
    assert scene.sessions() == sessions and scene.heard() == heard


def test_a_stop_of_the_director_is_a_withdrawal_and_bird_goes_on(scene):
    pid, sessions = scene.pid(), scene.sessions()
    scene.director.systemctl("stop")
    scene.wait_told({})
    assert scene.pid() == pid and scene.sessions() == sessions
    scene.director.systemctl("start")
    scene.wait_told(MED)


def test_bird_is_started_again_when_killed_and_withdraws_when_stopped(scene):
    old, sessions = scene.pid(), scene.sessions()
    director = scene.director.pid()
    os.kill(old, signal.SIGKILL)
    scene.wait_told({})
    wait_for("another BIRD", lambda: scene.pid() not in (0, old), 20)
    scene.wait_told(MED)
    assert not scene.sessions() & sessions
    scene.manager.systemctl("stop", BIRD)
    assert scene.show("ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}
    scene.wait_told({})
    wait_for("the director to say so",
             lambda: not scene.director.status()["bgp"]["answering"])
    assert scene.director.pid() == director
    scene.manager.systemctl("start", BIRD)
    scene.wait_told(MED)
