# SPDX-License-Identifier: Apache-2.0
"""The director under a real systemd (lab/systemd.py): what becomes of queries and of the
announcement when it crashes, hangs, is restarted, stopped, or given up."""

import os
import signal

import pytest
from lab import plan, wait_for
from lab.director import Director, cluster, director_block
from lab.systemd import MANAGER, RouteWatch, Systemd

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
RATE = 1000


def config() -> str:
    return (director_block() + cluster({"s1": 1, "s2": 1})
            + f"bgp {{\n local_as 64512\n router_id 203.0.113.1\n draining_time 500ms\n"
              f" neighbor {plan.ROUTER_V4} {{ remote_as 64512; next_hop {plan.DIRECTOR_V6} }}\n"
              f" announce {V4} {V6}\n}}\n")


def routes(director) -> set:
    """Service IPs with our routes, of the whole host."""
    found = set()
    for family in ("-4", "-6"):
        shown = director.host.run("ip", family, "route", "show", "proto", "153").stdout
        found |= {line.split()[0] for line in shown.splitlines()}
    return found


def interface_index(director) -> str:
    shown = director.host.run("ip", "-o", "link", "show", check=False).stdout
    return next((line.split(":")[0] for line in shown.splitlines() if "dnsdirector" in line), "")


def announced(director) -> bool:
    return (routes(director) == {V4, V6}
            and all(a["state"] == "announced" for a in director.status()["announcements"]))


@pytest.fixture
def director(lab):
    if not os.access(MANAGER, os.X_OK):
        pytest.fail(f"{MANAGER} is missing: apt install systemd", pytrace=False)
    return Director(lab, config())


def begin(systemd, director):
    systemd.start()
    wait_for("the announcement", lambda: announced(director), 20)
    assert systemd.show("StatusText") == "Forwarding"
    assert systemd.show("NFileDescriptorStore") == "1"


def crash(systemd, director):
    os.kill(systemd.pid(), signal.SIGKILL)


def restart(systemd, director):
    systemd.systemctl("restart", "dnsdirector")


def hang(systemd, director):
    # The watchdog asks for an abort first, which a stopped process does not hear.
    os.kill(systemd.pid(), signal.SIGSTOP)


@pytest.mark.parametrize("deed", [crash, restart, hang])
def test_a_director_that_comes_back_loses_nothing_and_moves_nothing(lab, director, deed):
    settings = {"WatchdogSec": "1s"} if deed is hang else {}
    with Systemd(director, **settings) as systemd:
        begin(systemd, director)
        old, index = systemd.pid(), interface_index(director)
        with RouteWatch(director.host, lab.path(director.name, "routes")) as watch:
            with lab.load(rate=RATE, seconds=60) as load:
                load.sleep_until(0.3)
                deed(systemd, director)
                systemd.wait_restarted(old)
                wait_for("the announcement", lambda: announced(director), 20)
                load.sleep(0.5)
                result = load.stop().finish()
            assert watch.changes(V4, V6) == []
        assert result.failed == 0, result
        assert interface_index(director) == index
        assert systemd.show("NFileDescriptorStore") == "1"


def test_a_reload_works_and_a_broken_file_changes_nothing(lab, director):
    with Systemd(director) as systemd:
        begin(systemd, director)
        pid = systemd.pid()
        systemd.systemctl("reload", "dnsdirector")
        wait_for("the second configuration",
                 lambda: director.status()["config"]["generation"] == 2, 10)
        director.write(config().replace("weight 1", "weight many"))
        systemd.systemctl("reload", "dnsdirector")
        wait_for("the refusal", lambda: director.status()["config"]["last_error"], 10)
        assert director.status()["config"]["generation"] == 2 and systemd.pid() == pid
        assert systemd.show("SubState") == "running" and announced(director)


def test_a_stop_takes_everything_back(lab, director):
    with Systemd(director) as systemd:
        begin(systemd, director)
        with RouteWatch(director.host, lab.path(director.name, "routes")) as watch:
            systemd.systemctl("stop", "dnsdirector")
            assert "metric 100" in "\n".join(watch.changes(V4))
        assert systemd.show("ActiveState") == "inactive" and systemd.show("Result") == "success"
        assert routes(director) == set() and interface_index(director) == ""
        assert director.xdp_links() == [] and director.held_service_ips() == []


def test_a_director_that_is_given_up_is_withdrawn(lab, director):
    with Systemd(director, StartLimitBurst="3") as systemd:
        begin(systemd, director)
        # Its program cannot be started any more.
        pid = systemd.pid()
        director.write("director { dataplane nonsense }\n")
        os.kill(pid, signal.SIGKILL)
        wait_for("systemd to give up", lambda: systemd.show("ActiveState") == "failed", 20)
        wait_for("the routes to go", lambda: routes(director) == set(), 5, 0.01)
        assert interface_index(director) == ""
        assert systemd.show("NFileDescriptorStore") == "0"
        # What was in force forwards on; the routers send nothing any more.
        assert director.xdp_links() != []
        director.write(config())
        systemd.systemctl("reset-failed", "dnsdirector")
        systemd.start()
        wait_for("the announcement", lambda: announced(director), 20)
