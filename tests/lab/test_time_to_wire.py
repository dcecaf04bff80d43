# SPDX-License-Identifier: Apache-2.0
"""How long it takes from the reply with which the last needed server fails to the withdrawal on
the wire, and back: by the kernel's stamps of both packets on the director's own interface."""

import os
import re
import signal
import time

import pytest
from lab import figures, wait_for
from lab.daemons import Answer
from lab.routing import CORES, DIRECTOR, RoutingLab
from lab.system import stretched
from lab.tools import Tools
from test_bgp_sessions import AS, V4, Scene

# Of the issue: on top of the check's own time.
PROMISED = {"bird": 0.005, "frr": 0.080}
ROUNDS = 5
FALL = RISE = 2
SERVER = CORES["core1"][0]
CONFIG = f"""\
director {{ dataplane none }}
dns_cluster resolvers {{
    service_ip {V4}
    check {{ query "www.example.com A"; transport udp; every 200ms; fall {FALL}; rise {RISE} }}
    real_server ns1 {{ address {SERVER} }}
}}
bgp {{
    daemon {{daemon}}
    local_as {AS}
    router_id {DIRECTOR[0]}
    neighbor {CORES["core2"][0]} {{ remote_as {AS}; description core2 }}
    announce {V4} {{ min_interval 0s }}
}}
"""


class Capture:
    """Replies of the server, and messages of BGP that are more than keepalives (19 bytes), as
    (when, "ServFail" | "answer" | "BGP")."""

    def __init__(self, lab: RoutingLab):
        self.file = os.path.join(lab.directory, f"capture-{time.monotonic_ns()}")
        larger = "ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 19"
        self.process = lab.director.start("tcpdump", [
            "tcpdump", "-i", "eth0", "-tt", "-n", "-l", "-U", "--immediate-mode",
            f"(udp src port 53 and src host {SERVER}) or "
            f"(src host {DIRECTOR[0]} and tcp port 179 and {larger})"], self.file)
        wait_for("tcpdump", lambda: "listening" in self._text())

    def _text(self) -> str:
        if not os.path.exists(self.file):
            return ""
        with open(self.file, encoding="utf-8", errors="replace") as file:
            return file.read()

    def finish(self) -> list:
        self.process.send_signal(signal.SIGINT)
        self.process.wait(stretched(10))
        seen = []
        for stamp, rest in re.findall(r"^(\d+\.\d+) (.*)$", self._text(), re.M):
            kind = "BGP" if "179" in rest and "Flags" in rest else (
                "ServFail" if "ServFail" in rest else "answer")
            seen.append((float(stamp), kind))
        return seen


def delays(seen: list, kind: str, count: int) -> list:
    """Seconds from each `count`th reply in a row of that kind to the next message of BGP."""
    found, row = [], 0
    for at, (when, what) in enumerate(seen):
        if what == "BGP":
            continue
        row = row + 1 if what == kind else 0
        if row == count:
            after = [t for t, other in seen[at:] if other == "BGP"]
            if after:
                found.append(after[0] - when)
    return found


@pytest.fixture(scope="module", params=["bird", "frr"])
def timed(request, can_route):
    with RoutingLab() as lab:
        directory = os.path.join(lab.directory, "tools")
        tools = Tools(directory)
        server = Answer(lab.cores["core1"], lab.directory, "ns1", [SERVER],
                        tools.path("dnsanswer"))
        scene = None
        try:
            server.start()
            scene = Scene(lab, request.param, CONFIG)
            scene.director.start()
            yield scene, server
        finally:
            if scene is not None:
                scene.stop()
            server.kill()
            tools.stop()


def test_from_the_last_failed_check_to_the_wire(timed):
    scene, server = timed

    def is_told(wanted: bool):
        wait_for(f"core2 to {'have' if wanted else 'lose'} it",
                 lambda: (f"{V4}/32" in scene.core2.prefixes()) == wanted, 60, every=0.02)
    is_told(True)
    # FRR 8.4 may lose a withdrawal in the first second of a session.
    wait_for("the session to be no new one", lambda: scene.logged("session (is )?established"))
    time.sleep(stretched(2))
    capture = Capture(scene.lab)
    for _ in range(ROUNDS):
        server.tell("mode rcode 2")
        is_told(False)
        server.tell("mode answer")
        is_told(True)
    seen = capture.finish()
    for what, kind, count in (("withdrawal", "ServFail", FALL), ("announcement", "answer", RISE)):
        took = delays(seen, kind, count)[-ROUNDS:]
        assert len(took) == ROUNDS, seen
        figures.note(f"{scene.make}: from the deciding reply to the {what} on the wire: "
                     + ", ".join(f"{t * 1000:.1f}" for t in sorted(took)) + " ms")
        # The best of them: what stands in the way of the others is the machine.
        assert min(took) <= PROMISED[scene.make], (what, took)
