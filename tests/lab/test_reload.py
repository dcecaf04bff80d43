# SPDX-License-Identifier: Apache-2.0
"""A reload changes what it says and loses nothing; a wrong file changes nothing."""

import signal

import pytest
from lab import Load, plan, wait_for
from lab.director import CALM_CHECK, Director, cluster, director_block

RATE = 5000


def config(servers: dict, plane: str = "xdp", **options) -> str:
    return director_block(plane) + cluster(servers, check=CALM_CHECK, **options)


def test_twenty_reloads_under_load_lose_no_query(lab, plane):
    steps = [{"s1": 1, "s2": 1}, {"s1": 3, "s2": 1}, {"s1": 3, "s2": 1, "s3": 2},
             {"s2": 1, "s3": 2}, {"s2": 0, "s3": 2, "s4": 1}]
    with Director(lab, config(steps[0], plane)) as director:
        director.wait_states(s1="up", s2="up")
        generation = director.status()["config"]["generation"]
        with lab.load(rate=RATE, seconds=30) as load, \
                lab.load(plan.SERVICE_V6, rate=500, seconds=30) as load6:
            for number in range(1, 21):
                Load.sleep(0.1)
                servers = steps[number % len(steps)]
                done = director.reload(config(servers, plane))
                assert done.returncode == 0
                assert set(director.states()) == set(servers)
            assert load.running(), "the load ended before the last reload"
            for result in (load.stop().finish(), load6.stop().finish()):
                assert result.failed == 0 and result.sent > 0, result
        assert director.status()["config"]["generation"] == generation + 20


def test_a_reload_keeps_the_counters_of_servers_that_stay(lab, plane):
    where = {"address": plan.SERVICE_V4, "protocol": "udp"}
    with Director(lab, config({"s1": 1, "s2": 1}, plane)) as director:
        director.wait_states(s1="up", s2="up")
        counting = director.counting(**where)
        total = director.service(**where)["counters"]["packets"]
        result = lab.load(rate=2000, count=1000).start().finish()
        counting.expect(result.counts())
        director.reload(config({"s1": 5, "s3": 1}, plane))
        director.wait_states(s3="up")
        # IPVS may take s3, of a test before, out of its trash, with what it got last.
        counting.expect({"s1": result.counts()["s1"]} | ({} if counting.lags else {"s3": 0}))
        assert director.service(**where)["counters"]["packets"] - total == 1000


@pytest.mark.parametrize("broken, says", [
    ("    real_server s9 { adress 203.0.113.19 }\n", "address"),
    pytest.param("    real_server s9 { address 203.0.113.19; weight many }\n", "weight",
                 marks=pytest.mark.namespaces),
    pytest.param("    real_server s1 { address 203.0.113.19 }\n", "s1",
                 marks=pytest.mark.namespaces),
], ids=["unknown keyword", "bad number", "duplicate"])
def test_a_broken_file_is_refused_with_its_position(lab, plane, broken, says):
    good = config({"s1": 1, "s2": 1}, plane)
    with Director(lab, good) as director:
        director.wait_states(s1="up", s2="up")
        generation = director.status()["config"]["generation"]
        with lab.load(rate=RATE, seconds=1.5) as load:
            load.sleep_until(0.5)
            bad = good.rstrip("}\n") + "}\n" + broken + "}\n"
            line = bad[:bad.index(broken)].count("\n") + 1
            director.write(bad)
            done = director.command("reload", check=False)
            assert done.returncode == 1
            messages = done.stdout + done.stderr
            assert f"{director.config}:{line}:" in messages and "error:" in messages, messages
            assert says in messages
            result = load.finish()
        assert result.failed == 0, result
        status = director.status()
        assert status["config"]["generation"] == generation
        assert status["config"]["last_error"]
        assert director.tool("check-config", "-f", director.config).returncode == 1
        director.reload(good)
        assert director.status()["config"]["last_error"] is None


def test_plan_says_what_a_reload_would_change(lab):
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")

        def plan_of(text: str):
            director.write(text)
            return director.command("plan", "-f", director.config, check=False)
        same = plan_of(config({"s1": 1, "s2": 1}))
        assert same.returncode == 0, same.stdout + same.stderr
        other = plan_of(config({"s1": 4, "s3": 1}))
        assert other.returncode == 2, other.stdout + other.stderr
        # One line or more for each of: weight of s1, s2 goes, s3 comes.
        for name in ("s1", "s2", "s3"):
            assert name in other.stdout or plan.server_v4(int(name[1])) in other.stdout
        wrong = plan_of("dns_cluster {\n")
        assert wrong.returncode == 1 and "error:" in wrong.stdout + wrong.stderr
        assert director.states() == {"s1": "up", "s2": "up"}  # a plan changes nothing


def test_hup_reloads(lab):
    with Director(lab, config({"s1": 1, "s2": 1})) as director:
        director.wait_states(s1="up", s2="up")
        director.write(config({"s1": 1, "s2": 7}))
        director.process.send_signal(signal.SIGHUP)
        wait_for("the new weight", lambda: director.server("s2")["weight"] == 7, 5)


def test_a_service_ip_that_is_configured_away_is_given_up(lab, plane):
    with Director(lab, config({"s1": 1, "s2": 1}, plane)) as director:
        director.wait_states(s1="up", s2="up")
        assert set(director.held_service_ips()) == {plan.SERVICE_V4, plan.SERVICE_V6}
        director.reload(config({"s1": 1, "s2": 1}, plane,
                               service_ips=[plan.SERVICE_V4, "192.0.2.54"]))
        assert set(director.held_service_ips()) == {plan.SERVICE_V4, "192.0.2.54"}
        director.wait_states(s1="up", s2="up")
        result = lab.load("192.0.2.54", rate=1000, count=200).start().finish()
        assert result.failed == 0, result
