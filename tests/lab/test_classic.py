# SPDX-License-Identifier: Apache-2.0
"""The classic case: examples/keepalived-vlans.conf as it stands, two of its servers one machine
behind two VLANs (lab/classic.py). The scenario is the same on every plane."""

import json
import os
import time

import pytest
from lab import plan, wait_for
from lab.classic import ADDRESSES, CONFIG, VLANS, Classic
from lab.director import Director, binary
from lab.system import stretched

pytestmark = pytest.mark.vm(only=True)

PLANES = {"ipvs": "dataplane ipvs", "xdp": "dataplane xdp\n interface eth0"}
WEIGHTS = {"kai-105": 2, "kai-109": 1, "s1": 1}
# What a round of the file's checks may take, and the time until the next one.
FALL_SECONDS = 5 + 2 * 2
DEAD = "kai-109"
NAMES = {f"{address}:53": server for server, address in ADDRESSES.items()}


@pytest.fixture(scope="module")
def classic(can_direct):
    lab = Classic().up()
    yield lab
    assert lab.down() == []


def by_server(values: dict) -> dict:
    """What the director says of its real servers, by the names that answers carry."""
    return {NAMES[name]: value for name, value in values.items()}


def wait_states(director, **states):
    names = {f"{ADDRESSES[name.replace('_', '-')]}:53": state for name, state in states.items()}
    return director.wait_states(timeout=FALL_SECONDS + 10, every=0.1, **names)


def check_shares(result, tolerance: float):
    assert result.failed == 0, result
    for name, weight in WEIGHTS.items():
        wanted = weight / sum(WEIGHTS.values())
        assert abs(result.shares().get(name, 0) - wanted) <= tolerance, result


@pytest.mark.parametrize("dataplane", ["ipvs", "xdp"])
def test_two_processes_of_one_machine_are_told_apart_by_their_vlan(classic, dataplane):
    kill_one_and_bring_it_back(classic, dataplane)


def test_realserver_up_tells_them_apart_in_place_of_dnat(classic):
    """The load's clients use their ports again and again: from the moment on in which the dead
    process is out, those that it had served are answered by the other one."""
    classic.take_down_dnat()
    directory = classic.path("realserver")
    os.mkdir(directory)
    file = os.path.join(directory, "realserver.conf")
    with open(file, "w", encoding="utf-8") as out:
        out.write(f"realserver {{\n    service_ip {plan.SERVICE_V4}\n" + "".join(
            f"    process {vlan.process} {{ input {vlan.interface}; listen {vlan.kai} }}\n"
            for vlan in VLANS) + "}\n")
    kai = classic.servers[DEAD].host
    kai.run(binary(), "realserver", "up", "-f", file, "--run-dir", directory)
    kill_one_and_bring_it_back(classic, "xdp")
    kai.run(binary(), "realserver", "down", "--run-dir", directory)


def kill_one_and_bring_it_back(classic, dataplane):
    classic.network.set_native(dataplane == "xdp")
    text = f"director {{\n {PLANES[dataplane]}\n}}\ninclude {CONFIG}\n"
    with Director(classic, text) as director:
        wait_states(director, kai_105="up", kai_109="up", s1="up")
        assert_one_mac(classic)
        check_balance(classic, director)

        with classic.load(rate=300, seconds=90) as load:
            load.sleep_until(1)
            classic.servers[DEAD].kill()
            killed = time.monotonic()
            removed = wait_states(director, kai_105="up", kai_109="down", s1="up")
            check_told_apart(director)
            # TCP, too: nobody is sent to the dead one.
            tcp = classic.load(rate=50, count=30, tcp=True).start().finish()
            assert tcp.failed == 0 and DEAD not in tcp.counts(), tcp

            classic.servers[DEAD].start()
            back = wait_states(director, kai_105="up", kai_109="up", s1="up")
            load.sleep_until((back - load.begun) / stretched(1) + 1)
            result = load.stop().finish()
        assert removed - killed < FALL_SECONDS + stretched(0.5), removed - killed
        assert all(at <= result.at(removed) for at in result.lost_at), result
        assert result.wrong == 0 and result.spans(DEAD)[-1][1] > result.at(back), result


def assert_one_mac(lab):
    """The director's neighbours kai by one VLAN and by the other are one MAC."""
    neighbours = json.loads(lab.director_host.run("ip", "-j", "-4", "neigh").stdout)
    macs = {n["dev"]: n["lladdr"] for n in neighbours if n["dst"] in [v.kai for v in VLANS]}
    assert set(macs) == {vlan.interface for vlan in VLANS} and len(set(macs.values())) == 1, macs


def check_balance(lab, director):
    udp = lab.load(rate=1000, count=800).start().finish()
    check_shares(udp, 0.01)
    # What the director counts is what the processes answered.
    wait_for(f"counters of {udp.counts()}",
             lambda: by_server(director.packets(protocol="udp")) == udp.counts(), 10, every=0.1)
    # By flow on some planes: 5 standard deviations.
    tcp = lab.load(rate=200, count=240, tcp=True).start().finish()
    check_shares(tcp, 0.16)


def check_told_apart(director):
    """One of kai's processes is down, the other up, and `status` says which."""
    lines = director.command("status").stdout.splitlines()
    for vlan in VLANS:
        state = "down" if vlan.process == DEAD else "up"
        found = [line for line in lines if f"{vlan.kai}:53" in line]
        assert len(found) >= 2 and all(state in line.split() for line in found), lines
