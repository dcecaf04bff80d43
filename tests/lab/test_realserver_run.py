# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector realserver run`: what others change is repaired, and a service IP that nobody
answers for is withdrawn."""

import os
import re
import signal
import time

from lab import figures, plan, wait_for
from lab.agent import (EVERY, FALL, RISE, TABLE, V4, V6, WITHDRAW, Agent, Named, check, has_rule,
                       held, plain, processes, without_counts)
from lab.director import binary
from lab.real_server import SECOND_V4, SERVER_V4, SERVER_V6, Ear
from lab.routing import Bird, generated
from lab.system import run, stretched
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import Ether

# A look each second, and a look takes a while.
REPAIRED_IN = 2.5


def sysctl(machine, path: str) -> str:
    def read():
        with open(f"/proc/sys/net/{path}", encoding="ascii") as file:
            return file.read().strip()
    return machine.server.call(read)


# What somebody does: the command, and what the log says of its repair.
DRIFT = {
    "the IPv4 service IP is gone": (("ip", "addr", "del", f"{V4}/32", "dev", "lo"),
                                    f"added {V4}/32 to lo"),
    "the IPv6 service IP is gone": (("ip", "addr", "del", f"{V6}/128", "dev", "lo"),
                                    f"added {V6}/128 to lo"),
    "they are flushed": (("ip", "addr", "flush", "dev", "lo", "to", "192.0.2.0/24"),
                         f"added {V4}/32 to lo"),
    "arp_ignore is 0": (("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"),
                        r"set net.ipv4.conf.all.arp_ignore to 1 \(was 0\)"),
    "arp_announce is 0": (("sysctl", "-qw", "net.ipv4.conf.all.arp_announce=0"),
                          r"set net.ipv4.conf.all.arp_announce to 2 \(was 0\)"),
    "the filter is strict": (("sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=1"),
                             r"set net.ipv4.conf.eth1.rp_filter to \d \(was 1\)"),
    "our table is deleted": (("nft", "delete", "table", "inet", TABLE),
                             f"made nftables table inet {TABLE}"),
    "our rules are flushed": (("nft", "flush", "table", "inet", TABLE),
                              f"replaced nftables table inet {TABLE}"),
    "all tables are flushed": (("nft", "flush", "ruleset"),
                               f"made nftables table inet {TABLE}"),
    "a chain of ours is added to": (("nft", "insert", "rule", "inet", TABLE, "prerouting",
                                     "drop"), f"replaced nftables table inet {TABLE}"),
}


def test_what_others_change_is_repaired_within_a_second_or_two_and_logged(machine):
    with Agent(machine, processes()) as agent:
        as_it_was = without_counts(machine.picture())
        looks = agent.kept()["looks"]
        wait_for("some looks", lambda: agent.kept()["looks"] > looks + 3)
        assert agent.kept()["repairs"] == 0 and agent.kept()["last_repairs"] == []
        took = {}
        for name, (harm, said) in DRIFT.items():
            logged = len(re.findall(f"repaired: {said}", agent.read_log()))
            machine.server.run(*harm)
            begun = time.monotonic()
            wait_for(f"{name}: the line in the log", lambda said=said, logged=logged: len(
                re.findall(f"repaired: {said}", agent.read_log())) > logged, 10, every=0.01)
            took[name] = time.monotonic() - begun
            wait_for(f"{name}: all as it was",
                     lambda: without_counts(machine.picture()) == as_it_was, 5)
        figures.note("drift repaired after, in ms: " + ", ".join(
            f"{name} {1000 * each:.0f}" for name, each in took.items()))
        assert max(took.values()) < stretched(REPAIRED_IN), took
        kept = agent.kept()
        assert kept["well"] and kept["repairs"] >= len(DRIFT)
        assert re.search(DRIFT["a chain of ours is added to"][1], kept["last_repairs"][-1]["what"])
        text = agent.command("status").stdout
        assert f"{V4} held, {V6} held on lo  all as the file says" in text, text
        assert f"{kept['repairs']} repaired, the last " in text, text


def test_what_somebody_else_makes_stays(machine):
    with Agent(machine, processes()) as agent:
        machine.server.ip("addr add 192.0.2.99/32 dev lo")
        machine.server.run("nft", "-f", "-", input="table inet foreign {\n chain c {\n }\n}\n")
        looks = agent.kept()["looks"]
        wait_for("some looks", lambda: agent.kept()["looks"] > looks + 2)
        assert held(machine, "192.0.2.99") and has_rule(machine, "table inet foreign")
        assert agent.kept()["repairs"] == 0
    machine.server.run("nft", "delete", "table", "inet", "foreign")
    machine.server.ip("addr del 192.0.2.99/32 dev lo")


def test_an_interface_that_goes_is_a_problem_until_it_is_back(machine):
    machine.server.ip("link add dns0 type bridge",
                      "link set dns0 up")
    try:
        with Agent(machine, plain("interface dns0")) as agent:
            assert held(machine, V4, "dns0")
            machine.server.ip("link del dns0")
            wait_for("the problem", lambda: not agent.kept()["well"])
            assert any("dns0" in line for line in agent.kept()["problems"])
            assert "NOT as the file says" in agent.command("status").stdout
            problems = len(re.findall(r"\[error\]|error", agent.read_log()))
            looks = agent.kept()["looks"]
            wait_for("more looks", lambda: agent.kept()["looks"] > looks + 2)
            assert len(re.findall(r"\[error\]|error", agent.read_log())) == problems
            machine.server.ip("link add dns0 type bridge",
                      "link set dns0 up")
            wait_for("the repair", lambda: agent.kept()["well"] and held(machine, V4, "dns0"))
            wait_for("the log to say so", lambda: "the real server again that the file says"
                     in agent.read_log(), 5)
    finally:
        machine.server.run("ip", "link", "del", "dns0", check=False)


def ask_from_outside(machine, ear: Ear, interface: str, number: int):
    """A client's question by this interface."""
    question = (IP(src=plan.CLIENT_V4, dst=V4) / UDP(sport=40000 + number, dport=53)
                / DNS(id=number, qd=DNSQR(qname="who.example.com", qtype="TXT")))
    machine.send(interface, bytes(Ether(dst=machine.macs["server"][interface],
                                        src=machine.macs["neighbour"][interface]) / question))


def heard(ear: Ear) -> list:
    """What the server sent to the client: names in answers, "icmp" for a refusal."""
    said = []
    for _, packet in ear.frames():
        if IP not in packet or packet[IP].dst != plan.CLIENT_V4:
            continue
        if ICMP in packet:
            said.append("icmp")
        elif DNS in packet and packet[IP].src == V4:
            said.append((packet[DNS].id, packet[DNS].an.rdata[0].decode()))
    return said


def answered(machine, ear: Ear, interface: str, number: int, name: str):
    wait_for(f"{name} to answer what came in by {interface}", lambda: (
        ask_from_outside(machine, ear, interface, number), (number, name) in heard(ear))[1], 5,
        every=0.1)


def fall_time() -> float:
    """Until the verdict: the rounds, a time-out, and the look."""
    return stretched(EVERY * (FALL + 2) + 1.0)


def test_a_dns_server_on_the_service_ip_dies_and_comes_back(machine):
    """The address stays, on which BIND listens; packets from outside are dropped."""
    ear = Ear(machine.neighbour)
    machine.configuration(plain())
    machine.command("up")
    server = Named(machine.server, machine.directory, "plain", [V4, V6])
    server.start()
    try:
        with Agent(machine, plain(WITHDRAW)) as agent:
            agent.wait_states(local="up")
            assert not has_rule(machine, "chain withheld")
            answered(machine, ear, "eth0", 1, "plain")

            begun = time.monotonic()
            server.kill()
            wait_for("the rules", lambda: has_rule(machine, f"ip daddr {V4} drop")
                     and has_rule(machine, f"ip6 daddr {V6} drop"), 10)
            took = time.monotonic() - begun
            assert took < fall_time(), took
            agent.wait_withdrawn(V4, V6)
            assert held(machine, V4) and held(machine, V6)
            before = len(heard(ear))
            ask_from_outside(machine, ear, "eth0", 2)
            machine.send("eth0", bytes(
                Ether(dst=machine.macs["server"]["eth0"], src=machine.macs["neighbour"]["eth0"])
                / IP(src=plan.CLIENT_V4, dst=SERVER_V4) / ICMP(id=7)))
            wait_for("the answer to a later ping", lambda: "icmp" in heard(ear)[before:], 5)
            assert heard(ear)[before:] == ["icmp"]
            assert f"{V4} WITHDRAWN, {V6} WITHDRAWN on lo" in agent.command("status").stdout

            begun = time.monotonic()
            server.start()
            wait_for("no rules", lambda: not has_rule(machine, "chain withheld"), 20)
            back = time.monotonic() - begun
            agent.wait_withdrawn()
            answered(machine, ear, "eth0", 3, "plain")
            figures.note(f"a DNS server on the service IP dies: withdrawn {took * 1000:.0f} ms "
                         f"after its end (fall {FALL}, every {EVERY * 1000:.0f} ms); it starts: "
                         f"back {back * 1000:.0f} ms after (its own start included, rise {RISE})")
            assert agent.kept()["repairs"] == 0
    finally:
        server.kill()
        ear.close()


def test_of_two_processes_the_last_one_takes_the_service_ips_along(machine):
    ear = Ear(machine.neighbour)
    one = Named(machine.server, machine.directory, "one", [SECOND_V4, SERVER_V6], 5301)
    two = Named(machine.server, machine.directory, "two", [SERVER_V4], 5302)
    config = processes(WITHDRAW).replace(f"{SERVER_V4}:5302 [{SERVER_V6}]:5302",
                                         f"{SERVER_V4}:5302")
    for server in (one, two):
        server.start()
    try:
        with Agent(machine, config) as agent:
            agent.wait_states(one="up", two="up")
            answered(machine, ear, "eth1", 11, "one")
            answered(machine, ear, "eth2", 12, "two")
            wait_for("counts of the rules", lambda: {
                rule["process"] for rule in agent.kept()["rules"]
                if rule["protocol"] == "udp" and rule["way"] == "queries" and rule["packets"]
            } == {"one", "two"}, 15)

            begun = time.monotonic()
            one.kill()  # nobody else listens on IPv6
            wait_for("the IPv6 service IP to go", lambda: not held(machine, V6), 10)
            took = time.monotonic() - begun
            assert took < fall_time(), took
            agent.wait_withdrawn(V6)
            assert held(machine, V4)
            answered(machine, ear, "eth2", 13, "two")

            two.kill()
            wait_for("the IPv4 service IP to go", lambda: not held(machine, V4), 10)
            agent.wait_withdrawn(V4, V6)
            # Quiet all the while: it must not be heard of when it comes back.
            assert sysctl(machine, "ipv4/conf/all/arp_ignore") == "1"
            before = len(heard(ear))
            ask_from_outside(machine, ear, "eth2", 14)

            two.start()
            wait_for("the IPv4 service IP to be back", lambda: held(machine, V4), 20)
            agent.wait_withdrawn(V6)
            answered(machine, ear, "eth2", 15, "two")
            assert (14, "two") not in heard(ear)[before:] and "icmp" not in heard(ear)[before:]
            one.start()
            agent.wait_withdrawn(timeout=20)
            assert held(machine, V6)
            figures.note("the last process of a family dies: its service IP is gone after "
                         f"{took * 1000:.0f} ms")
    finally:
        one.kill()
        two.kill()
        ear.close()


def test_a_start_that_is_refused_leaves_nothing(machine):
    before = machine.picture()
    agent = Agent(machine, plain("interface eth0"))
    agent.start(wait=False)
    assert agent.process.wait(15) == 1
    assert "write `interface lo`" in agent.read_log(), agent.read_log()
    assert machine.picture() == before


def test_reload_changes_the_difference_or_nothing(machine):
    with Agent(machine, processes(check())) as agent:
        agent.write(processes(check()).replace(V4, "192.0.2.54"))
        planned = agent.command("plan", "-f", agent.config, check=False)
        assert planned.returncode == 2 and f"remove {V4}/32 from lo" in planned.stdout
        assert held(machine, V4)
        lines = agent.command("reload").stdout.splitlines()
        assert f"removed {V4}/32 from lo" in lines and "added 192.0.2.54/32 to lo" in lines
        assert f"{V4}:53/udp: remove service" in lines, lines
        assert held(machine, "192.0.2.54") and not held(machine, V4)

        agent.write(processes(WITHDRAW).replace(V4, "192.0.2.54"))
        assert "withdraw_on_failure off -> on" in agent.command("reload").stdout
        agent.wait_withdrawn("192.0.2.54", V6)  # nobody is there
        agent.write(processes(check()).replace(V4, "192.0.2.54"))
        agent.command("reload")
        agent.wait_withdrawn()
        assert held(machine, "192.0.2.54") and held(machine, V6)

        before = without_counts(machine.picture())
        for text, said in ((processes().replace("eth2", "eth9"), "eth9"),
                           ("realserver { nonsense }\n", "nonsense"),
                           (director_file(), "no realserver block")):
            agent.write(text)
            refused = agent.command("reload", check=False)
            assert refused.returncode == 1 and said in refused.stdout + refused.stderr, refused
            assert without_counts(machine.picture()) == before
        assert agent.status()["config"]["generation"] == 4
        agent.write(processes(check()))
        agent.process.send_signal(signal.SIGHUP)
        wait_for("the file by HUP", lambda: held(machine, V4))
        assert agent.kept()["repairs"] == 0


def director_file() -> str:
    return (f"director {{ dataplane none }}\ndns_cluster c {{\n service_ip {V4}\n"
            f" check {{ query \"www.example.com A\" }}\n"
            f" real_server s1 {{ address {SERVER_V4} }}\n}}\n")


def test_each_role_refuses_the_others_file(machine):
    path = machine.configuration(plain())
    done = machine.server.run(binary(), "run", "-f", path, "--run-dir", machine.run_dir,
                              check=False)
    assert done.returncode == 1 and f"realserver run -f {path}" in done.stderr, done
    agent = Agent(machine, director_file())
    agent.start(wait=False)
    assert agent.process.wait(15) == 1
    assert "has no realserver block" in agent.read_log()


def test_up_and_down_beside_it_are_refused_and_metrics_tell(machine):
    with Agent(machine, processes(check())) as agent:
        for command, said in (("up", "dnsdirector reload"), ("down", "stop it")):
            done = machine.command(command, status=1)
            assert said in done.stderr, done
        assert machine.command("up", "--dry-run").stdout == ""
        machine.server.run("ip", "addr", "del", f"{V4}/32", "dev", "lo")
        wait_for("the repair", lambda: agent.kept()["repairs"] == 1)
        text = metrics(agent)
        for line in (f'dnsdirector_realserver_service_ip_held{{service_ip="{V4}"}} 1',
                     "dnsdirector_realserver_repairs_total 1", "dnsdirector_realserver_well 1"):
            assert line in text.splitlines(), text
        wait_for("counters", lambda: 'realserver_rule_packets_total{process="one"' in
                 metrics(agent), 10)


def metrics(agent) -> str:
    return run("curl", "-s", "--unix-socket", os.path.join(agent.run_dir, "api.sock"),
               "http://d/metrics").stdout


CORE = f"""\
log stderr all;
router id {plan.ROUTER_V4};
protocol device {{ }}
protocol bgp agent {{
  local {plan.ROUTER_V4} as 64512; neighbor {SERVER_V4} as 64512; direct;
  error wait time 1, 2; connect delay time 1; connect retry time 1;
  ipv4 {{ import all; export none; }};
}}
"""


def test_routers_hear_when_the_dns_server_is_gone(machine, can_route):
    config = plain(check()) + f"""\
bgp {{
  local_as 64512
  router_id {SERVER_V4}
  neighbor {plan.ROUTER_V4} {{ remote_as 64512 }}
  announce {V4} {{ min_interval 0s }}
}}
"""
    core = Bird(machine.neighbour, machine.directory).start(CORE)
    server = Named(machine.server, machine.directory, "announced", [V4, V6])
    own = None
    try:
        with Agent(machine, config) as agent:
            server.start()
            own = Bird(machine.server, machine.directory).start(generated(agent.config, "bird"))
            agent.wait_states(local="up")
            wait_for("the router to hear of it", lambda: core.prefixes() == {f"{V4}/32"}, 60)
            begun = time.monotonic()
            server.kill()
            wait_for("the router to hear of its end", lambda: not core.prefixes(), 15)
            took = time.monotonic() - begun
            assert held(machine, V4)  # not asked for
            server.start()
            wait_for("it to be announced again", lambda: core.prefixes() == {f"{V4}/32"}, 30)
            figures.note("agent, BIRD: the DNS server dies, the router has no route after "
                         f"{took * 1000:.0f} ms")
            assert took < fall_time()
            agent.stop()
            wait_for("the end of the announcement", lambda: not core.prefixes(), 15)
            assert not held(machine, V4)
    finally:
        server.kill()
        for bird in (own, core):
            if bird:
                bird.stop()
