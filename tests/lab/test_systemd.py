# SPDX-License-Identifier: Apache-2.0
"""The director under a real systemd: killed, restarted, reloaded, stopped, hung, given up.

With queries all the while, and with an eye on what a routing daemon would see: the route of the
service IP, each change of it, and the interface that it goes by.
"""

import json
import platform
import re
import signal
import time

import pytest
from lab import LabError, figures, plan, wait_for
from lab.director import CALM_CHECK
from lab.system import LONG
from lab.systemd import Unit
from lab.wire import DEVICE, RouteWatch
from test_announcements import announcement, config, routes, wait_state

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
RATE = 5000 if LONG else 2000
KEPT = {"NFileDescriptorStore": "1", "StatusText": "Forwarding"}
BROKEN = "dns_cluster broken { service_ip 192.0.2.53; nonsense }\n"


pytestmark = pytest.mark.usefixtures("can_run_systemd")


def unit(lab, stop_steps: str = "500ms", **options) -> Unit:
    """stop_steps: how long each of those of a stop lasts."""
    text = config(check=CALM_CHECK, more=f"draining_time {stop_steps}",
                  director=f"    drain_time {stop_steps}\n")
    return Unit(lab, text, **options)


def device(director):
    """Number of the announcements' interface, or None."""
    out = json.loads(director.host.run("ip", "-j", "link", "show").stdout)
    return next((link["ifindex"] for link in out if link["ifname"] == DEVICE), None)


def loads(lab):
    return (lab.load(rate=RATE, seconds=60), lab.load(V6, rate=200, seconds=60),
            lab.load(rate=50, seconds=60, tcp=True))


class Kept:
    """While it is open queries come, none is lost, and routes and interface stay as they are."""

    def __init__(self, lab, director):
        self.lab, self.director = lab, director

    def __enter__(self):
        wait_state(self.director, "announced")
        wait_state(self.director, "announced", address=V6)
        assert self.director.manager.show(*KEPT) == KEPT
        self.device = device(self.director)
        self.watch = RouteWatch(self.director, V4, V6).__enter__()
        self.loads = [load.start() for load in loads(self.lab)]
        self.loads[0].sleep(0.3)
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self._check()
        finally:
            for load in self.loads:
                load.__exit__(KeyboardInterrupt if load.running() else kind, value, trace)
            self.watch.__exit__()

    def _check(self):
        wait_state(self.director, "announced")
        wait_state(self.director, "announced", address=V6)
        self.loads[0].sleep(0.5)
        assert all(load.running() for load in self.loads)
        for result in [load.stop().finish() for load in self.loads]:
            assert result.failed == 0 and result.sent > 0, result
        assert self.watch.changes() == []
        assert device(self.director) == self.device is not None
        assert self.director.manager.show(*KEPT) == KEPT


def test_the_unit_gives_all_the_rights_that_the_director_wants(lab):
    with unit(lab) as director:
        wait_state(director, "announced")
        assert not re.search("no raw socket|not permitted|denied|CAP_", director.read_log())
        shown = director.systemctl("status").stdout
        assert re.search(r"Active: active \(running\)", shown), shown
        assert re.search(r'Status: "Forwarding"', shown), shown


@pytest.mark.parametrize("setting, said", [
    ("PrivateDevices=yes", "/dev/net/tun: No such file or directory"),
    ("DevicePolicy=closed", "/dev/net/tun: Operation not permitted"),
])
def test_a_unit_that_hides_the_tun_device_does_not_start(lab, setting, said):
    """As strict as the machine's systemd: what the packaged unit forgot would be seen here."""
    director = unit(lab)
    director.unit = director.unit.replace("[Service]", f"[Service]\n{setting}")
    try:
        with pytest.raises(LabError, match=said):
            director.start()
    finally:
        director.cleanup()


def test_after_kill_9_systemd_starts_another_and_routers_see_nothing(lab):
    with unit(lab) as director, Kept(lab, director):
        for _ in range(3):
            director.wait_new(director.kill(signal.SIGKILL))
        assert director.manager.show("NRestarts") == {"NRestarts": "3"}


@pytest.mark.parametrize("way", ["manager", "message-bus"])
def test_systemctl_restart_loses_nothing_and_moves_nothing(lab, way):
    """Whether it is a restart is asked of the manager itself, else by the message bus."""
    with unit(lab, bus=way == "message-bus") as director, Kept(lab, director):
        if way == "message-bus":
            director.manager.close_private_socket()
        for _ in range(2):
            before = director.pid()
            director.systemctl("restart")
            assert director.wait_new(before) != before
        assert director.read_log().count("ending for a restart") == 2


def test_systemctl_reload_takes_the_file_or_leaves_all_as_it_was(lab):
    with unit(lab) as director, Kept(lab, director):
        before = director.pid()
        text = open(director.config, encoding="utf-8").read()
        generation = director.status()["config"]["generation"]
        director.write(BROKEN)
        director.systemctl("reload")
        wait_for("the error in the log", lambda: "nonsense" in director.read_log())
        assert director.status()["config"]["generation"] == generation
        assert set(director.states()) == {"s1", "s2", "s3"}
        director.write(text.replace("real_server s3", "real_server s4")
                       .replace(plan.server_v4(3), plan.server_v4(4))
                       .replace(plan.server_v6(3), plan.server_v6(4)))
        director.systemctl("reload")
        wait_for("the new file", lambda: set(director.states()) == {"s1", "s2", "s4"})
        assert director.pid() == before
        assert director.manager.show("ActiveState") == {"ActiveState": "active"}


def test_systemctl_stop_drains_withdraws_and_leaves_nothing(lab):
    with unit(lab, stop_steps="2s") as director:  # each has to be seen
        wait_state(director, "announced")
        with RouteWatch(director, V4, V6) as watch, lab.load(rate=RATE, seconds=60) as load:
            load.sleep(0.3)
            director.systemctl("stop", "--no-block")
            wait_state(director, "draining", "this director stops")
            wait_state(director, "withdrawn", "this director stops")
            result = load.stop().finish()
            wait_for("the unit to be inactive", lambda: director.manager.show(
                "ActiveState", "Result") == {"ActiveState": "inactive", "Result": "success"}, 15)
            changes = [line for line in watch.changes() if V4 in line]
        assert result.failed == 0, result
        assert any("metric 100" in line for line in changes), changes
        nothing_left(director)


def nothing_left(director):
    withdrawn(director)
    assert director.xdp_links() == [] and director.pins() == []
    assert director.held_service_ips() == []


def withdrawn(director):
    wait_for("the interface to go", lambda: device(director) is None, 10)
    assert routes(director) == [] and routes(director, V6) == []


def test_a_crash_loop_ends_at_the_limit_and_then_routers_hear_a_withdrawal(lab):
    with unit(lab) as director:
        wait_state(director, "announced")
        number = device(director)
        limit = int(director.manager.show("StartLimitBurst")["StartLimitBurst"])
        with RouteWatch(director, V4, V6) as watch, lab.load(rate=RATE, seconds=60) as load:
            for _ in range(limit):
                assert (device(director), routes(director)) == (number, [1])
                assert watch.changes() == []
                killed = time.time()
                last = director.kill(signal.SIGKILL)
                wait_for("a new process or the end",
                         lambda: ended(director) or director.pid() not in (0, last), 20)
            assert ended(director)
            withdrawn(director)
            figures.note("the last death that systemd allows, to the end of the announcements: "
                         f"{(watch.ended() - killed) * 1000:.0f} ms (200 ms are RestartSec)")
            load.sleep(0.3)
            result = load.stop().finish()
        assert director.manager.show("NFileDescriptorStore") == {"NFileDescriptorStore": "0"}
        # What still comes is forwarded: the kernel needs no daemon for that.
        assert result.failed == 0, result
        assert director.xdp_links() != []
        # An operator's start after that is as any other.
        director.systemctl("reset-failed")
        director.systemctl("start")
        wait_state(director, "announced")
        assert announcement(director, V6)["state"] == "announced"


def ended(director) -> bool:
    return director.manager.show("ActiveState") == {"ActiveState": "failed"}


# An instruction that jumps to itself, by machine.
SPIN = {"x86_64": b"\xeb\xfe", "aarch64": b"\x00\x00\x00\x14"}


def freeze(director) -> int:
    return director.kill(signal.SIGSTOP)


def spin(director) -> int:
    """The event loop comes back from waiting and gets no further, ever."""
    pid = director.pid()

    def where():  # proc_pid_syscall(5): "running" while it does not wait
        with open(f"/proc/{pid}/syscall", encoding="ascii") as call:
            words = call.read().split()
        return int(words[-1], 16) if len(words) > 2 else 0
    address = wait_for("the event loop to wait", where, 5, 0.001)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(SPIN[platform.machine()])
    return pid


@pytest.mark.parametrize("hang", [freeze, spin])
def test_a_director_that_hangs_is_ended_by_the_watchdog_and_another_starts(lab, hang):
    if hang is spin and platform.machine() not in SPIN:
        pytest.skip(f"no instruction known for {platform.machine()}")
    with unit(lab) as director, Kept(lab, director):
        director.wait_new(hang(director))
        assert "systemd saw it end: watchdog" in director.read_log()
