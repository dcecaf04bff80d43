# SPDX-License-Identifier: Apache-2.0
"""The first line of `why` names the cause, for one prepared incident each.

All incidents happen at the same time to one director: each has a service port
and a cluster of its own. s1 runs a server that misbehaves in another way on
each port; s2 to s4 run the lab's own server, which can change its ways.
"""

import json
import os
import re
import subprocess

import pytest
from lab import plan, wait_for
from lab.director import Director, director_block

TOOL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools", "misbehave.py")
SECOND_V4 = "192.0.2.54"
GONE_SOURCE, SILENT_NEIGHBOUR = "203.0.113.9", plan.server_v4(89)
FAR_INTERFACE, FAR_V4, FAR_SERVER = "far0", "192.0.2.1", "192.0.2.2"
TIME = r"\d\d:\d\d:\d\d"
QUESTION = r"www\.example\.com\. A"


class Cluster:
    """One dns_cluster: `servers` are (name, address, more), `check` its lines."""

    port = 1000

    def __init__(self, name, servers=None, behaviour="answers", check="", lines="", port=None,
                 protocol="udp", all_down="empty", service_ip=plan.SERVICE_V4,
                 timing="every 100ms; timeout 100ms"):
        self.name, self.behaviour, self.check = name, behaviour, check
        self.servers = servers or [("s1", plan.server_v4(1), "")]
        self.lines, self.protocol, self.timing = lines, protocol, timing
        self.all_down, self.service_ip = all_down, service_ip
        if port is None:
            Cluster.port += 1
            port = Cluster.port
        self.port = port

    def text(self) -> str:
        servers = "".join(f"    real_server {n} {{ address {a}; {more} }}\n"
                          for n, a, more in self.servers)
        timing = self.timing.replace("; ", "\n        ")
        return f"""dns_cluster {self.name} {{
    service_ip {self.service_ip}
    port {self.port}
    protocol {self.protocol}
    on_all_down {self.all_down}
    {self.lines}
    check {{
        query "{plan.WWW_NAME} A"
        {timing}
        tries 1
        rise 2
        fall 2
        fail_on SERVFAIL REFUSED
        transport {self.protocol}
        {self.check}
    }}
{servers}}}
"""


def script_service(port: int, path: str, lines: str = "") -> str:
    return f"""virtual_server {plan.SERVICE_V4} {port} {{
    delay_loop 1
    lb_algo wrr
    lb_kind DR
    protocol UDP
    {lines}
    real_server {plan.server_v4(1)} {port} {{
        weight 1
        MISC_CHECK {{
            misc_path "{path}"
            misc_timeout 1
        }}
    }}
}}
"""


def on(*names):
    numbers = [int(name[1:]) for name in names]
    return [(f"s{n}", plan.server_v4(n), "") for n in numbers]


OWN_PORT = 53  # where s2 to s4 listen
CLUSTERS = [
    Cluster("wrong", check="expect answer 198.51.100.99"),
    Cluster("nodata", behaviour="nodata", check="expect answer 198.51.100.99"),
    Cluster("servfail", behaviour="servfail"),
    Cluster("refusing", behaviour="refused"),
    Cluster("silent", behaviour="silence"),
    Cluster("closed", behaviour="unreachable"),
    Cluster("reopened", behaviour="unreachable"),
    Cluster("garbled", behaviour="garbage"),
    Cluster("cut", behaviour="truncated", check="on_truncated fail"),
    Cluster("limited", behaviour="servfail", lines="max_out 40%", servers=on("s1", "s2")),
    Cluster("last", servers=on("s4"), service_ip=SECOND_V4, port=OWN_PORT, protocol="tcp",
            all_down="hold"),
    Cluster("nosource", check=f"source {GONE_SOURCE}"),
    Cluster("idle", servers=[("s1", plan.server_v4(1), "weight 0")]),
    Cluster("nobody", servers=[("s9", SILENT_NEIGHBOUR, "")]),
    Cluster("faraway", servers=[("s8", FAR_SERVER, "")]),
    Cluster("fine"),
    Cluster("halved", servers=on("s2", "s3", "s4"), port=OWN_PORT, protocol="udp tcp",
            lines="slow_start 10m"),
]
LATE_PORT, FAILING_PORT, UNTESTED_PORT, SORRY_PORT = 2001, 2002, 2003, 2004
SERVFAIL_PORT = next(cluster.port for cluster in CLUSTERS if cluster.name == "servfail")
SORRY = f"{plan.server_v4(4)}:{SORRY_PORT}"

# What is asked, and what the first line says.
INCIDENTS = {
    "wrong answer": ("wrong/s1", "OUT of wrong/udp", "wrong answer", "198.51.100.80",
                     "198.51.100.99", QUESTION, rf"since {TIME} \(fall 2 reached\)"),
    "no such record": ("nodata/s1", "OUT of nodata/udp", "wrong answer", "no A record"),
    "SERVFAIL": ("servfail/s1", rf"^s1 203\.0\.113\.11:\d+ is OUT of servfail/udp: "
                 rf"SERVFAIL to {QUESTION} since {TIME} \(fall 2 reached\)$"),
    "REFUSED": ("refusing/s1", "OUT of refusing/udp", f"REFUSED to {QUESTION}"),
    "silence": ("silent/s1", "OUT of silent/udp", f"no reply to {QUESTION}", "timeout"),
    "ICMP refusal": ("closed/s1", "OUT of closed/udp", "connection refused",
                     "a refusal counts at once"),
    # Refused at first, and out for another reason now: that one is named.
    "SERVFAIL after a refusal": ("reopened/s1", "OUT of reopened/udp", f"SERVFAIL to {QUESTION}",
                                 rf"since {TIME} \(fall 2 reached\); out since {TIME}$"),
    "malformed reply": ("garbled/s1", "OUT of garbled/udp", "malformed"),
    "truncated": ("cut/s1", "OUT of cut/udp", "truncated", QUESTION),
    "held by max_out": ("limited/s1", "is IN limited/udp although it is down",
                        "held by max_out 40%", "SERVFAIL"),
    "held by on_all_down": ("last/s4", "is IN last/tcp although it is down",
                            "held by on_all_down", "connection refused"),
    "check source gone": ("nosource/s1", "OUT of nosource/udp", "this director cannot ask it",
                          rf"{re.escape(GONE_SOURCE)}.*not an address of this machine"),
    "weight 0": ("idle/s1", "gets no new work of idle/udp", "weight is 0"),
    "no neighbour": ("nobody/s9", "OUT of nobody/udp", "no ARP answer"),
    "interface down": ("faraway/s8", "OUT of faraway/udp", "interface far0 is down"),
    "all is well": ("fine/s1", r"is IN fine/udp \(weight 1, 100% of new work\)"),
    "TCP down": ("halved/s4", "OUT of halved/tcp", "connection refused", "over TCP",
                 "1 more below"),
    "drained": ("halved/s3", "OUT of halved/udp and halved/tcp", "drained by the operator"),
    "slow start": ("halved/s2", "IN halved/udp", "slow start, step 1 of 20"),
    "late script": (f"{plan.server_v4(1)}:{LATE_PORT}", f"OUT of .*:{LATE_PORT}/udp",
                    r"timed out after 1s \(misc /bin/sleep\)"),
    "failing script": (f"{plan.server_v4(1)}:{FAILING_PORT}", f"OUT of .*:{FAILING_PORT}/udp",
                       "exit status 3", "its first verdict: out until it passes"),
    "service": (f"{plan.SERVICE_V4}:{SORRY_PORT}", rf"^192\.0\.2\.53:{SORRY_PORT}/udp: the quorum "
                r"is NOT MET \(servers up weigh 0, needed 1\)",
                f"the sorry server {re.escape(SORRY)} has all the work", "exit status 3"),
    "sorry server": (SORRY, f"^the sorry server {re.escape(SORRY)} of ", "IN USE", "NOT MET"),
    "service without work": (f"{plan.SERVICE_V4}:{SERVFAIL_PORT}/udp",
                             "^servfail/udp ", "NOT MET", "on_all_down empty",
                             "queries are refused",
                             f"s1 203.* is OUT of servfail/udp: SERVFAIL to {QUESTION}"),
    "service with some out": (f"{plan.SERVICE_V4}:{OWN_PORT}/udp", "^halved/udp ", "quorum is met",
                              r"2 of 3 servers get its work \(s2, s4\)", "s3 .*drained"),
    "not tested yet": (f"{plan.server_v4(1)}:{UNTESTED_PORT}", "is not IN", "not tested yet"),
}


def configuration() -> str:
    text = director_block() + "".join(cluster.text() for cluster in CLUSTERS)
    text += script_service(LATE_PORT, "/bin/sleep 30")
    text += script_service(FAILING_PORT, "/bin/sh -c 'exit 3'", "retry 2")
    text += script_service(SORRY_PORT, "/bin/sh -c 'exit 3'",
                           f"retry 2\n    sorry_server {plan.server_v4(4)} {SORRY_PORT}")
    text += script_service(UNTESTED_PORT, "/bin/true", "alpha\n    warmup 600")
    return text


def misbehave(lab, ways):
    """s1 does so on each (port, behaviour)."""
    words = [str(word) for way in ways for word in (plan.server_v4(1), *way)]
    server = subprocess.Popen(lab.host("s1").argv("/usr/bin/python3", TOOL, *words),
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "ready\n"
    return server


def cause_incidents(lab, director):
    """What cannot be so from the start: servers that were up until now."""
    director.wait_states(s2="up", s3="up", s4="up", where={"cluster": "halved"})
    director.wait_states(s1="up", where={"cluster": "nosource"})
    director.wait_states(s4="up", where={"cluster": "last"})
    lab.director_host.ip(f"addr del {GONE_SOURCE}/24 dev eth0",
                         f"link set {FAR_INTERFACE} down")
    lab.servers["s4"].tell("tcp off")
    director.command("drain", "halved/s3")
    lab.servers["s2"].tell("mode rcode 2")
    director.wait_states(s2="down", where={"cluster": "halved"})
    lab.servers["s2"].tell("mode answer")


@pytest.fixture(scope="module")
def scene(answer_lab):
    lab = answer_lab
    lab.director_host.ip(f"addr add {GONE_SOURCE}/24 dev eth0",
                         f"link add {FAR_INTERFACE} type veth peer name far1",
                         f"addr add {FAR_V4}/28 dev {FAR_INTERFACE}",
                         f"link set {FAR_INTERFACE} up", "link set far1 up")
    servers = [misbehave(lab, [(cluster.port, cluster.behaviour) for cluster in CLUSTERS
                               if cluster.port != OWN_PORT])]
    try:
        with Director(lab, configuration()) as director:
            director.wait_states(s1="down", where={"cluster": "reopened"})
            servers.append(misbehave(lab, [(cluster.port, "servfail") for cluster in CLUSTERS
                                           if cluster.name == "reopened"]))
            cause_incidents(lab, director)
            yield director
    finally:
        for server in servers:
            server.stdin.close()
            server.wait(5)
        lab.director_host.ip(f"link del {FAR_INTERFACE}")
        lab.director_host.run("ip", "addr", "del", f"{GONE_SOURCE}/24", "dev", "eth0", check=False)
        for each in lab.servers.values():
            for command in ("mode answer", "tcp on"):
                each.tell(command)


def first_line(director, target: str) -> str:
    return director.command("why", target).stdout.split("\n", 1)[0]


@pytest.mark.parametrize("incident", INCIDENTS)
def test_the_first_line_names_the_cause(scene, incident):
    target, *wanted = INCIDENTS[incident]

    def named():
        line = first_line(scene, target)
        missing = [words for words in wanted if not re.search(words, line)]
        if missing:
            raise OSError(f"{missing} not in: {line}")
        return True
    wait_for(f"why {target} to name {incident}", named, 12, every=0.2)


def server_of(director, target: str) -> dict:
    return json.loads(director.command("why", "--json", target).stdout)["servers"][0]


def test_it_shows_verdicts_rule_reply_kernel_and_the_way_back(scene):
    wait_for("SERVFAIL", lambda: "SERVFAIL" in first_line(scene, "servfail/s1"), 10)
    text = scene.command("why", "servfail/s1").stdout
    assert re.search(r"^    rule +fall 2 reached$", text, re.M), text
    assert re.search(r"^    back by +2 passes in a row of the check dns www.* within 100ms$", text,
                     re.M), text
    assert re.search(r"^    check +dns .*: down: \d+ SERVFAIL; the last ", text, re.M), text
    assert "status: SERVFAIL" in text and ";; QUESTION SECTION" in text, text

    target = f"{plan.server_v4(1)}:{FAILING_PORT}"
    wait_for("the script's failure", lambda: "OUT" in first_line(scene, target), 10)
    text = scene.command("why", target).stdout
    assert re.search(r"the data plane was told: .*real server .* removed", text), text
    assert "by hand  /bin/sh -c 'exit 3'" in text, text


def test_the_command_by_hand_gives_the_same_answer(scene):
    check = server_of(scene, "refusing/s1")["checks"][0]
    assert check["by_hand"].startswith("dig ") and "+time=1" in check["by_hand"]
    output = scene.host.run("sh", "-c", check["by_hand"]).stdout
    assert "status: REFUSED" in output
    assert "status: REFUSED" in check["failing_reply"]["text"]


def test_the_last_fifty_verdicts_are_there_and_survive_a_reload(scene):
    def fifty():
        return len(server_of(scene, "servfail/s1")["checks"][0]["verdicts"]) == 50
    wait_for("fifty verdicts", fifty, 15, every=0.3)
    before = server_of(scene, "servfail/s1")
    assert sum("reply" in verdict for verdict in before["checks"][0]["verdicts"]) == 3
    scene.reload()
    after = server_of(scene, "servfail/s1")
    assert len(after["checks"][0]["verdicts"]) == 50
    assert after["decisions"] == before["decisions"] != []


def test_an_unknown_target_is_an_error(scene):
    done = scene.command("why", "s77", check=False)
    assert done.returncode == 1 and "s77" in done.stderr
    done = scene.command("why", "x" * 100000, check=False)
    assert done.returncode == 1 and "at most" in done.stderr and len(done.stderr) < 300


def test_a_service_has_a_line_for_each_server(scene):
    text = scene.command("why", f"{plan.SERVICE_V4}:{OWN_PORT}/udp").stdout
    for name in ("s2", "s3", "s4"):
        assert re.search(rf"^    (servers)? +{name} \S+ is (IN|OUT)", text, re.M), text
    assert re.search(r"^    quorum +met, up \d+, needed 1$", text, re.M), text


def test_it_says_which_server_a_clients_packets_get(scene):
    def answer(*arguments):
        return scene.command("why", *arguments).stdout.split("\n", 1)[0]
    udp = answer("198.51.100.10:4242", f"{plan.SERVICE_V4}/udp")
    assert "every packet anew" in udp and "s4 203.0.113.14:53" in udp and "s3" not in udp, udp
    tcp = answer("198.51.100.10:4242", f"{plan.SERVICE_V4}:53/tcp")
    assert "goes to s2 203.0.113.12:53: the hash of addresses and ports is slot" in tcp, tcp
    none = answer("198.51.100.10:4242", "192.0.2.99")
    assert "not a service here" in none and "local stack" in none, none
    closed = next(cluster.port for cluster in CLUSTERS if cluster.name == "closed")
    nobody = answer("198.51.100.10:4242", f"{plan.SERVICE_V4}:{closed}")
    assert "no server of it has work" in nobody, nobody
    done = scene.command("why", "198.51.100.10", plan.SERVICE_V4, check=False)
    assert done.returncode == 1 and "ADDRESS:PORT" in done.stderr
