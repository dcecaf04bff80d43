# SPDX-License-Identifier: Apache-2.0
"""How a service IP is announced, and what `status` says of it, for one prepared incident each.

The routes are looked at in the kernel, as a routing daemon would: what routers are told of them is
test_bgp.py's and test_redundancy.py's business.
"""

import re
import signal

import pytest
from lab import LabError, plan, wait_for
from lab.director import FAST_CHECK, Director, check_block, cluster, director_block
from lab.system import stretched
from lab.wire import RouteWatch

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
METRICS = {"announced": 1, "degraded": 2, "draining": 100}
SERVERS = ("s1", "s2", "s3")


def bgp(policy: str = "min_interval 0s", addresses: str = f"{V4} {V6}", more: str = "") -> str:
    """No routing daemon is there: nobody is told, and all the rest is as ever."""
    return (f"bgp {{\n local_as 64512\n router_id 203.0.113.1\n {more}\n"
            f" neighbor {plan.ROUTER_V4} {{ remote_as 64512; next_hop {plan.DIRECTOR_V6} }}\n"
            f" announce {addresses} {{ {policy} }}\n}}\n")


def config(servers=SERVERS, policy="min_interval 0s", check=FAST_CHECK, extra="", more="",
           director="", **options) -> str:
    chosen = servers if isinstance(servers, dict) else {name: 1 for name in servers}
    return (director_block(extra=director) + cluster(chosen, check=check, extra=extra, **options)
            + bgp(policy, more=more))


def routes(director, address: str = V4) -> list:
    """Metrics of the service IP's routes with our protocol number."""
    family = "-6" if ":" in address else "-4"
    lines = director.host.run("ip", family, "route", "show", "proto", "153").stdout.splitlines()
    ours = [line for line in lines if line.split()[0] == address]
    return [int(re.search(r"metric (\d+)", line).group(1)) for line in ours]


def announcement(director, address: str = V4) -> dict:
    entries = director.status()["announcements"]
    return next(entry for entry in entries if entry["prefix"].split("/")[0] == address)


def wait_state(director, state: str, reason: str = "", address: str = V4, timeout: float = 10):
    """Waits until it is so, in status and in the kernel, for that reason (a pattern)."""
    seen = {}

    def fits():
        seen.update(announcement(director, address), routes=routes(director, address))
        return (seen["state"] == state and re.fullmatch(reason, seen["reason"])
                and seen["routes"] == ([METRICS[state]] if state in METRICS else []))
    try:
        wait_for(f"{address} to be {state}: {reason}", fits, timeout, 0.02)
    except LabError as error:
        raise LabError(f"{error}; seen: {seen}") from None
    return seen


def tell_all(lab, command):
    for name in SERVERS:
        lab.servers[name].tell(command)


NO_QUORUM = r"192\.0\.2\.53:53/{}: quorum not met, 0 of 1"

# By name: what is done to (lab, director), and the state and reason of the IPv4 service IP.
INCIDENTS = {
    "nobody answers over UDP": (lambda lab, _: tell_all(lab, "udp off"),
                                "withdrawn", NO_QUORUM.format("udp")),
    "nobody answers over TCP": (lambda lab, _: tell_all(lab, "tcp off"),
                                "withdrawn", NO_QUORUM.format("tcp")),
    "all say SERVFAIL": (lambda lab, _: tell_all(lab, "mode rcode 2"),
                         "withdrawn", NO_QUORUM.format("(udp|tcp)")),
    "all are silent": (lambda lab, _: [lab.servers[n].pause() for n in SERVERS],
                       "withdrawn", NO_QUORUM.format("(udp|tcp)")),
    "all are dead": (lambda lab, _: [lab.servers[n].kill() for n in SERVERS],
                     "withdrawn", NO_QUORUM.format("(udp|tcp)")),
    "all are slow": (lambda lab, _: tell_all(lab, f"delay {round(stretched(1000))}"),
                     "withdrawn", NO_QUORUM.format("(udp|tcp)")),
    "all are drained": (lambda _, director: [director.command("drain", n) for n in SERVERS],
                        "withdrawn", NO_QUORUM.format("(udp|tcp)")),
    "two of three are dead": (lambda lab, _: [lab.servers[n].kill() for n in SERVERS[:2]],
                              "degraded", r"192\.0\.2\.53:53/(udp|tcp): 1 of the weight 3 is up, "
                                          r"less than low_water 50%"),
    "the operator withdraws it": (lambda _, director: director.command("withdraw", V4),
                                  "withdrawn", "withdrawn by the operator; `dnsdirector announce "
                                               r"192\.0\.2\.53` takes it back"),
    "the director is drained": (lambda _, director: director.command("drain", "--all"),
                                "withdrawn", "this director is drained by the operator"),
}


def mend(lab, director):
    for name in SERVERS:
        server = lab.servers[name]
        if not server.running():
            server.start(wait=False)
        server.go_on()
    tell_all_when_there(lab)
    director.command("announce", V4)
    director.command("undrain", "--all")
    for name in SERVERS:
        director.command("undrain", name)


def tell_all_when_there(lab):
    for name in SERVERS:
        server = lab.servers[name]
        server.wait_ready()
        for command in ("udp on", "tcp on", "mode answer", "delay 0"):
            server.tell(command)


def test_each_incident_is_explained_and_the_kernel_route_follows(lab):
    policy = "min_interval 0s; low_water 50%; high_water 60%"
    with Director(lab, config(policy=policy, more="draining_time 200ms")) as director:
        wait_state(director, "announced")
        for name, (harm, state, reason) in INCIDENTS.items():
            print(name)
            before = announcement(director)["transitions"]
            harm(lab, director)
            seen = wait_state(director, state, reason)
            assert seen["transitions"] > before and seen["since"].endswith("Z")
            text = director.command("status").stdout
            assert re.search(rf"{V4}/32 +{state} .*{reason}", text), text
            mend(lab, director)
            wait_state(director, "announced")


def test_one_family_fails_alone(lab):
    only_v4 = check_block(extra="")
    servers = {"s1": 1}
    with Director(lab, config(servers, check=only_v4)) as director:
        wait_state(director, "announced")
        wait_state(director, "announced", address=V6)
        lab.host("s1").ip(f"addr del {plan.server_v6(1)}/64 dev eth0")
        try:
            wait_state(director, "withdrawn", r"\[2001:db8::53\]:53/(udp|tcp): quorum not met, "
                                              "0 of 1", address=V6)
            wait_state(director, "announced")
        finally:
            lab.host("s1").ip(f"addr add {plan.server_v6(1)}/64 dev eth0 nodad")
        wait_state(director, "announced", address=V6)


def test_a_service_that_is_not_needed_withdraws_nothing(lab):
    with Director(lab, config(policy="needs udp; min_interval 0s")) as director:
        wait_state(director, "announced")
        tell_all(lab, "tcp off")
        director.wait_states(s1="down", s2="down", s3="down", where={"protocol": "tcp"})
        wait_state(director, "announced")
        tell_all(lab, "udp off")
        wait_state(director, "withdrawn", NO_QUORUM.format("udp"))


def test_a_quorum_with_hysteresis_says_so(lab):
    with Director(lab, config(extra="quorum 2\nhysteresis 1\n")) as director:
        wait_state(director, "announced")
        lab.servers["s1"].kill()
        lab.servers["s2"].kill()
        lab.servers["s3"].kill()
        wait_state(director, "withdrawn", r"192\.0\.2\.53:53/(udp|tcp): quorum not met, "
                                          r"0 of 2 \+ 1 \(quorum \+ hysteresis\)")


def test_nothing_is_announced_before_all_servers_were_judged(lab):
    slow = check_block(every="3s", timeout="2s", rise=1)
    lab.servers["s2"].pause()
    with Director(lab, config(check=slow)) as director:
        wait_state(director, "withdrawn", r"s2 of 192\.0\.2\.53:53/(udp|tcp) was not judged yet")
        assert director.states(address=V4, protocol="udp")["s1"] == "up"
        lab.servers["s2"].go_on()
        wait_state(director, "announced")


def test_a_server_that_a_reload_adds_withdraws_nothing_while_it_is_not_judged(lab):
    slow = check_block(every="3s", timeout="2s", rise=1)
    with Director(lab, config(["s1", "s3"], check=slow)) as director:
        wait_state(director, "announced")
        before = announcement(director)["transitions"]
        lab.servers["s2"].pause()
        director.reload(config(check=slow))
        wait_state(director, "announced",
                   r"as before, since s2 of 192\.0\.2\.53:53/(udp|tcp) was not judged yet")
        lab.servers["s2"].go_on()
        wait_state(director, "announced")
        assert announcement(director)["transitions"] == before


def test_a_better_state_waits_for_min_interval(lab):
    with Director(lab, config(policy="min_interval 3s")) as director:
        wait_state(director, "announced")
        tell_all(lab, "udp off")
        wait_state(director, "withdrawn", NO_QUORUM.format("udp"))
        tell_all(lab, "udp on")
        wait_state(director, "withdrawn", "well enough to be announced again, which waits for "
                                          "min_interval, 3s")
        wait_state(director, "announced")


def test_the_operators_word_is_kept_over_kill_9(lab):
    with Director(lab, config()) as director:
        wait_state(director, "announced")
        assert "withdrawn" in director.command("withdraw", V4).stdout
        director.kill9()
        director.start()
        wait_state(director, "announced", address=V6)
        wait_state(director, "withdrawn", "withdrawn by the operator.*")
        assert "announced" in director.command("announce", V4).stdout
        wait_state(director, "announced")
        refused = director.command("withdraw", "192.0.2.99", check=False)
        assert refused.returncode == 1 and "192.0.2.99 is no service IP" in refused.stderr


def test_a_stop_drains_then_withdraws_then_lingers(lab):
    with Director(lab, config(more="draining_time 3s")) as director:
        wait_state(director, "announced")
        with lab.load(rate=1000, seconds=20) as load:
            director.process.send_signal(signal.SIGTERM)
            wait_state(director, "draining", "this director stops")
            wait_state(director, "withdrawn", "this director stops")
            load.sleep(0.2)
            result = load.stop().finish()
        assert result.failed == 0, result  # forwarding outlives the announcement
        assert director.process.wait(stretched(10)) == 0
        links = director.host.run("ip", "-br", "link", "show").stdout
        assert "dnsdirector" not in links and routes(director) == [], links


def test_kill_9_without_systemd_takes_the_routes_away(lab):
    with Director(lab, config()) as director:
        wait_state(director, "announced")
        director.kill9()
        wait_for("the routes to go", lambda: routes(director) == [], 5, 0.005)
        assert routes(director, V6) == []
        director.start()
        wait_state(director, "announced")


def test_usr2_keeps_the_very_same_routes(lab):
    with Director(lab, config()) as director:
        wait_state(director, "announced")
        with RouteWatch(director, V4, V6) as watch:
            before = director.status()["started_at"]
            director.process.send_signal(signal.SIGUSR2)
            wait_for("the new program", lambda: director.status()["started_at"] != before, 15)
            wait_state(director, "announced")
            assert watch.changes() == []


@pytest.mark.parametrize("mischief", [
    f"route del {V4} proto 153", "link set dnsdirector0 down", "link del dnsdirector0",
    f"route add {V4} dev dnsdirector0 proto 153 metric 100"])
def test_what_others_do_to_the_routes_is_put_right(lab, mischief):
    with Director(lab, config()) as director:
        wait_state(director, "announced")
        director.host.ip(mischief)
        wait_state(director, "announced")
        wait_state(director, "announced", address=V6)
        assert "they are put right" in director.read_log()


def test_a_reload_adds_and_removes_what_is_announced(lab):
    both = config()
    without = director_block() + cluster({name: 1 for name in SERVERS})
    with Director(lab, without) as director:
        wait_for("a verdict", lambda: announcement(director)["state"] == "announced")
        assert routes(director) == [] and not announcement(director)["bgp"]
        director.reload(both)
        wait_state(director, "announced")
        wait_state(director, "announced", address=V6)
        director.reload(both.replace(f"announce {V4} {V6}", f"announce {V4}"))
        wait_state(director, "announced")
        assert routes(director, V6) == []
        director.reload(without)
        assert routes(director) == [] and routes(director, V6) == []
