# SPDX-License-Identifier: Apache-2.0
"""What the director reads back from BIRD and FRR: sessions, what each core was told, and a daemon
that hangs, dies or does something else than it should. Cores and daemons are real; the routes are
the director's own."""

import os
import re
import signal
import time

import pytest
from lab import LabError, figures, wait_for
from lab.director import Director, binary
from lab.routing import CORES, DIRECTOR, Bird, Frr, RoutingLab, generated
from lab.system import stretched
from test_bgp import CORE_BIRD, CORE_FRR, PASSWORD

AS = 64512
V4, V6, OTHER_V4 = "192.0.2.53", "2001:db8::53", "192.0.2.54"
MED = {V4: 0, OTHER_V4: 1, V6: 7}
CORE1_4, CORE1_6, CORE2_4 = CORES["core1"][0], CORES["core1"][1], CORES["core2"][0]
WITHIN = 1.5  # seconds: one, and what a busy machine adds; the figures have what it was
TOLD = {CORE1_4: {V4, OTHER_V4}, CORE1_6: {V6}, CORE2_4: {V4, OTHER_V4, V6}}

CONFIG = f"""\
director {{ dataplane none; script_user root }}
dns_cluster resolvers {{
    service_ip {V4} {OTHER_V4} {V6}
    check {{ script "/bin/true"; every 500ms }}
    real_server ns1 {{ address 203.0.113.11 2001:db8:1::11 }}
}}
bgp {{
    daemon {{daemon}}
    local_as {AS}
    router_id {DIRECTOR[0]}
    draining_time 100ms
    neighbor {CORE1_4} {{
        remote_as {AS}; description core1; bfd 500ms 6; password "{PASSWORD}"; ttl_security on
    }}
    neighbor {CORE1_6} {{ remote_as {AS}; description core1; bfd 500ms 6 }}
    neighbor {CORE2_4} {{
        remote_as {AS}; description core2; bfd 500ms 6; next_hop {DIRECTOR[1]}
    }}
    announce {V4} {{ med 0; min_interval 0s; community {AS}:1 }}
    announce {OTHER_V4} {{ med 1; min_interval 0s }}
    announce {V6} {{ med 7; min_interval 0s }}
}}
"""


class Place:
    """A routing lab as Director wants its lab to be."""

    def __init__(self, lab: RoutingLab):
        self.directors, self.director_host, self.services = 0, lab.director, [V4, OTHER_V4, V6]
        self.path = lambda *parts: os.path.join(lab.directory, *parts)


class Scene:
    """A director, its routing daemon and the two cores."""

    def __init__(self, lab: RoutingLab, make: str, config: str = CONFIG,
                 core_as: int = AS):
        self.lab, self.make = lab, make
        word = self.word = {"bird": "bird", "frr": "existing frr"}[make]
        names = {"core_as": core_as, "local_as": AS, "director4": DIRECTOR[0],
                 "director6": DIRECTOR[1], "password": PASSWORD}
        own = {core: {"own4": a[0], "own6": a[1]} for core, a in CORES.items()}
        self.director = Director(Place(lab), config.replace("{daemon}", word), f"director-{make}")
        self.core1 = Bird(lab.cores["core1"], lab.directory)
        self.core2 = Frr(lab.cores["core2"], lab.directory)
        self.core1.start(CORE_BIRD.format(**names, **own["core1"]))
        self.core2.start(CORE_FRR.format(**names, **own["core2"]))
        if make == "bird":
            self.daemon = Bird(lab.director, lab.directory)
            self.daemon.socket = os.path.join(self.director.run_dir, "bird.ctl")
        else:
            self.daemon = Frr(lab.director, lab.directory)
            self.director.program = self.where_run_frr_is(self.daemon.directory)
        self.part = generated(self.director.config, word)
        self.daemon.start(self.part)

    def where_run_frr_is(self, folder: str) -> str:
        """The director looks for FRR in /run/frr: there it has the folder of ours."""
        path = self.lab.write("director-beside-frr", (
            "#!/bin/sh\nexec unshare -m --propagation private sh -c 'mount -t tmpfs none /run && "
            f"mkdir /run/frr && mount --bind {folder} /run/frr && exec {binary()} \"$@\"' "
            "dnsdirector \"$@\"\n"))
        os.chmod(path, 0o755)
        return path

    def stop(self):
        self.director.cleanup()
        for daemon in (self.daemon, self.core1, self.core2):
            daemon.stop()

    def processes(self) -> list:
        return self.daemon.processes if self.make == "frr" else [self.daemon.process]

    # What the director says.
    def bgp(self) -> dict:
        return self.director.status()["bgp"]

    def neighbor(self, address: str) -> dict:
        return next(n for n in self.bgp()["neighbors"] if n["address"] == address)

    def told(self) -> dict:
        """{neighbour: {service IP: MED}}"""
        return {n["address"]: {t["prefix"].split("/")[0]: t["med"] for t in n["told"]}
                for n in self.bgp()["neighbors"]}

    def all_is_well(self):
        """BFD too: a core whose old BFD session has not yet ended takes the new session of BGP
        down with it, some seconds after all was told."""
        wanted = {n: {a: MED[a] for a in told} for n, told in TOLD.items()}
        seen = {}

        def well():
            seen.update(self.bgp())
            return (seen["answering"] and seen["problem"] == "" and self.told() == wanted
                    and all(n["bfd"] == "up" and not n["problems"] for n in seen["neighbors"]))
        try:
            wait_for("three sessions with BFD, and all told", well, 60, every=0.05)
        except LabError as error:
            raise LabError(f"{error}; seen: {seen}") from None

    def waits_for(self, what: str, condition, timeout: float = 15) -> float:
        """Seconds until it was so."""
        begun = time.monotonic()
        wait_for(what, condition, timeout, every=0.01)
        return time.monotonic() - begun

    def logged(self, pattern: str) -> bool:
        return re.search(pattern, self.director.read_log()) is not None


@pytest.fixture(scope="module")
def session_lab(can_route):
    with RoutingLab() as lab:
        yield lab


@pytest.fixture(scope="module", params=["bird", "frr"])
def scene(request, session_lab):
    scene = Scene(session_lab, request.param)
    try:
        scene.director.start()
        scene.all_is_well()
        yield scene
    except BaseException:
        print(scene.director.tail())
        raise
    finally:
        scene.stop()


@pytest.fixture(autouse=True)
def well_before_and_after(scene):
    scene.all_is_well()
    yield
    scene.all_is_well()


def test_sessions_and_what_was_told_are_shown(scene):
    status = scene.director.status()
    for neighbor in status["bgp"]["neighbors"]:
        assert neighbor["session"] == "established"
        assert neighbor["accepted"] == 0, "the cores send default routes and more"
        assert neighbor["flaps"] == 0 and neighbor["last_error"] == ""
        assert neighbor["since"] is not None
    entry = next(a for a in status["announcements"] if a["prefix"] == f"{V6}/128")
    assert {(n["address"], n["description"], n["told"], n["med"]) for n in entry["neighbors"]} == {
        (CORE1_6, "core1", True, 7), (CORE2_4, "core2", True, 7)}
    if scene.make == "bird":
        told = scene.neighbor(CORE1_4)["told"]
        assert [t["communities"] for t in told] == [f"{AS}:1", ""]
    text = scene.director.command("status").stdout
    assert re.search(rf"{re.escape(CORE1_4)} +core1 +established +\w+ +told 2 +bfd up", text), text
    assert scene.logged(rf"bgp: neighbor {re.escape(CORE2_4)} \(core2\): session (is )?established")


def told_nobody(scene) -> bool:
    return all(V4 not in told for told in scene.told().values())


def settle(scene):
    """FRR 8.4 may lose a withdrawal in the first second of a session, which the director then
    repeats (test_lost_withdrawal.py): not what is tested here."""
    def works():
        scene.director.command("withdraw", V4)
        try:
            wait_for("nobody to be told", lambda: told_nobody(scene), 3)
        except LabError:
            return False
        finally:
            scene.director.command("announce", V4)
            wait_for("all to be told", lambda: all(
                V4 in scene.told()[n] for n, own in TOLD.items() if V4 in own), 10)
        return True
    wait_for("the daemon to announce and to withdraw", works, 60)
    scene.all_is_well()


def test_a_withdrawal_is_read_back(scene):
    """What is told follows the state at once, and is no problem at any moment."""
    settle(scene)
    before = len(scene.director.read_log())
    scene.director.command("withdraw", V4)
    took = scene.waits_for("nobody to be told of it", lambda: told_nobody(scene))
    figures.note(f"BGP: {scene.make}: a withdrawal is read back {took * 1000:.0f} ms later")
    time.sleep(stretched(1.5))
    assert not any(n["problems"] for n in scene.bgp()["neighbors"])
    scene.director.command("announce", V4)
    scene.all_is_well()
    assert not re.search(r"though (announced|withdrawn)", scene.director.read_log()[before:])


def test_a_core_that_dies(scene):
    before = scene.neighbor(CORE1_4)["flaps"]
    scene.core1.stop()
    took = scene.waits_for("the session to be lost",
                           lambda: scene.neighbor(CORE1_4)["session"] != "established")
    figures.note(f"BGP: {scene.make}: a core that died is shown {took * 1000:.0f} ms later")
    assert took < stretched(WITHIN)
    neighbor = scene.neighbor(CORE1_4)
    assert neighbor["last_error"] != "" and neighbor["told"] == []
    assert neighbor["flaps"] == before + 1
    assert scene.logged(rf"bgp: neighbor {re.escape(CORE1_4)} \(core1\): session lost: \w+")
    assert scene.neighbor(CORE2_4)["session"] == "established"
    with open(scene.core1.config, encoding="utf-8") as file:
        scene.core1.start(file.read())
    scene.all_is_well()


def hangs(scene, processes, condition) -> float:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        return scene.waits_for("the hang to be noticed", condition)
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def test_a_daemon_that_hangs_is_noticed_within_a_second(scene):
    took = hangs(scene, scene.processes(), lambda: not scene.bgp()["answering"])
    figures.note(f"BGP: {scene.make} that hangs is noticed after {took * 1000:.0f} ms")
    assert took < stretched(WITHIN)
    assert scene.logged(r"does not answer at \S+: it hangs, or is busy")
    scene.all_is_well()
    assert scene.logged(r"answers again, after \d")
    # It hung for less than the hold time: no session was lost by it.
    assert scene.neighbor(CORE2_4)["flaps"] == 0


def test_the_process_that_reads_the_kernel_hangs(scene):
    """BIRD itself; of FRR zebra, without which bgpd would go on with what it knew."""
    who = "BIRD" if scene.make == "bird" else "zebra"
    took = hangs(scene, scene.processes()[:1], lambda: f"{who} does not answer" in
                 scene.bgp()["problem"])
    assert took < stretched(WITHIN)


def run_instead(scene, text: str):
    """The daemon runs this in place of its configuration."""
    if scene.make == "bird":
        scene.daemon.write(text)
        assert "Reconfigured" in scene.daemon.ask("configure")
    else:
        scene.daemon.load(text)


def test_a_daemon_that_says_something_else_is_noticed(scene):
    if scene.make == "bird":
        wrong, right = "bgp_med = 77;", "bgp_med = 7;"
    else:
        wrong, right = "set metric 77", "set metric 7"
    assert right in scene.part
    run_instead(scene, scene.part.replace(right, wrong))
    took = scene.waits_for("the other MED to be noticed", lambda: (
        f"it is told of {V6} with MED 77 instead of 7" in scene.neighbor(CORE2_4)["problems"]))
    figures.note(f"BGP: {scene.make}: a wrong MED is noticed after {took * 1000:.0f} ms")
    assert scene.logged(rf"neighbor {re.escape(CORE2_4)} \(core2\): it is told of {V6} with MED 77")
    text = scene.director.command("status").stdout
    assert f"{CORE2_4}: it is told of {V6} with MED 77 instead of 7" in text, text
    # What the other neighbour is told may be read a round later.
    wait_for("status to say so of both neighbours", lambda: {
        n["med"] for a in scene.director.status()["announcements"]
        if a["prefix"].startswith(V6) for n in a["neighbors"]} == {77})
    run_instead(scene, scene.part)


def test_a_reload_is_followed(scene):
    """The director wants another MED, and says so until the daemon is told."""
    with open(scene.director.config, encoding="utf-8") as file:
        before = file.read()
    scene.director.reload(before.replace("{ med 0;", "{ med 5;"))
    wait_for("the old MED to be noticed", lambda: (
        f"it is told of {V4} with MED 0 instead of 5" in scene.neighbor(CORE2_4)["problems"]))
    run_instead(scene, generated(scene.director.config, scene.word))
    wait_for("the new MED", lambda: scene.told()[CORE2_4].get(V4) == 5
             and not scene.neighbor(CORE2_4)["problems"])
    scene.director.reload(re.sub(r"(?s)^bgp \{.*^\}$", "", before, flags=re.M))
    assert scene.bgp() is None
    scene.director.reload(before)
    run_instead(scene, scene.part)
    scene.all_is_well()
    assert scene.neighbor(CORE2_4)["flaps"] == 0, "it was never lost"


def test_a_daemon_that_is_killed_and_comes_back(scene):
    """Last of all."""
    scene.daemon.stop()
    took = scene.waits_for("its end to be noticed", lambda: not scene.bgp()["answering"])
    figures.note(f"BGP: {scene.make} that was killed is noticed after {took * 1000:.0f} ms")
    assert took < stretched(WITHIN)
    wait_for("the reason", lambda: "does not run" in scene.bgp()["problem"])
    assert {n["session"] for n in scene.bgp()["neighbors"]} == {"unknown"}
    metrics = scene.director.command("status").stdout
    assert "does not run" in metrics
    scene.daemon.start(scene.part)
    scene.all_is_well()
