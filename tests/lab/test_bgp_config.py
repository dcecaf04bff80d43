# SPDX-License-Identifier: Apache-2.0
"""What `dnsdirector bgp config` prints is read by the daemons that it is for, without a complaint,
and `bgp check` finds nothing else than that in them."""

import glob
import os
import random
import re

import pytest
from lab.director import REPOSITORY, binary
from lab.routing import Bird, Frr, RoutingLab, compared, generated
from lab.system import find_program, run

GOLDEN = sorted(glob.glob(os.path.join(REPOSITORY, "tests", "bgp", "*.conf")))
SAMPLES = 8

# The part's surroundings in a BIRD that is there already.
EXISTING_BIRD = """\
log stderr all;
timeformat base iso long us;
router id 198.51.100.1;
protocol device {{ }}
{bfd}
include "{part}";
protocol kernel {{ learn; ipv4 {{ {learn_ipv4} export all; }}; }}
protocol kernel {{ learn; ipv6 {{ {learn_ipv6} export all; }}; }}
"""


@pytest.fixture(scope="module")
def routing_lab(can_route):
    with RoutingLab() as lab:
        # Our ends of the sessions in tests/bgp and below.
        lab.director.ip("addr add 198.51.100.1/24 dev eth0",
                        "addr add 2001:db8:2::1/64 dev eth0 nodad")
        yield lab


def existing_bird(part_path: str, part: str) -> str:
    def learn(family):
        return (f"import filter dnsdirector_learn_{family};"
                if f"filter dnsdirector_learn_{family}" in part else "import none;")
    return EXISTING_BIRD.format(part=part_path, bfd="protocol bfd { }" if "bfd {" in part else "",
                                learn_ipv4=learn("ipv4"), learn_ipv6=learn("ipv6"))


def bird_reads(lab, path: str, daemon: str):
    """A BIRD reads the configuration of a file; `bgp check` agrees."""
    bird = Bird(lab.director, lab.directory)
    text = generated(path, daemon)
    options = ["--socket", bird.socket, "--bird-conf", bird.config]
    if daemon == "existing bird":
        options[3] = lab.write("dnsdirector.conf", text)
        text = existing_bird(options[3], text)
    bird.write(text)
    checked = run(find_program("bird"), "-p", "-c", bird.config, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    bird.start(text)
    try:
        assert compared(lab.director, path, daemon, *options) == (
            0, [f"BIRD runs what {path} says"])
        assert not re.findall(r"<(?:ERR|FATAL|BUG|WARN)>.*", bird.log_text())
        # Kept for those who want to see a difference.
        with open(options[3], "a", encoding="utf-8") as out:
            out.write("# by hand\n")
        status, said = compared(lab.director, path, daemon, *options)
        assert status == 1 and "`# by hand`" in said[0], said
    finally:
        bird.stop()


def frr_reads(lab, path: str):
    """An FRR takes the part of a file line by line; `bgp check` agrees, also when it has been
    taken a second time."""
    frr = Frr(lab.director, lab.directory).start()
    try:
        part = frr.load(generated(path, "existing frr"))
        assert run(find_program("vtysh"), "-C", "-f", part).stdout == ""
        frr.load(generated(path, "existing frr"))
        options = ("--socket", frr.directory)
        assert compared(lab.director, path, "existing frr", *options) == (
            0, [f"FRR runs what {path} says"])
        frr.load("no bgp route-map delay-timer 1\nip prefix-list dnsdirector-x seq 1 permit any\n")
        status, said = compared(lab.director, path, "existing frr", *options)
        assert (status, said) == (1, ["FRR has not: bgp route-map delay-timer 1", "FRR has besides:"
                                      " ip prefix-list dnsdirector-x seq 1 permit any"])
    finally:
        frr.stop()


@pytest.mark.parametrize("path", GOLDEN, ids=os.path.basename)
@pytest.mark.parametrize("daemon", ["bird", "existing bird"])
def test_bird_reads_every_golden_configuration(routing_lab, path, daemon):
    bird_reads(routing_lab, path, daemon)


@pytest.mark.parametrize("path", GOLDEN, ids=os.path.basename)
def test_frr_reads_every_golden_configuration(routing_lab, path):
    frr_reads(routing_lab, path)


def random_block(seed: int) -> str:
    """A configuration with a bgp block that is right, and else as chance has it."""
    dice = random.Random(seed)

    def maybe(text: str, of: int = 2) -> str:
        return text if dice.randrange(of) == 0 else ""

    def word(most: int, blank: str = "") -> str:
        letters = [chr(c) for c in range(33, 127) if chr(c) not in "\"\\$"] + list(blank)
        text = "".join(dice.choice(letters) for _ in range(dice.randrange(1, most)))
        return '"' + " ".join(text.split()) + '"' if text.strip() else '"x"'

    def community() -> str:
        return dice.choice([
            f"{dice.randrange(65536)}:{dice.randrange(65536)}", f"65535:{dice.randrange(10)}",
            f"{dice.randrange(2**32)}:{dice.randrange(2**32)}:{dice.randrange(9)}", "no-export",
            "no-advertise", "no-export-subconfed", "no-peer", "graceful-shutdown", "0:0"])

    local_as = dice.choice([64512, 64513, 4200000000])
    services = [f"192.0.2.{n}" for n in dice.sample(range(1, 255), dice.randrange(1, 6))]
    services += [f"2001:db8::{n:x}" for n in dice.sample(range(1, 255), dice.randrange(1, 6))]
    neighbors = [("198.51.100.200", True), ("2001:db8:2::c8", True)]
    neighbors += [(f"198.51.100.{n}", False) for n in dice.sample(range(2, 90), dice.randrange(3))]
    neighbors += [(f"2001:db8:2::{n:x}", False)
                  for n in dice.sample(range(2, 90), dice.randrange(3))]
    lines = []
    for address, certain in neighbors:
        six = ":" in address
        source = f"source {'2001:db8:2::1' if six else '198.51.100.1'}; "
        far = dice.randrange(3) == 0
        hold = dice.randrange(3, 300)
        lines.append(
            f"neighbor {address} {{ remote_as {dice.choice([64512, 64513, 64514])}; "
            + maybe(f"description {word(60, ' ')}; ") + maybe(f"password {word(80)}; ")
            + (f"multihop {dice.randrange(2, 250)}; {source}" if far else maybe(source))
            + maybe("ttl_security on; ")
            + maybe(f"hold_time {hold}; keepalive {dice.randrange(1, hold // 2 + 1)}; ")
            + maybe(f"connect_retry {dice.randrange(1, 200)}; ")
            + maybe(f"bfd {dice.choice([10, 50, 300, 1000, 60000])}ms {dice.randrange(2, 256)}; ")
            + maybe("graceful_restart on; ", 4) + maybe("accept_default on; ", 4)
            + maybe("soft_reconfiguration off; ", 4)
            + maybe(f"next_hop {'198.51.100.1' if six else '2001:db8:2::1'}; ", 3) + "}")
    for service in services:
        lines.append(
            f"announce {service} {{ " + maybe(f"med {dice.choice([0, 1, 7, 2**32 - 1])}; ")
            + maybe(f"degraded_med {dice.randrange(2**32)}; ")
            + maybe(f"draining_med {dice.randrange(2**32)}; ")
            + maybe(f"local_preference {dice.choice([0, 100, 101, 2**32 - 1])}; ")
            + maybe(f"community {community()} {community()}; ", 3)
            + maybe(f"degraded_community {community()}; ", 3)
            + maybe(f"draining_community {community()}; ", 3) + "}")
    block = "\n".join("    " + line for line in lines)
    return (f"director {{ dataplane none }}\n"
            f"dns_cluster c {{\n    service_ip {' '.join(services)}\n"
            f"    check {{ query \"www.example.com A\" }}\n"
            f"    real_server ns1 {{ address 203.0.113.11 2001:db8:1::11 }}\n}}\n"
            f"bgp {{\n    local_as {local_as}; router_id 198.51.100.1\n"
            f"    {maybe('graceful_shutdown off')}\n    {maybe('ip_forwarding on')}\n{block}\n}}\n")


@pytest.mark.parametrize("number", range(SAMPLES))
def test_daemons_read_whatever_the_block_may_say(routing_lab, number):
    seed = random.randrange(2**32)
    text = random_block(seed)
    path = routing_lab.write(f"random-{number}.conf", text)
    print(f"seed {seed}\n{text}")
    assert run(binary(), "check-config", "-q", "-f", path).returncode == 0
    bird_reads(routing_lab, path, "bird")
    bird_reads(routing_lab, path, "existing bird")
    frr_reads(routing_lab, path)
