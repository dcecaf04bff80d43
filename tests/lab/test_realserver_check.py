# SPDX-License-Identifier: Apache-2.0
"""`dnsdirector realserver check`: faults put in by hand, each named with its mend.

A mend that is a command is carried out as it stands; one that says what to write into a DNS
server's file is written there. Then the next check finds nothing."""

import contextlib
import dataclasses
import json
import os
import re
import shlex

import pytest
from lab import plan
from lab.director import binary
from lab.processes import OwnBind, OwnUnbound
from lab.real_server import SECOND_V4, SERVER_V4, SERVER_V6, RealServerLab
from lab.system import run, wait_for

V4, V6 = plan.SERVICE_V4, plan.SERVICE_V6
QUESTIONS = """\
  large_query "large.example.com TXT"
  check { query "who.example.com TXT" }
"""
PLAIN = f"realserver {{\n  service_ip {V4} {V6}\n{QUESTIONS}}}\n"
PROCESSES = f"""\
realserver {{
  service_ip {V4} {V6}
  process one {{ input eth1; listen {SECOND_V4}:5301 [{SERVER_V6}]:5301 }}
  process two {{ input eth2; listen {SERVER_V4}:5302 [{SERVER_V6}]:5302 }}
{QUESTIONS}}}
"""
TUNNELS = PLAIN.replace("service_ip", f"tunnel {SERVER_V4} {SERVER_V6}\n  service_ip")
# Nothing that is larger than this comes from a DNS server.
LOSES_LARGE = """\
table inet broken {
    chain input {
        type filter hook input priority 0;
        udp sport 53 meta length > 1300 drop
    }
}
"""
REFUSES_TCP = """\
table inet broken {
    chain input {
        type filter hook input priority 0;
        tcp dport 53 reject with tcp reset
    }
}
"""


class Edited:
    """Of a daemon: its file as it is, but for one text in the place of another."""

    edit = ("", "")

    def configure(self):
        super().configure()
        path = self.file(f"{self.program}.conf")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        assert self.edit[0] in text, (self.edit, text)
        self.file(f"{self.program}.conf", text.replace(*self.edit))


class EditedBind(Edited, OwnBind):
    pass


class EditedUnbound(Edited, OwnUnbound):
    pass


class Bench:
    """A machine with a configuration, and the DNS servers that belong to it."""

    def __init__(self, lab, text: str, servers: dict):
        self.lab, self.host, self.servers = lab, lab.server, servers
        self.text = text

    def up(self, text: str = None):
        self.lab.configuration(text or self.text)
        self.lab.command("up")

    def findings(self) -> list:
        done = run(*self.lab.argv("check", "--json"), check=False)
        assert done.returncode in (0, 1) and done.stdout, done
        told = json.loads(done.stdout)
        troubles = [f for f in told["findings"] if f["level"] in ("warn", "fail")]
        assert told["fine"] == (not troubles) == (done.returncode == 0), done
        return told["findings"]

    def troubles(self) -> list:
        return [f for f in self.findings() if f["level"] in ("warn", "fail")]

    def is_clean(self) -> bool:
        troubles = self.troubles()
        if troubles:
            raise OSError(str(troubles))
        return True

    def carry_out(self, mend: str):
        words = shlex.split(mend)
        if words[0] == "dnsdirector":
            words[0] = binary()
        self.host.run(*words)

    def serve(self, name: str, cls, edit=("", ""), wait: bool = False):
        """Another server, or another file, in the place of this one."""
        old = self.servers[name]
        old.kill()
        new = cls(self.host, os.path.join(self.lab.directory), f"{name}{next(self.numbers)}",
                  old.addresses, old.port)
        new.edit = edit
        self.servers[name] = new
        new.start(wait)

    numbers = iter(range(1000))

    def close(self):
        for server in self.servers.values():
            server.kill()
        self.lab.command("down")


@contextlib.contextmanager
def machine_with(text: str, **servers):
    """name=(class, addresses, port). The machine at the end is as it was."""
    with RealServerLab() as lab:
        before = lab.picture()
        bench = Bench(lab, text, {name: cls(lab.server, lab.directory, name, addresses, port)
                                  for name, (cls, addresses, port) in servers.items()})
        try:
            bench.up()
            for server in bench.servers.values():
                server.start()
            yield bench
        finally:
            bench.close()
        changed = {key for key, value in lab.picture().items() if before[key] != value}
        # What faults took away came back by other commands than had put it there.
        assert changed <= {"-d address", "route show table all", "-6 route show table all"}, changed


@pytest.fixture(scope="module")
def plain(can_lab, can_direct):
    with machine_with(PLAIN, one=(EditedBind, [V4, V6], 53)) as bench:
        yield bench


@pytest.fixture(scope="module")
def processes(can_lab, can_direct):
    with machine_with(PROCESSES, one=(EditedBind, [SECOND_V4, SERVER_V6], 5301),
                      two=(EditedUnbound, [SERVER_V4, SERVER_V6], 5302)) as bench:
        yield bench


@dataclasses.dataclass
class Fault:
    """What somebody does to a machine, and how check must speak of it."""

    name: str
    check: str              # of the finding
    says: str               # a part of "about: text"
    mend: str               # a regular expression for the whole mend
    spoil: object           # lines of `ip`, or a function of the bench
    # What is done then: "run" the mend; or a function of the bench and the mend.
    cure: object = "run"
    also: tuple = ()        # checks that have something to say of it, too


def lines(*commands):
    return lambda bench: bench.host.ip(*commands)


def command(*words):
    return lambda bench: bench.host.run(*words)


def rules(text: str):
    return lambda bench: bench.host.run("nft", "-f", "-", input=text)


def set_to(**settings):
    return lambda bench: bench.host.sysctl(**settings)


def served(name, cls, edit):
    return lambda bench: bench.serve(name, cls, edit)


def written(name, cls, instead_of: str):
    """Puts what stands in backquotes in the mend in the place of this text of the file."""
    def cure(bench, mend):
        line = re.search("`(.*?)`", mend).group(1)
        bench.serve(name, cls, (instead_of, line), wait=True)
    return cure


def served_again(name, cls):
    return lambda bench, mend: bench.serve(name, cls, wait=True)


UP = r"dnsdirector realserver up -f \S+/realserver\.conf --run-dir \S+"
BIND_V4 = "listen-on port 53 { 192.0.2.53; };"
UNBOUND_V4 = "interface: 192.0.2.53\n"

PLAIN_FAULTS = [
    Fault("a service IP is missing", "service-ip", f"{V4}: is not on lo", UP,
          lines(f"addr del {V4}/32 dev lo"), also=("listening", "answer", "large-answer")),
    Fault("an IPv6 service IP is missing", "service-ip", f"{V6}: is not on lo", UP,
          lines(f"addr del {V6}/128 dev lo"), also=("listening", "answer", "large-answer")),
    Fault("arp_ignore", "sysctl", "net.ipv4.conf.all.arp_ignore is 0 and must be 1", UP,
          set_to(ipv4__conf__all__arp_ignore=0)),
    Fault("arp_announce", "sysctl", "net.ipv4.conf.all.arp_announce is 0 and must be 2", UP,
          set_to(ipv4__conf__all__arp_announce=0)),
    Fault("rp_filter", "sysctl", "net.ipv4.conf.eth1.rp_filter is 1 and must be 2", UP,
          set_to(ipv4__conf__eth1__rp_filter=1)),
    Fault("an interface answers ARP for a service IP", "unfit", f"{V4} is an address of eth1, too",
          f"ip address del {V4}/32 dev eth1", lines(f"addr add {V4}/32 dev eth1")),
    Fault("the MTU of the way back", "way-back", "with an MTU of 1200",
          f"ip route replace default via {plan.ROUTER_V4} dev eth0",
          lines(f"route replace default via {plan.ROUTER_V4} dev eth0 mtu 1200")),
    Fault("an MTU that fragments", "way-back", "with an MTU of 1400",
          f"ip route replace default via {plan.ROUTER_V4} dev eth0",
          lines(f"route replace default via {plan.ROUTER_V4} dev eth0 mtu 1400")),
    Fault("no way back", "way-back", "IPv6: there is no route to clients",
          "ip -6 route add default via ROUTER",
          command("ip", "-6", "route", "del", "default"),
          lambda bench, mend: bench.carry_out(mend.replace("ROUTER", plan.ROUTER_V6))),
    Fault("the DNS server is dead", "listening", "nothing listens there",
          "start the DNS server that shall listen there; .*",
          lambda bench: bench.servers["one"].kill(),
          lambda bench, mend: bench.servers["one"].start()),
    Fault("it listens at another address", "listening",
          f"at this port there is named at {SERVER_V4}:53",
          f"write `{re.escape(BIND_V4)}` into named.conf, and restart named",
          served("one", EditedBind, (BIND_V4, BIND_V4.replace(V4, SERVER_V4))),
          written("one", EditedBind, BIND_V4)),
    Fault("it answers as another address", "source", f"{V4}:53/udp: answers as {SERVER_V4}:53",
          f"write `interface: {V4}@53` into unbound.conf, and restart unbound",
          served("one", EditedUnbound, (UNBOUND_V4, "interface: 0.0.0.0\n")),
          written("one", EditedUnbound, UNBOUND_V4.strip())),
    Fault("TCP is not listened for", "listening", f"{V4}:53/tcp: nothing listens there",
          "write `do-tcp: yes` into unbound.conf, and restart unbound",
          served("one", EditedUnbound, ('username: ""', 'username: ""\n  do-tcp: no')),
          lambda bench, mend: bench.serve(
              "one", EditedUnbound,
              ('username: ""', 'username: ""\n  ' + re.search("`(.*?)`", mend).group(1)),
              wait=True)),
    Fault("SERVFAIL to everything", "answer", "who.example.com. TXT: SERVFAIL",
          f"see the log of named, and what this shows: dig -b .* @{V4} -p 53 who.example.com. TXT",
          served("one", EditedBind, ('file "zone"', 'file "nothing"')),
          served_again("one", EditedBind), also=("large-answer",)),
    Fault("it refuses clients", "answer", "who.example.com. TXT: REFUSED", "see the log of named.*",
          served("one", EditedBind, ("allow-query { any; }", "allow-query { 127.0.0.1; }")),
          served_again("one", EditedBind), also=("large-answer",)),
    Fault("large answers are truncated", "large-answer", "truncated to",
          "write `max-udp-size 4096;` into named.conf, and restart named",
          served("one", EditedBind, ("max-udp-size 4096;", "max-udp-size 1232;")),
          written("one", EditedBind, "max-udp-size 4096;")),
    Fault("large answers get lost", "large-answer", "where smaller answers come",
          "let through packets of this size, and fragments: nft list ruleset", rules(LOSES_LARGE),
          lambda bench, mend: bench.host.run("nft", "delete", "table", "inet", "broken")),
    Fault("a firewall refuses TCP", "answer", "refused, although somebody listens",
          "let no firewall .*", rules(REFUSES_TCP),
          lambda bench, mend: bench.host.run("nft", "delete", "table", "inet", "broken")),
]
OUR_TABLE = ("inet", "dnsdirector_realserver")
PROCESS_FAULTS = [
    Fault("the table is deleted", "rules", "is not there", UP,
          command("nft", "delete", "table", *OUR_TABLE)),
    Fault("a chain is flushed", "rules", "chain process.one:", UP,
          command("nft", "flush", "chain", *OUR_TABLE, "process.one")),
    Fault("a foreign rule in our table", "rules", "chain prerouting: 1 rule is not ours", UP,
          command("nft", "insert", "rule", *OUR_TABLE, "prerouting", "udp", "dport", "53", "drop")),
    Fault("an input is down", "input", "one, eth1: is down", "ip link set dev eth1 up",
          lines("link set eth1 down")),
    Fault("IPv6 is off on an input", "input", "two, eth2: IPv6 is off",
          r"sysctl -w net\.ipv6\.conf\.eth2\.disable_ipv6=0",
          set_to(ipv6__conf__eth2__disable_ipv6=1)),
    Fault("a listen address is missing", "listen-address",
          f"one, {SECOND_V4}:5301: is no address of this machine",
          f"ip address add {SECOND_V4}/32 dev eth1", lines(f"addr del {SECOND_V4}/28 dev eth1"),
          # Without an address the loose filter would not do, either.
          also=("listening", "answer", "sysctl")),
    Fault("a process is dead", "listening", f"two, {SERVER_V4}:5302/udp: nothing listens there",
          "start the DNS server that shall listen there; .*",
          lambda bench: bench.servers["two"].kill(),
          lambda bench, mend: bench.servers["two"].start()),
    Fault("a process listens on another port", "listening",
          f"two, {SERVER_V4}:5302/tcp: nothing listens there",
          "start the DNS server that shall listen there; .*",
          served("two", EditedUnbound, ("port: 5302", "port: 5303")),
          served_again("two", EditedUnbound)),
]


def is_named(bench, fault) -> dict:
    """The finding that speaks of the fault; nothing else may be wrong than follows from it."""
    found = None
    for trouble in bench.troubles():
        if trouble["check"] != fault.check:
            if trouble["check"] not in fault.also:
                raise OSError(f"not of this fault: {trouble}")
        elif fault.says in f"{trouble['about']}: {trouble['text']}":
            found = found or trouble
    if found is None:
        raise OSError(f"not named: {fault.says}: {bench.troubles()}")
    return found


def try_fault(bench, fault):
    wait_for("a machine without a fault", bench.is_clean, 20, every=0.2)
    fault.spoil(bench)
    # Servers take a moment to listen otherwise than before.
    finding = wait_for("the fault to be named", lambda: is_named(bench, fault), 20, every=0.2)
    assert re.fullmatch(fault.mend, finding["mend"]), finding
    if fault.cure == "run":
        bench.carry_out(finding["mend"])
    else:
        fault.cure(bench, finding["mend"])
    wait_for("the mend to be one", bench.is_clean, 20, every=0.2)


@pytest.mark.parametrize("fault", PLAIN_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_named_with_its_mend(plain, fault):
    try_fault(plain, fault)


def test_what_is_right_is_said_of_each_service_ip_and_protocol(plain):
    # The faults above may have left Unbound in named's place.
    findings = plain.findings()
    for check in ("listening", "answer", "large-answer"):
        about = [f["about"] for f in findings if f["check"] == check and f["level"] == "ok"]
        assert about == [f"{address}:53/{protocol}" for address in (V4, f"[{V6}]")
                         for protocol in ("udp", "tcp")], findings
    sources = [f["text"] for f in findings if f["check"] == "source"]
    assert sources == [f"answers {SERVER_V4} as {V4}", f"answers {SERVER_V6} as {V6}"], findings
    assert not [f for f in findings if f["level"] == "unknown"], findings


def test_text_is_one_line_a_piece(plain):
    done = plain.lab.command("check")
    assert len(done.stdout.splitlines()) == len(plain.findings()) and done.stderr == ""
    assert plain.lab.command("check", "-q").stdout == ""


def test_without_root_it_sees_less_and_says_so(plain):
    words = plain.lab.argv("check", "--json")
    done = run(*words[:3], "setpriv", "--bounding-set", "-all", "--inh-caps", "-all", *words[3:],
               check=False)
    told = json.loads(done.stdout)
    assert done.returncode == 0 and told["fine"], told
    assert {f["check"] for f in told["findings"] if f["level"] == "ok"} >= {"answer", "source"}


def test_nothing_is_changed_by_looking(plain):
    before = plain.lab.picture()
    plain.findings()
    assert plain.lab.picture() == before


@pytest.mark.parametrize("fault", PROCESS_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_processes_is_named_with_its_mend(processes, fault):
    try_fault(processes, fault)


def test_says_what_cannot_be_asked_from_here_and_what_nobody_asked(processes):
    findings = processes.findings()
    unknown = {(f["check"], f["about"]) for f in findings if f["level"] == "unknown"}
    assert {("way-in", "one"), ("way-in", "two"), ("counters", "one, udp")} <= unknown, findings
    text = next(f["text"] for f in findings if f["check"] == "way-in")
    assert "not asked by way of eth1" in text, text


def test_what_the_file_does_not_want_any_more_is_named(processes):
    processes.lab.configuration(PROCESSES.replace(f"{V4} {V6}", V4))
    try:
        troubles = {f["check"]: f for f in processes.troubles()}
        assert set(troubles) == {"left-over", "rules"}, troubles
        assert f"remove {V6}/128 from lo" in troubles["left-over"]["text"]
        assert "does what an older file said" in troubles["rules"]["text"]
        processes.carry_out(troubles["left-over"]["mend"])
        assert processes.troubles() == []
    finally:
        processes.up()
    assert processes.troubles() == []


@pytest.mark.vm(only=True)
def test_a_tunnel_device_that_is_gone_or_too_small_is_named(can_lab, can_direct):
    with machine_with(TUNNELS, one=(EditedBind, [V4, V6], 53)) as bench:
        for fault in (
                Fault("gone", "tunnel", f"{SERVER_V4}: no device takes", UP,
                      lines("link del dnsd4")),
                Fault("small", "tunnel", "dnsd6 has an MTU of 1300, not 1460", UP,
                      lines("link set dnsd6 mtu 1300")),
                Fault("down", "tunnel", "dnsd4 is down", UP, lines("link set dnsd4 down"))):
            try_fault(bench, fault)
