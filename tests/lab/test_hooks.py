# SPDX-License-Identifier: Apache-2.0
"""notify and quorum commands, and the sorry server: with real scripts that write
down what happened. Checks look for a file, so that a test decides who is up."""

import os
import signal
import time

import pytest
from lab import plan, wait_for
from lab.director import Director, director_block

NAMES = [f"{plan.server_v4(n)}:53" for n in (1, 2)]


class Scene:
    """Files that say who is up, scripts, and what they wrote."""

    def __init__(self, lab):
        self.lab = lab
        self.directory = lab.path(f"hooks{lab.directors}")
        os.makedirs(self.directory)
        # Scripts may run as another user, who must not be able to replace them.
        os.makedirs(self.path("out"))
        os.chmod(self.path("out"), 0o777)
        self.log = self.path("out/log")
        for number in (1, 2):
            self.up(number)

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def script(self, name: str, body: str) -> str:
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + body)
        os.chmod(self.path(name), 0o755)
        return self.path(name)

    def note(self, name: str = "note", then: str = "") -> str:
        """A script that writes its arguments down."""
        return self.script(name, f'echo "$@" >> {self.log}\n{then}')

    def up(self, number: int):
        with open(self.path(f"up{number}"), "w", encoding="ascii"):
            pass

    def down(self, number: int):
        os.unlink(self.path(f"up{number}"))

    def lines(self) -> list:
        try:
            with open(self.log, encoding="utf-8") as log:
                return log.read().split("\n")[:-1]
        except FileNotFoundError:
            return []

    def config(self, service: str = "", servers: tuple = ("", ""), alpha: bool = False) -> str:
        blocks = "\n".join(f"""    real_server {plan.server_v4(n)} 53 {{
        MISC_CHECK {{
            misc_path "/usr/bin/test -e {self.path(f'up{n}')}"
            misc_timeout 5
        }}
        {text}
    }}""" for n, text in enumerate(servers, 1))
        return director_block() + f"""virtual_server {plan.SERVICE_V4} 53 {{
    delay_loop 200ms
    warmup 0
    lb_algo wrr
    lb_kind DR
    protocol UDP
    {"alpha" if alpha else ""}
    {service}
{blocks}
}}
"""


@pytest.fixture
def scene(lab):
    return Scene(lab)


def wait_lines(scene, expected: list, timeout: float = 15):
    wait_for(f"the scripts to write {expected}", lambda: scene.lines() == expected, timeout)


def all_up(director):
    director.wait_states(timeout=15, **{name: "up" for name in NAMES})


def children(pid: int) -> list:
    """(pid, state, command) of a process's children."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                name, _, rest = stat.read().rpartition(") ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = rest.split()
        if int(fields[1]) == pid:
            found.append((int(entry), fields[0], name.partition("(")[2]))
    return found


def zombies(pid: int) -> list:
    return [child for child in children(pid) if child[1] == "Z"]


def test_commands_tell_of_servers_and_the_quorum_in_order(lab, scene):
    note = scene.note()
    text = scene.config(
        f'quorum 2\n quorum_up "{note} quorum up"\n quorum_down "{note} quorum down"',
        tuple(f'notify_up "{note} s{n} up"\n notify_down "{note} s{n} down"' for n in (1, 2)))
    with Director(lab, text) as director:
        all_up(director)
        # In from the start: nothing is told of the servers, as in keepalived.
        wait_lines(scene, ["quorum up"])
        scene.down(1)
        wait_for("both to be told", lambda: len(scene.lines()) == 3, 15)
        assert sorted(scene.lines()[1:]) == ["quorum down", "s1 down"]
        scene.up(1)
        wait_for("both to be told", lambda: len(scene.lines()) == 5, 15)
        assert sorted(scene.lines()[3:]) == ["quorum up", "s1 up"]
        hooks = director.status()["hooks"]
        assert (hooks["started"], hooks["failed"], hooks["dropped"]) == (5, 0, 0)


def test_a_flapping_server_is_told_of_in_turn(lab, scene):
    # Each run takes longer than a flap: they queue, and never overlap.
    slow = scene.script("slow", f"""mkdir {scene.path('out/inside')} || echo overlap >> {scene.log}
echo "$@" >> {scene.log}
sleep 0.5
rmdir {scene.path('out/inside')}
""")
    text = scene.config("", (f'notify_up "{slow} up"\n notify_down "{slow} down"', ""))
    with Director(lab, text) as director:
        all_up(director)
        for _ in range(4):
            scene.down(1)
            director.wait_states(**{NAMES[0]: "down"})
            scene.up(1)
            director.wait_states(**{NAMES[0]: "up"})
        wait_lines(scene, ["down", "up"] * 4)


def test_a_hanging_script_delays_neither_others_nor_the_loop(lab, scene):
    note = scene.note()
    hang = scene.note("hang", "exec sleep 299.5")
    text = scene.config("", (f'notify_down "{hang} s1 down"', f'notify_down "{note} s2 down"'))
    with Director(lab, text) as director:
        all_up(director)
        scene.down(1)
        wait_lines(scene, ["s1 down"])
        scene.down(2)
        wait_lines(scene, ["s1 down", "s2 down"], 5)
        # It has written before it ends, and ended before the director has seen that.
        wait_for("the other script to be seen to end",
                 lambda: director.status()["hooks"]["running"] == 1, 5)
        for number in (1, 2):
            scene.up(number)
        began = time.monotonic()
        all_up(director)
        assert time.monotonic() - began < 5
        wait_for("no zombie", lambda: zombies(director.process.pid) == [], 5)
        pid = director.process.pid
        assert [c[2] for c in children(pid) if c[2] == "sleep"] == ["sleep"]
        director.stop()
    assert not sleepers("299.5")


def sleepers(marker: str) -> list:
    found = []
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                if entry.isdigit() and line.read().startswith(b"sleep\0" + marker.encode()):
                    found.append(entry)
        except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
            pass
    return found


def test_commands_run_as_their_user_with_a_clean_environment(lab, scene):
    who = scene.script("who", f"""{{ id -un; env | cut -d= -f1 | sort | tr '\\n' ' '; echo
ls -l /proc/self/fd/0 | sed 's/.* //'; pwd; }} >> {scene.log}
""")
    text = scene.config("", (f'notify_down "{who}" nobody', ""))
    with Director(lab, text) as director:
        all_up(director)
        scene.down(1)
        wait_for("the script to write", lambda: len(scene.lines()) == 4, 15)
        user, environment, standard_input, directory = scene.lines()
        assert user == "nobody"
        assert set(environment.split()) <= {"PATH", "LANG", "PWD", "SHLVL", "_", "OLDPWD"}
        assert (standard_input, directory) == ("/dev/null", "/")


def test_omega_says_farewell_at_a_clean_stop(lab, scene):
    note = scene.note(then="sleep 0.5\necho end >> " + scene.log)
    text = scene.config(f'omega\n quorum_down "{note} quorum down"',
                        (f'notify_down "{note} s1 down"', ""))
    with Director(lab, text) as director:
        all_up(director)
        assert director.stop(linger=True) == 0
    assert sorted(scene.lines()) == ["end", "end", "quorum down", "s1 down"]


def test_without_omega_a_stop_tells_nobody(lab, scene):
    note = scene.note()
    text = scene.config(f'quorum_down "{note} quorum down"', (f'notify_down "{note} s1 down"', ""))
    with Director(lab, text) as director:
        all_up(director)
        assert director.stop(linger=True) == 0
    assert scene.lines() == []


def test_kill_9_and_a_new_start_tell_only_what_changed(lab, scene):
    note = scene.note()
    text = scene.config(
        f'quorum_up "{note} quorum up"\n quorum_down "{note} quorum down"',
        tuple(f'notify_up "{note} s{n} up"\n notify_down "{note} s{n} down"' for n in (1, 2)))
    with Director(lab, text) as director:
        all_up(director)
        scene.down(1)
        wait_lines(scene, ["quorum up", "s1 down"])
        director.kill9()
        director.start()
        director.wait_states(timeout=15, **{NAMES[0]: "down", NAMES[1]: "up"})
        assert scene.lines() == ["quorum up", "s1 down"]
        scene.up(1)
        wait_lines(scene, ["quorum up", "s1 down", "s1 up"])


def test_kill_9_ends_scripts_under_way_and_leaves_no_zombies(lab, scene):
    hang = scene.note("hang", "exec sleep 298.5")
    text = scene.config("", (f'notify_down "{hang} s1 down"', ""))
    with Director(lab, text) as director:
        all_up(director)
        scene.down(1)
        wait_for("the script to hang", lambda: sleepers("298.5"), 15)
        director.kill9()
        wait_for("the script to end with the director", lambda: not sleepers("298.5"), 5)
        director.start()
        director.wait_states(timeout=15, **{NAMES[1]: "up"})
        wait_for("no zombie", lambda: zombies(director.process.pid) == [], 5)


def test_usr2_waits_for_commands_under_way(lab, scene):
    slow = scene.note("slow", f"sleep 1\necho done >> {scene.log}\n")
    text = scene.config("", (f'notify_down "{slow} s1 down"', ""))
    with Director(lab, text) as director:
        all_up(director)
        started = director.status()["started_at"]
        scene.down(1)
        wait_lines(scene, ["s1 down"])
        director.process.send_signal(signal.SIGUSR2)

        def again():
            result = director.command("status", "--json", check=False)
            return result.returncode == 0 and started not in result.stdout
        wait_for("the new binary to answer", again, 20)
        assert scene.lines() == ["s1 down", "done"]
        wait_for("no zombie", lambda: zombies(director.process.pid) == [], 5)


# ---- the sorry server ------------------------------------------------------------------

def answered_by(lab) -> set:
    result = lab.load(rate=1000, count=200).start().finish()
    assert result.failed == 0, result
    return set(result.counts())


def test_the_sorry_server_answers_while_the_quorum_is_not_met(lab, scene):
    text = scene.config(f"quorum 2\n sorry_server {plan.server_v4(4)} 53")
    with Director(lab, text) as director:
        all_up(director)
        service = director.services()[0]
        assert service["sorry_server"]["in_use"] is False
        assert NAMES == [server["name"] for server in service["real_servers"]]
        assert answered_by(lab) == {"s1", "s2"}
        scene.down(1)

        def used():
            return director.services()[0]["sorry_server"]["in_use"]
        wait_for("the sorry server to be used", used, 15)
        assert answered_by(lab) == {"s4"}
        service = director.services()[0]
        assert service["sorry_server"]["reason"] == "quorum not met, 1 of 2"
        assert service["sorry_server"]["counters"]["packets"] == 200
        assert service["real_servers"][1]["state"] == "up"
        assert service["real_servers"][1]["effective_weight"] == 0
        assert "IN USE" in director.command("status").stdout

        director.kill9()
        assert answered_by(lab) == {"s4"}
        director.start()
        assert answered_by(lab) == {"s4"}
        assert director.services()[0]["sorry_server"]["counters"]["packets"] == 600
        scene.up(1)
        wait_for("the sorry server to go", lambda: not used(), 15)
        assert answered_by(lab) == {"s1", "s2"}


def test_inhibit_on_failure_keeps_the_server_listed(lab, scene):
    text = scene.config("inhibit_on_failure")
    with Director(lab, text) as director:
        all_up(director)
        scene.down(1)
        director.wait_states(**{NAMES[0]: "down"})
        assert director.server(NAMES[0])["reason"].endswith("kept with weight 0")
        assert answered_by(lab) == {"s2"}
        director.kill9()
        director.start()
        assert answered_by(lab) == {"s2"}, "who failed does not come back by a restart"
        scene.up(1)
        all_up(director)
        assert answered_by(lab) == {"s1", "s2"}
