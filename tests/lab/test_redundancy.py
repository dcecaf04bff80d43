# SPDX-License-Identifier: Apache-2.0
"""Two directors, two core routers of two makes: who carries the load, what is lost when a director
stops, drains, dies or is unplugged, and what the routers are told (lab/redundancy.py)."""

import signal
import time

import pytest
from lab import figures, wait_for
from lab.redundancy import CORES, MEDS, OFFERS, SECOND, V4, V6, Site
from lab.system import LONG, stretched
from lab.wire import Wire

# What is promised: 5,000 queries a second, and 500 ms of a machine that has time. Others build
# and test beside what runs by default.
RATE = 5000 if LONG else 2000
NOTICED_MS = 500 if LONG else 1500


@pytest.fixture(scope="module", params=["bird", "frr"])
def site(request, can_route):
    with Site(request.param) as site:
        yield site


def note(site, text: str):
    figures.note(f"redundancy, {site.make} as the client's router: {text}")


def lost_ms(result) -> float:
    """How much of the traffic was lost, as time at the load's rate."""
    return result.failed * 1000 / RATE


def test_each_service_ip_goes_where_it_is_preferred(site):
    site.wait_usual()
    for address in (V4, SECOND):
        carrier = site.a if address == V4 else site.b
        before = {m.name: m.packets(address) for m in site.members.values()}
        result = site.load(address, rate=RATE, count=RATE).start().finish()
        assert result.failed == 0, result
        wait_for("the counters", lambda: carrier.packets(address) - before[carrier.name] >= RATE)
        other = site.b if carrier is site.a else site.a
        assert other.packets(address) == before[other.name]
        assert site.ask_from_core2(address)


def test_nothing_but_the_service_ips_is_told_or_taken(site):
    wanted = {f"{a}/{128 if ':' in a else 32}" for a in MEDS}
    for name in CORES:
        assert site.cores[name].prefixes() == wanted
    for member in site.members.values():
        # What was refused is kept in the import tables: that there was something shows there.
        for name, own in CORES.items():
            bird = (site.make == "bird") == (name == "router")
            for family, address in zip((4, 6), own):
                offer = OFFERS[family] if bird else {4: "0.0.0.0/0", 6: "::/0"}[family]
                wait_for(f"{name} to offer {offer} to {member.name}",
                         lambda m=member, o=offer, a=address: o in m.offered(a))
        assert member.bird.prefixes() == set()
        for family in ("-4", "-6"):
            routes = member.host.run("ip", family, "route", "show", "table", "all").stdout
            assert "proto bird" not in routes and "proto bgp" not in routes
        for neighbor in member.director.status()["bgp"]["neighbors"]:
            assert neighbor["session"] == "established" and neighbor["accepted"] == 0


def test_anycast_shares_the_load_and_tcp_flows_survive_the_loss_of_a_director(site):
    before = {m.name: m.packets(V6) for m in site.members.values()}
    result = site.load(V6, rate=RATE, count=2 * RATE).start().finish()
    assert result.failed == 0, result
    shares = {m.name: m.packets(V6) - before[m.name] for m in site.members.values()}
    assert min(shares.values()) > RATE / 4, shares
    connections = 200
    with site.lab.flows(V6, connections=connections, every_ms=100, seconds=60) as flows:
        wait_a_moment(1)
        site.a.stop()
        site.wait_at(V6, "b")
        assert site.a.director.process.wait(stretched(20)) == 0
        wait_a_moment(1)
        broken = len(flows.stop()["broken"])
    note(site, f"anycast, shares of two directors {shares}; one stops: {connections - broken} of "
               f"{connections} TCP connections survive")
    site.a.director.start()
    site.wait_usual()
    assert broken == 0


def wait_a_moment(seconds: float):
    time.sleep(stretched(seconds))


def test_a_director_without_servers_hands_over_and_takes_back_without_loss(site):
    wire = Wire(site.a.host, site.lab.directory, (site.a.v4, site.a.v6))
    with site.load(rate=RATE, seconds=60) as load:
        load.sleep_until(0.3)
        site.blind(site.a)
        try:
            site.a.wait_state("withdrawn")
            site.wait_at(V4, "b")
            load.sleep(0.3)
        finally:
            site.see(site.a)
        site.wait_at(V4, "a")
        load.sleep(0.5)
        result = load.stop().finish()
    wire.stop()
    (gone, deleted, _), (back, deleted_again, _) = wire.changes(V4)
    assert deleted and not deleted_again
    timings = site.a.director.status()["engine"]
    note(site, f"from the kernel's route to BIRD's packet: withdrawal "
               f"{wire.after(gone) * 1000:.1f} ms, announcement {wire.after(back) * 1000:.1f} ms; "
               f"before it, from verdict to kernel at most "
               f"{timings['worst_verdict_to_table_us'] / 1000:.1f} ms; {result.failed} of "
               f"{result.sent} queries lost")
    assert max(wire.after(gone), wire.after(back)) < stretched(0.2)
    assert result.failed == 0, result
    site.wait_usual()


def stop_and_start(site):
    site.a.stop()
    site.wait_at(V4, "b")
    assert site.a.director.process.wait(stretched(20)) == 0
    site.a.director.start()


def drain_and_back(site):
    site.a.director.command("drain", "--all")
    site.wait_at(V4, "b")
    site.a.wait_state("withdrawn")
    site.a.director.command("undrain", "--all")


def upgrade(site):
    before = site.a.director.status()["started_at"]
    site.a.director.process.send_signal(signal.SIGUSR2)
    wait_for("the new program", lambda: site.a.director.status()["started_at"] != before, 20)


def reload(site):
    for _ in range(5):
        site.a.director.reload()


def withdraw_and_announce(site):
    site.a.director.command("withdraw", V4)
    site.wait_at(V4, "b")
    site.a.director.command("announce", V4)


@pytest.mark.parametrize("deed", [stop_and_start, drain_and_back, upgrade, reload,
                                  withdraw_and_announce])
def test_what_an_operator_does_loses_nothing(site, deed):
    with site.load(rate=RATE, seconds=90) as load:
        load.sleep_until(0.3)
        deed(site)
        site.wait_at(V4, "a", timeout=60)
        load.sleep(0.5)
        result = load.stop().finish()
    note(site, f"{deed.__name__}: {result.failed} of {result.sent} lost at {RATE}/s")
    assert result.failed == 0, result
    site.wait_usual()


def test_kill_9_without_systemd_is_a_withdrawal(site):
    with site.load(rate=RATE, seconds=60) as load:
        load.sleep_until(0.3)
        site.a.director.kill9()
        site.wait_at(V4, "b")
        load.sleep(0.3)
        site.a.director.start()
        site.wait_at(V4, "a")
        load.sleep(0.3)
        result = load.stop().finish()
    # The kernel forwards on meanwhile.
    note(site, f"kill -9 of a director without systemd, and a new start: {result.failed} of "
               f"{result.sent} lost at {RATE}/s")
    assert result.failed == 0, result
    site.wait_usual()


def test_kill_9_of_the_routing_daemon(site):
    with site.load(rate=RATE, seconds=60) as load:
        load.sleep_until(0.3)
        site.a.bird.stop()
        site.wait_at(V4, "b")
        load.sleep(0.5)
        result = load.stop().finish()
    note(site, f"kill -9 of the director's BIRD: {lost_ms(result):.0f} ms of traffic lost")
    assert lost_ms(result) <= stretched(200), result
    wait_for("the director to say so",
             lambda: not site.a.director.status()["bgp"]["answering"], 5)
    site.a.start_bird()
    site.wait_usual()


@pytest.fixture(scope="module", params=["bird", "frr"])
def bfd_site(request, can_route):
    with Site(request.param, bfd=True) as site:
        yield site


def test_an_unplugged_director_is_noticed_by_bfd(bfd_site):
    site, connections = bfd_site, 100
    site.wait_usual()
    with (site.lab.flows(V6, connections=connections, every_ms=100, seconds=60) as flows,
          site.load(rate=RATE, seconds=60) as load):
        load.sleep_until(0.5)
        site.unplug(site.a)
        for address in (V4, V6):
            wait_for(f"the client's router to send {address} to b",
                     lambda a=address: site.next_hops(a) == {"b"}, 20)
        load.sleep(0.5)
        result = load.stop().finish()
        # A silent connection counts as broken when a query on it had no answer for 5 s.
        wait_a_moment(5.5)
        broken = len(flows.stop()["broken"])
    note(site, f"a director is unplugged, BFD 100 ms x 3: {lost_ms(result):.0f} ms of traffic "
               f"lost; anycast: {connections - broken} of {connections} TCP connections survive")
    assert lost_ms(result) <= stretched(NOTICED_MS), result
    assert broken == 0
    site.plug(site.a)
    site.wait_usual()


def test_a_frozen_routing_daemon_is_noticed_by_bfd(bfd_site):
    site = bfd_site
    site.wait_usual()
    with site.load(rate=RATE, seconds=60) as load:
        load.sleep_until(0.5)
        site.a.bird.process.send_signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            wait_for("the client's router to turn to b", lambda: site.next_hops(V4) == {"b"}, 20,
                     0.005)
            turned = time.monotonic() - began
            wait_for("the director to say that its daemon does not answer",
                     lambda: not site.a.director.status()["bgp"]["answering"], 5)
        finally:
            site.a.bird.process.send_signal(signal.SIGCONT)
        site.wait_at(V4, "a", timeout=60)
        load.sleep(0.5)
        result = load.stop().finish()
    note(site, f"the director's BIRD is frozen, BFD 100 ms x 3: the router has turned after "
               f"{turned * 1000:.0f} ms; {result.failed} of {result.sent} lost, there and back")
    # The director forwards on meanwhile.
    assert result.failed == 0, result
    assert turned * 1000 <= stretched(NOTICED_MS)
    site.wait_usual()
