# SPDX-License-Identifier: Apache-2.0
"""A keepalived.conf with dig checks runs as it stands (examples/keepalived.conf)."""

import os

import pytest
from lab import plan, wait_for
from lab.director import REPOSITORY, Director, director_block

with open(os.path.join(REPOSITORY, "examples", "keepalived.conf"), encoding="utf-8") as example:
    EXAMPLE = example.read()
NAMES = [f"{plan.server_v4(n)}:53" for n in (1, 2)]


def test_the_example_runs_unchanged(lab):
    with Director(lab, EXAMPLE) as director:
        # Compatible form without `alpha`: in at once, as unknown.
        assert {s for s in director.states().values()} <= {"unknown", "up"}
        services = director.services()
        assert [(s["address"], s["protocol"], s["cluster"]) for s in services] == [
            (plan.SERVICE_V4, "udp", None), (plan.SERVICE_V4, "tcp", None)]
        assert [r["name"] for r in services[0]["real_servers"]] == NAMES
        for tcp in (False, True):
            result = lab.load(rate=300 if tcp else 4000, count=300 if tcp else 4000,
                              tcp=tcp).start().finish()
            assert result.failed == 0, result
            wanted = 0.15 if tcp else 0.01
            assert abs(result.shares()["s1"] - 0.5) <= wanted, result
        director.wait_states(timeout=25, every=0.2, **{name: "up" for name in NAMES})
        check = director.server(NAMES[0], protocol="udp")["checks"][0]
        assert check["last"]["result"] == "ok"
        assert check["kind"] == "dig"  # without a process


@pytest.mark.parametrize("native", [True, False], ids=["native", "forked"])
def test_a_dig_check_takes_a_failing_server_out(lab, native):
    # dig ends with 0 on SERVFAIL, also under +fail; silence is what it knows best.
    director_words = "" if native else "director {\n    misc_native off\n}\n"
    quick = director_words + EXAMPLE.replace("delay_loop 10", "delay_loop 1").replace(
        "+time=1 +tries=5", "+time=1 +tries=1")
    with Director(lab, quick) as director:
        director.wait_states(timeout=15, **{name: "up" for name in NAMES})
        assert director.server(NAMES[0], protocol="udp")["checks"][0]["kind"] == (
            "dig" if native else "misc")
        lab.servers["s2"].tell("mode silent")
        director.wait_states(timeout=15, **{NAMES[1]: "down", NAMES[0]: "up"})
        result = lab.load(rate=1000, count=300).start().finish()
        assert result.failed == 0 and result.counts() == {"s1": 300}, result
        lab.servers["s2"].tell("mode answer")
        director.wait_states(timeout=15, **{name: "up" for name in NAMES})


def test_a_script_that_hangs_is_killed_whole(lab):
    # The shell has a child of its own; both must be gone after misc_timeout.
    marker = "31.4159"
    script = f"/bin/sh -c 'sleep {marker} ; true'"
    text = (director_block() + f"""virtual_server {plan.SERVICE_V4} 53 {{
    delay_loop 1
    lb_algo wrr
    lb_kind DR
    protocol UDP
    real_server {plan.server_v4(1)} 53 {{
        weight 1
        MISC_CHECK {{
            misc_path "{script}"
            misc_timeout 1
        }}
    }}
}}
""")
    with Director(lab, text) as director:
        director.wait_states(timeout=15, **{NAMES[0]: "down"})
        # That of a round under way, and for a moment that of the one before.
        wait_for("all but one to be gone", lambda: len(sleepers(lab, marker)) <= 1, 5)
        director.stop()
        assert sleepers(lab, marker) == []


def sleepers(lab, marker: str) -> list:
    """Processes on the director's host that run `sleep MARKER`."""
    found = []
    for pid in lab.director_host.run("ip", "netns", "pids",
                                     lab.director_host.netns).stdout.split():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as line:
                if line.read().startswith(b"sleep\0" + marker.encode()):
                    found.append(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found
