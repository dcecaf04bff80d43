# SPDX-License-Identifier: Apache-2.0
"""Large tables in IPVS, and keepalived beside the director: ratios within one run, on a
kernel that has IPVS (scripts/lab-vm). A thousand real servers, since ipvsadm alone takes a
minute there to restore ten thousand; ten thousand with scripts/test --long.
bench/ipvs_scale.py and bench/versus_keepalived.py measure more of the same."""

import statistics
import time

import pytest
from lab import Lab, wait_for
from lab.beside_keepalived import WAYS, Timing, measure
from lab.big_table import BigTable, Shape, bare_host
from lab.system import LONG, stretched

pytestmark = pytest.mark.vm(only=True)

SMALL = Shape(1, 100)
LARGE = Shape(100 if LONG else 10, 100)


@pytest.fixture(scope="module")
def host(can_direct):
    with bare_host() as one:
        yield one


@pytest.fixture
def table_of(host, tmp_path):
    tables = []

    def make(shape):
        tables.append(BigTable(host, shape, str(tmp_path / str(shape))))
        return tables[-1]
    yield make
    for table in tables:
        table.end()


def test_a_large_table_starts_as_fast_as_ipvsadm_restores_them(table_of):
    """At most three times as long, from exec to the whole table in force."""
    table = table_of(LARGE)
    starts, restores = [], []
    for _ in range(3):  # in turn, so that both meet the same machine
        starts.append(table.start())
        assert len(table.lines()) == LARGE.size + LARGE.services
        table.save()
        table.stop()
        assert table.lines() == []
        restores.append(table.restore())
        table.clear()
    print(f"starts {starts}, ipvsadm -R {restores}")
    assert statistics.median(starts) <= 3 * statistics.median(restores), (starts, restores)


def test_a_large_table_is_adopted_watched_and_repaired(table_of):
    table = table_of(LARGE)
    table.start()
    before = table.lines()
    table.kill9()
    table.start()
    assert table.lines() == before
    assert "repaired" not in table.said() and "somebody else" not in table.said()
    memory, share = table.peak_memory_mb(), table.idle_share(stretched(1.5))
    print(f"{memory:.0f} MiB, {share:.1%} of a processor for looking")
    assert memory < 128
    assert share < 0.5  # of an emulated one
    victim = before[-1].split()
    assert victim[0] == "-a"
    table.host.run("ipvsadm", "-d", *victim[1:5])
    begun = time.monotonic()
    wait_for("the repair", lambda: len(table.lines()) == len(before), 10)
    assert time.monotonic() - begun < stretched(1)
    assert sorted(table.lines()) == sorted(before)


def test_a_change_takes_the_same_time_in_a_large_table(table_of):
    """One server's verdict, in a service of a hundred servers each."""
    medians = {}
    for shape in (SMALL, LARGE):
        table = table_of(shape)
        table.start()
        medians[shape] = statistics.median(table.change(out=n % 2 == 0) for n in range(6))
        table.end()
    print(f"{medians[SMALL]} and {medians[LARGE]} µs")
    # Caches are colder and a look may be under way; a table read anew would be 10 or 100 times.
    assert medians[LARGE] <= 5 * medians[SMALL], medians


@pytest.mark.long  # two minutes, and the emulated machine must keep up with dig
def test_dead_servers_go_as_soon_as_with_keepalived_and_checks_cost_a_fraction(
        can_direct, tmp_path):
    """Twelve servers with keepalived's own dig lines; three of them die."""
    timing = Timing(delay_loop=4)
    with Lab(servers=[]) as lab:
        addresses = lab.crowd(12)
        outcomes = {who: measure(lab, who, addresses, addresses[::4], str(tmp_path / who), 12,
                                 timing) for who in WAYS}
    theirs, ours = (outcomes[who] for who in WAYS)
    print(theirs, ours)
    assert ours.wrongly == [], outcomes
    # When each check runs next is chance, within one delay_loop.
    assert max(ours.removals) <= max(theirs.removals) + timing.delay_loop, outcomes
    assert 10 * ours.cpu_seconds_per_minute <= theirs.cpu_seconds_per_minute, outcomes
