# SPDX-License-Identifier: Apache-2.0
"""The other kinds of keepalived's checks, from the file to the real server's state."""

import os
from pathlib import Path

from lab import plan, wait_for
from lab.director import REPOSITORY, Director, director_block

MISBEHAVE = os.path.join(REPOSITORY, "tests", "lab", "tools", "misbehave.py")
WEB_PORT, SICK_WEB_PORT = 8080, 8081
NAMES = [f"{plan.server_v4(n)}:53" for n in (1, 2, 3, 4)]


def configuration(checks: list, head: str = "") -> str:
    """One service; server n has the n-th check."""
    servers = "".join(f"    real_server {plan.server_v4(n)} 53 {{\n        {check}\n    }}\n"
                      for n, check in enumerate(checks, 1))
    return (director_block() + head + f"virtual_server {plan.SERVICE_V4} 53 {{\n"
            "    delay_loop 1\n    lb_algo wrr\n    lb_kind DR\n    protocol UDP\n"
            "    retry 1\n    delay_before_retry 1\n    connect_timeout 1\n    warmup 0\n"
            f"{servers}}}\n")


def reason(director, name: str) -> str:
    return director.server(name)["reason"]


def test_connections_datagrams_pings_and_files(lab, tmp_path):
    value = tmp_path / "drain-s4"
    text = configuration(
        ["TCP_CHECK { }", "UDP_CHECK { }", "PING_CHECK { }",
         "FILE_CHECK {\n            track_file drain_s4\n            weight 0\n        }"],
        head=f"track_file drain_s4 {{\n    file {value}\n}}\n")
    with Director(lab, text) as director:
        director.wait_states(timeout=15, **{name: "up" for name in NAMES})
        kinds = [director.server(name)["checks"][0]["kind"] for name in NAMES]
        assert kinds == ["tcp", "udp", "ping", "file"]
        value.write_text("1\n")
        director.wait_states(timeout=10, **{NAMES[3]: "down", NAMES[0]: "up"})
        assert f"1 in {value}, expected 0" in reason(director, NAMES[3])
        for server in ("s1", "s2"):
            lab.servers[server].kill()
        director.wait_states(timeout=10, **{NAMES[0]: "down", NAMES[1]: "down", NAMES[2]: "up"})
        assert "connection refused" in reason(director, NAMES[0])
        assert "connection refused" in reason(director, NAMES[1])
        for server in ("s1", "s2"):
            lab.servers[server].start()
        value.unlink()
        director.wait_states(timeout=10, **{name: "up" for name in NAMES})


def test_http_and_a_script_that_sets_the_weight(lab, tmp_path):
    answer = tmp_path / "status"
    script = tmp_path / "weigh"
    script.write_text(f'#!/bin/sh\nread status < {answer}\nexit "$status"\n')
    script.chmod(0o755)
    answer.write_text("12\n")
    for path in (tmp_path, answer):
        path.chmod(0o755)

    def http(port: int) -> str:
        return (f"HTTP_GET {{\n            connect_port {port}\n            url {{\n"
                "                path /health\n                status_code 200\n            }\n"
                "        }")

    web = lab.host("s1").start(
        "web", ["/usr/bin/python3", MISBEHAVE, "--stay", plan.server_v4(1), str(WEB_PORT), "answers"],
        lab.path("web-s1.log"))
    sick = lab.host("s2").start(
        "web", ["/usr/bin/python3", MISBEHAVE, "--stay", plan.server_v4(2), str(SICK_WEB_PORT), "servfail"],
        lab.path("web-s2.log"))
    try:
        # A check that is refused meanwhile gives another reason.
        for name in ("s1", "s2"):
            wait_for(f"the web server of {name}",
                     lambda log=lab.path(f"web-{name}.log"): "ready" in Path(log).read_text())
        text = configuration([http(WEB_PORT), http(SICK_WEB_PORT), "PING_CHECK { }",
                              f"MISC_CHECK {{\n            misc_path {script}\n"
                              "            misc_dynamic\n            misc_timeout 2\n        }"])
        with Director(lab, text) as director:
            director.wait_states(timeout=15, **{NAMES[0]: "up", NAMES[1]: "down", NAMES[3]: "up"})
            assert "status 503, expected 200" in reason(director, NAMES[1])
            answer.write_text("1\n")
            director.wait_states(timeout=10, **{NAMES[3]: "down"})
            assert "exit status 1" in reason(director, NAMES[3])
            web.terminate()
            director.wait_states(timeout=10, **{NAMES[0]: "down", NAMES[2]: "up"})
    finally:
        for process in (web, sick):
            process.terminate()
            process.wait(10)
