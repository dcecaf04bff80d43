# SPDX-License-Identifier: Apache-2.0
"""FRR 8.4 loses a withdrawal in the first moments of a session of eBGP: the route is gone from its
own table, and the neighbour still has it. The director reads that back and withdraws again."""

import time

import pytest
from lab import figures, wait_for
from lab.routing import CORES, DIRECTOR, RoutingLab
from test_bgp_sessions import AS, V4, Scene

FOREIGN_AS = 64513
CORE = CORES["core2"][0]
TRIES = 6  # in about one of four it happens
CONFIG = f"""\
director {{ dataplane none; script_user root }}
dns_cluster resolvers {{
    service_ip {V4}
    check {{ script "/bin/true"; every 500ms }}
    real_server ns1 {{ address 203.0.113.11 }}
}}
bgp {{
    daemon {{daemon}}
    local_as {AS}
    router_id {DIRECTOR[0]}
    neighbor {CORE} {{ remote_as {FOREIGN_AS}; description core2 }}
    announce {V4} {{ min_interval 0s }}
}}
"""


@pytest.fixture
def foreign(can_route):
    with RoutingLab() as lab:
        scene = Scene(lab, "frr", CONFIG, FOREIGN_AS)
        try:
            scene.director.start()
            yield scene
        finally:
            scene.stop()


def test_a_lost_withdrawal_is_repeated(foreign):
    scene = foreign

    def is_told() -> bool:
        return f"{V4}/32" in scene.core2.prefixes()

    lasted = []
    for _ in range(TRIES):
        scene.director.command("withdraw", V4)
        scene.daemon.stop()
        wait_for("the session to be gone", lambda: scene.core2.established() == 0, 20, every=0.01)
        scene.daemon.start(scene.part)
        wait_for("a new session", lambda: scene.core2.established() == 1, 60, every=0.01)
        scene.director.command("announce", V4)
        wait_for("core2 to be told", is_told, 20, every=0.01)
        began = time.monotonic()
        scene.director.command("withdraw", V4)
        # Two seconds are a new session's to say all, half a second it is said again.
        wait_for("core2 to hear of the withdrawal", lambda: not is_told(), 15, every=0.01)
        lasted.append(time.monotonic() - began)
    repeated = scene.director.read_log().count("and withdrawn again")
    figures.note(f"FRR: of {TRIES} withdrawals in the first moment of a session {repeated} were "
                 "lost and repeated; heard after " + ", ".join(f"{t:.1f}" for t in lasted) + " s")
    # None is repeated within a second, by design, and none is heard of later than that but by
    # being repeated, or on a machine that stood still.
    assert sum(t > 2.5 for t in lasted) <= repeated <= sum(t > 1 for t in lasted), lasted
