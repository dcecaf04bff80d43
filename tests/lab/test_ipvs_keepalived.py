# SPDX-License-Identifier: Apache-2.0
"""The ipvs plane beside keepalived, given the same files: scripts/lab-vm runs this file."""

import difflib
import glob
import os
import queue
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab import figures, ipvs_dump, plan, wait_for
from lab.director import Director, binary, director_block
from lab.ipvs import Keepalived, clear
from lab.network import Network
from lab.registry import Registry
from lab.system import LabError, stretched

pytestmark = pytest.mark.vm(only=True)

IPVS = director_block("ipvs")
CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ipvs")
FILES = sorted(glob.glob(os.path.join(CORPUS, "*.conf")))
# Pairs of hosts; a comparison waits more than it computes.
AT_ONCE = 8


# ---- the same table -------------------------------------------------------------

@pytest.fixture(scope="module")
def comparisons(request, can_direct, tmp_path_factory):
    """{file: what keepalived and dnsdirector made of it} for those that this run has
    selected; several at once, each pair of programs in a pair of hosts with nothing but lo."""
    wanted = [item.callspec.params["path"] for item in request.session.items
              if item.originalname == "test_the_kernels_table_is_keepaliveds"]
    registry = Registry.create(keep=False)
    network = Network(registry, registry.lab["id"])
    pairs = queue.SimpleQueue()
    for number in range(min(AT_ONCE, len(wanted))):
        pairs.put([network.bare(f"{who}{number}", [plan.DIRECTOR_V4, plan.DIRECTOR_V6])
                   for who in ("keepalived", "dnsdirector")])
    directory = tmp_path_factory.mktemp("keepalived")

    def on_a_free_pair(path):
        pair = pairs.get()
        try:
            return compare(*pair, path, str(directory))
        except (LabError, OSError, subprocess.SubprocessError) as error:
            return error
        finally:
            pairs.put(pair)
    with ThreadPoolExecutor(AT_ONCE) as workers:
        results = dict(zip(wanted, workers.map(on_a_free_pair, wanted)))
    yield results
    assert registry.teardown() == []


def compare(their_host, our_host, path: str, above: str) -> tuple:
    """The kernel's dump of both, keepalived's first, when they are the same for a second or
    the time is up."""
    directory = os.path.join(above, os.path.basename(path))
    os.mkdir(directory)
    with Keepalived(their_host, path, directory):
        try:
            ours = our_table(our_host, path, directory)
            since = []

            def same():
                if ipvs_dump.dump(their_host) != ours:
                    since.clear()
                    return False
                since.append(time.monotonic())
                return since[-1] - since[0] >= 1
            try:
                wait_for("keepalived's table to be ours", same, 8, every=0.2)
            except LabError:
                pass  # the test shows the difference
            theirs = ipvs_dump.dump(their_host)
        finally:
            clear(our_host)
    clear(their_host)
    return theirs, ours


def our_table(host, path: str, directory: str) -> list:
    """What dnsdirector makes of a file, once it has started; it leaves nothing behind."""
    file = os.path.join(directory, "dnsdirector.conf")
    with open(file, "w", encoding="utf-8") as out:
        out.write(IPVS + f"include {path}\n")
    run_dir, log = os.path.join(directory, "run"), os.path.join(directory, "log")
    process = host.start("dnsdirector", [binary(), "run", "-f", file, "--run-dir", run_dir], log)
    try:
        wait_for("the director's socket",
                 lambda: os.path.exists(os.path.join(run_dir, "api.sock"))
                 or process.poll() is not None, 15, every=0.1)
        done = host.run(binary(), "status", "--run-dir", run_dir, check=False)
        if done.returncode != 0:
            with open(log, encoding="utf-8") as lines:
                raise LabError(f"the director does not answer: {done.stderr}\n{lines.read()}")
        found = ipvs_dump.dump(host)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(stretched(10))
    left = ipvs_dump.dump(host)
    if left:
        raise LabError(f"left behind at the end: {left}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: os.path.basename(path)[:-5])
def test_the_kernels_table_is_keepaliveds(comparisons, path):
    found = comparisons[path]
    if isinstance(found, Exception):
        raise found
    theirs, ours = found
    assert any(line.startswith(" ") for line in ours), ours
    diff = difflib.unified_diff(theirs, ours, "keepalived", "dnsdirector", n=1, lineterm="")
    assert theirs == ours, "\n".join(diff)


def test_the_corpus_is_as_large_as_promised():
    assert len(FILES) >= 30


# ---- a client that never changes its port -----------------------------------------

DELAY_LOOP, MISC_TIMEOUT = 2, 3  # s
# A round begins within delay_loop of the death, and takes misc_timeout at most.
FALL_TIME = DELAY_LOOP + MISC_TIMEOUT


def classic_file(directory: str) -> str:
    """The file of somebody who comes from keepalived: dig as MISC_CHECK, nothing on ops."""
    servers = "".join(f"""\
    real_server {address} 53 {{
        weight 1
        MISC_CHECK {{
            misc_path "/usr/bin/dig +time=1 +tries=1 @{address} {plan.WWW_NAME} A"
            misc_timeout {MISC_TIMEOUT}
        }}
    }}
""" for address in (plan.server_v4(1), plan.server_v4(2)))
    path = os.path.join(directory, "keepalived.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""\
virtual_server {plan.SERVICE_V4} 53 {{
    delay_loop {DELAY_LOOP}
    lb_algo rr
    lb_kind DR
    protocol UDP
{servers}}}
""")
    return path


def servers_in_table(host) -> set:
    return {name for line in ipvs_dump.dump(host) for name in ("s1", "s2")
            if f"address={plan.server_v4(int(name[1]))} " in line}


def death(lab) -> tuple:
    """Kills the server that has the client's flow. Returns the load's result, when the server
    was killed, and when it was out of the table (time.monotonic())."""
    def answered():
        return {name: lab.servers[name].stats()["clients"].get(plan.CLIENT_V4, {"udp": 0})["udp"]
                for name in ("s1", "s2")}
    wait_for("both servers in the table",
             lambda: servers_in_table(lab.director_host) == {"s1", "s2"}, 10)
    before = answered()
    with lab.load(own_rate=50, seconds=60, sockets=1, timeout_ms=200) as load:
        wait_for("some answers", lambda: sum(answered().values()) > sum(before.values()) + 50)
        victim = max(before, key=lambda name: answered()[name] - before[name])
        killed = time.monotonic()
        lab.servers[victim].kill()
        wait_for(f"{victim} to be out of the table",
                 lambda: servers_in_table(lab.director_host) == {"s1", "s2"} - {victim}, 10)
        removed = time.monotonic()
        load.sleep(0.6)
        result = load.stop().finish()
    lab.servers[victim].start()
    return result, killed, removed


def report(who: str, result, killed: float, removed: float) -> str:
    lost = [at - result.at(killed) for at in result.lost_at]
    end = result.sending_ms - result.at(killed)
    if not lost:
        fate = "no query lost"
    elif max(lost) > end - 500:
        fate = f"still with the dead server {end / 1000:.1f} s after"
    else:
        fate = f"last query lost {max(lost) / 1000:.1f} s after"
    return (f"one-port client, {who}: server removed {removed - killed:.1f} s after its death, "
            f"{len(lost)} of {result.sent} queries lost, {fate}")


def test_a_client_that_never_changes_its_port_is_elsewhere_within_the_fall_time(lab, tmp_path):
    """Ours is held to it, with the kernel's own sysctls; keepalived's is shown as it is."""
    host, path = lab.director_host, classic_file(str(tmp_path))
    host.sysctl(ipv4__vs__expire_nodest_conn=0)
    with Director(lab, IPVS + f"include {path}\n"):
        result, killed, removed = death(lab)
    figures.note(report("dnsdirector", result, killed, removed))
    host.ip(f"addr add {plan.SERVICE_V4}/32 dev lo")  # ours brought it along
    try:
        for setting in (0, 1):
            host.sysctl(ipv4__vs__expire_nodest_conn=setting)
            directory = tmp_path / f"keepalived-{setting}"
            directory.mkdir()
            with Keepalived(host, path, str(directory)):
                who = f"keepalived, expire_nodest_conn={setting}"
                figures.note(report(who, *death(lab)))
            wait_for("keepalived's end", lambda: ipvs_dump.dump(host) == [], 10)
    finally:
        host.ip(f"addr del {plan.SERVICE_V4}/32 dev lo")
    # What is asserted is ours.
    assert result.wrong == 0 and len(result.counts()) == 2, result
    assert all(at - result.at(killed) <= (FALL_TIME + 1) * 1000 for at in result.lost_at), result
    assert all(at <= result.at(removed) for at in result.lost_at), result
