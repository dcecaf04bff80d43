# SPDX-License-Identifier: Apache-2.0
"""Commands and their exit statuses, as docs and operators' scripts have them."""

import re
import urllib.request

import pytest
from lab import plan
from lab.director import CALM_CHECK, Director, cluster, director_block

GOOD = director_block() + cluster({"s1": 1, "s2": 1}, check=CALM_CHECK)


@pytest.fixture
def director(lab):
    with Director(lab, GOOD) as director:
        director.wait_states(s1="up", s2="up")
        yield director


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["reload"],
                                     ["drain", "s1"], ["undrain", "s1"]])
def test_commands_exit_3_where_no_director_answers(lab, command):
    idle = Director(lab, GOOD)
    done = idle.command(*command, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    assert idle.run_dir in done.stderr
    assert idle.command("plan", "-f", idle.config, check=False).returncode == 3


def test_check_config_tells_good_from_bad(lab):
    idle = Director(lab, GOOD)
    assert idle.tool("check-config", "-f", idle.config).returncode == 0
    idle.write(GOOD.replace("lb_kind DR", "lb_knid DR") + "virtual_server 192.0.2.300 53 {\n}\n")
    done = idle.tool("check-config", "-f", idle.config)
    assert done.returncode == 1
    messages = (done.stdout + done.stderr).splitlines()
    errors = [m for m in messages if m.startswith(f"{idle.config}:") and ": error: " in m]
    assert len(errors) >= 2, messages  # all errors of a file at once
    assert "lb_kind" in errors[0]      # the nearest keyword


def test_run_with_a_broken_file_exits_1_with_the_position(lab):
    idle = Director(lab, GOOD.replace("weight 1", "weight -1"))
    idle.start(wait=False)
    assert idle.process.wait(10) == 1
    assert f"{idle.config}:" in idle.tail() and "error:" in idle.tail()


@pytest.mark.parametrize("target, drained", [
    ("s1", {"s1"}), ("resolvers/s2", {"s2"}), (plan.server_v4(1), {"s1"}),
    (f"{plan.server_v4(2)}:53/udp", {"s2"}), (f"[{plan.server_v6(1)}]:53", {"s1"})])
def test_drain_takes_names_and_addresses(director, target, drained):
    done = director.command("drain", target)
    assert done.stdout.strip()  # every match is listed
    now = {s["name"] for service in director.services() for s in service["real_servers"]
           if s["drained"]}
    assert now == drained
    director.command("undrain", target)
    assert director.states() == {"s1": "up", "s2": "up"}


def test_drain_of_a_protocol_leaves_the_other(director):
    director.command("drain", f"{plan.server_v4(1)}:53/tcp")
    tcp = {"address": plan.SERVICE_V4, "protocol": "tcp"}
    udp = {"address": plan.SERVICE_V4, "protocol": "udp"}
    assert director.states(**tcp)["s1"] == "drained"
    assert director.states(**udp)["s1"] == "up"


@pytest.mark.parametrize("command", ["drain", "undrain"])
@pytest.mark.parametrize("target", ["s9", "nobody/s1", "203.0.113.99"])
def test_an_unknown_target_exits_1(director, command, target):
    done = director.command(command, target, check=False)
    assert done.returncode == 1 and target in done.stderr


def test_drained_servers_get_no_new_query(lab, director):
    with lab.load(rate=5000, seconds=3) as load:
        load.sleep_until(0.5)
        director.command("drain", "s1")
        before = director.packets(address=plan.SERVICE_V4, protocol="udp")["s1"]
        load.sleep_until(1.5)
        assert director.packets(address=plan.SERVICE_V4, protocol="udp")["s1"] == before
        director.command("undrain", "s1")
        director.wait_states(s1="up")
        result = load.finish()
    assert result.failed == 0, result
    assert len(result.spans("s1")) == 2 and len(result.spans("s2")) == 1


def test_drain_all_and_back(lab, director):
    director.command("drain", "--all")
    states = {a["state"] for a in director.status()["announcements"]}
    assert states <= {"draining", "withdrawn"}
    director.command("undrain", "--all")
    result = lab.load(rate=1000, count=200).start().finish()
    assert result.failed == 0, result


def test_status_json_has_what_the_contract_says(director):
    status = director.status()
    assert set(status) >= {"version", "config", "dataplane", "services", "announcements"}
    assert set(status["config"]) >= {"path", "loaded_at", "generation", "last_error"}
    assert status["config"]["path"] == director.config
    assert status["dataplane"]["kind"] == "xdp"
    assert len(status["services"]) == 4
    for service in status["services"]:
        assert service["cluster"] == "resolvers" and service["port"] == 53
        assert (service["scheduler"], service["forwarding"]) == ("wrr", "dr")
        assert set(service["quorum"]) >= {"required", "up", "servers_up", "met"}
        assert set(service["counters"]) >= {"packets", "bytes"}
        six = ":" in service["address"]
        for server in service["real_servers"]:
            assert (":" in server["address"]) == six
            assert set(server) >= {"name", "address", "port", "weight", "effective_weight",
                                   "state", "health", "drained", "held", "since",
                                   "transitions", "reason", "counters", "checks"}
            check = server["checks"][0]
            assert check["kind"] == "dns" and check["state"] == "up"
            assert check["last"]["result"] == "ok" and check["last"]["rtt_us"] > 0
    prefixes = {a["prefix"] for a in status["announcements"]}
    assert prefixes == {f"{plan.SERVICE_V4}/32", f"{plan.SERVICE_V6}/128"}


def test_status_for_people_names_services_and_servers(director):
    text = director.command("status").stdout
    for word in (plan.SERVICE_V4, plan.SERVICE_V6, "s1", "s2", "up"):
        assert word in text
    assert "\x1b[" not in text  # no colour where no terminal is
    times = [float(t) for t in re.findall(r"\bok ([0-9.]+) ?(?:µs|us|ms|s)\b", text)]
    assert len(times) == 8 and min(times) > 0, text  # the last answer's time of each


def test_bytes_are_counted_as_received_on_the_wire(lab, director):
    before = director.service(address=plan.SERVICE_V4, protocol="udp")["counters"]
    lab.load(rate=1000, count=100).start().finish()
    after = director.service(address=plan.SERVICE_V4, protocol="udp")["counters"]
    assert after["packets"] - before["packets"] == 100
    # Ethernet 14, IPv4 20, UDP 8, DNS 12 + 17 + 4 for www.example.com, OPT 11 + NSID 4.
    assert after["bytes"] - before["bytes"] == 100 * (14 + 20 + 8 + 33 + 15)


def test_why_says_what_the_checks_saw(lab, director):
    lab.servers["s2"].tell("mode rcode 2")
    director.wait_states(s2="down")
    done = director.command("why", "s2")
    assert "SERVFAIL" in done.stdout and plan.server_v6(2) in done.stdout
    assert director.command("why", "s9", check=False).returncode == 1


def test_metrics_and_health_over_http(lab):
    with Director(lab, "http { listen 127.0.0.1:9953 }\n" + GOOD) as director:
        director.wait_states(s1="up", s2="up")
        lab.load(rate=1000, count=100).start().finish()
        sums = director.packets()

        def get(path):
            with urllib.request.urlopen(f"http://127.0.0.1:9953{path}", timeout=3) as reply:
                return reply.status, reply.read().decode()
        assert director.host.call(get, "/healthz")[0] == 200
        status, text = director.host.call(get, "/metrics")
        assert status == 200
        assert any(line.startswith("dnsdirector_") and plan.SERVICE_V4 in line
                   and float(line.split()[-1]) == sums["s1"] for line in text.splitlines())


@pytest.mark.parametrize("command", [[], ["run"], ["status"], ["drain"], ["probe"], ["plan"],
                                     ["reload"], ["check-config"]])
def test_help_teaches_by_example(lab, command):
    done = Director(lab, GOOD).tool(*command, "--help")
    assert done.returncode == 0
    assert "dnsdirector " + (command[0] if command else "") in done.stdout
