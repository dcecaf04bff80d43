# SPDX-License-Identifier: Apache-2.0
"""Memory is predicted by check-config and shown beside what is taken."""

import json
import os
import urllib.request

import pytest
from lab.director import CALM_CHECK, Director, cluster, director_block

LIMITS = ["", "    max_services 16\n    max_real_servers 64\n    max_slots 16384\n",
          "    max_services 20000\n    max_real_servers 200000\n"]


def config(extra: str = "") -> str:
    return ("http { listen 127.0.0.1:9955 }\n" + director_block(extra=extra)
            + cluster({"s1": 1, "s2": 3}, check=CALM_CHECK))


def forecast(director) -> dict:
    return json.loads(director.tool("check-config", "--memory", "--json", "-f", director.config,
                                    check=True).stdout)


def counts_all() -> bool:
    """Linux counts the whole memory of maps since 6.4."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(c for c in minor if c.isdigit()))) >= (6, 4)


@pytest.mark.parametrize("extra", LIMITS, ids=["default", "small", "large"])
def test_what_is_predicted_is_taken(lab, extra):
    with Director(lab, config(extra)) as director:
        director.wait_states(s1="up", s2="up")
        predicted, memory = forecast(director), director.status()["memory"]
        assert memory["kernel"]["predicted_bytes"] == predicted["kernel"]["bytes"]
        assert memory["process"]["predicted_bytes"] == predicted["process"]["resident_bytes"]
        names = [table["name"] for table in predicted["kernel"]["tables"]]
        assert [table["name"] for table in memory["kernel"]["tables"]] == names
        assert memory["kernel"]["bytes"] == sum(t["bytes"] for t in memory["kernel"]["tables"])
        if counts_all():
            assert abs(memory["kernel"]["bytes"] / predicted["kernel"]["bytes"] - 1) < 0.2, memory
        # Roughly: allocators and libraries differ.
        resident = memory["process"]["resident_bytes"]
        assert 0.6 < resident / predicted["process"]["resident_bytes"] < 1.6, memory


def test_check_config_says_it_in_one_line_and_only_when_nobody_reads_by_program(lab):
    idle = Director(lab, config())
    lines = idle.tool("check-config", "-f", idle.config, check=True).stdout.splitlines()
    (line,) = [each for each in lines if each.startswith("memory: ")]
    assert "of kernel tables" in line and "CPUs" in line
    each = idle.tool("check-config", "--memory", "-f", idle.config, check=True).stdout
    assert "destinations" in each
    messages = json.loads(idle.tool("check-config", "--json", "-f", idle.config).stdout)
    assert {m["severity"] for m in messages} == {"warning"}, messages  # an array, as before
    assert idle.tool("check-config", "--quiet", "-f", idle.config).stdout == ""


def test_status_and_metrics_show_both(lab):
    with Director(lab, config()) as director:
        director.wait_states(s1="up", s2="up")
        assert "memory: " in director.command("status").stdout

        def get():
            with urllib.request.urlopen("http://127.0.0.1:9955/metrics", timeout=3) as reply:
                return reply.read().decode()
        lines = dict(line.rsplit(" ", 1) for line in director.host.call(get).splitlines()
                     if line.startswith("dnsdirector_memory"))
    assert set(lines) == {f'dnsdirector_memory_{kind}{{of="{of}"}}'
                          for kind in ("bytes", "predicted_bytes") for of in ("kernel", "process")}
    assert all(float(value) > 1e6 for value in lines.values()), lines


def test_no_kernel_tables_are_predicted_for_a_plane_without_them(lab):
    idle = Director(lab, f"director {{ dataplane none }}\n{cluster({'s1': 1}, check=CALM_CHECK)}")
    assert forecast(idle)["kernel"] == {"bytes": 0, "possible_cpus": 0, "tables": []}
