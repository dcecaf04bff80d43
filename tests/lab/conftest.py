# SPDX-License-Identifier: Apache-2.0
"""Labs shared by the end-to-end tests, and when these cannot run."""

import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import Lab, missing_privileges  # noqa: E402
from lab import figures, ipvs, ipvs_dump, plan, rates  # noqa: E402
from lab.director import Director, binary  # noqa: E402
from lab.real_server import RealServerLab  # noqa: E402
from lab.routing import missing_daemons  # noqa: E402
from lab.systemd import missing_systemd  # noqa: E402

IN_VM = os.environ.get("DNSDIRECTOR_VM") == "1"
STRICT = os.environ.get("DNSDIRECTOR_STRICT") == "1"
SECOND_V4 = "192.0.2.54"
ALL_SERVICES = (plan.SERVICE_V4, plan.SERVICE_V6, SECOND_V4)


def pytest_collection_modifyitems(config, items):
    """Leaves tests that need the virtual machine's kernel to scripts/lab-vm, and there those
    that show nothing more than others do."""
    def elsewhere(item):
        if IN_VM:
            return item.get_closest_marker("namespaces") is not None
        return any(mark.kwargs.get("only") for mark in item.iter_markers("vm"))
    left = [item for item in items if elsewhere(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_generate_tests(metafunc):
    """A test that takes `plane` runs for xdp in namespaces. In the virtual machine it runs for
    ipvs, and for xdp too where it has the mark vm."""
    if "plane" in metafunc.fixturenames:
        planes = [pytest.param("ipvs", marks=pytest.mark.vm)] if IN_VM else []
        metafunc.parametrize("plane", ["xdp", *planes])


def pytest_terminal_summary(terminalreporter):
    if figures.noted():
        terminalreporter.section("figures of this run")
        for line in figures.noted():
            terminalreporter.write_line(line)


def _leave_out(reason: str):
    if STRICT:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def can_lab():
    reason = missing_privileges()
    if reason:
        _leave_out(reason)


@pytest.fixture(scope="session")
def can_direct(can_lab):
    if not os.access(binary(), os.X_OK):
        if "DNSDIRECTOR" in os.environ:
            pytest.fail(f"DNSDIRECTOR={binary()} is no program", pytrace=False)
        _leave_out(f"no dnsdirector at {binary()}: build it (scripts/build) or set DNSDIRECTOR")


@pytest.fixture(scope="session")
def can_route(can_direct):
    if missing_daemons():
        _leave_out(missing_daemons())


@pytest.fixture(scope="session")
def can_run_systemd(can_direct):
    if missing_systemd():
        _leave_out(missing_systemd())


def _no_leaks(leaks: list):
    assert leaks == [], "ended by force"


@pytest.fixture(scope="session")
def answer_lab(can_direct):
    """One lab for the whole run: four servers that do as they are told."""
    lab = Lab(servers=["answer"] * 4, services=ALL_SERVICES).up()
    if IN_VM:
        figures.note(rates.measure(lab, "s1"))
    yield lab
    _no_leaks(lab.down())


@pytest.fixture(scope="session")
def recursor_lab(can_direct):
    """BIND, Unbound and PowerDNS Recursor over a tree of their own."""
    lab = Lab(servers=["bind", "unbound", "pdns"]).up()
    yield lab
    _no_leaks(lab.down())


def _needs_xdp(request) -> bool:
    if "plane" in request.fixturenames:
        return request.getfixturevalue("plane") == "xdp"
    marks = list(request.node.iter_markers("vm"))
    return (any(mark.kwargs.get("xdp") for mark in marks)
            or not any(mark.kwargs.get("only") for mark in marks))


@pytest.fixture
def lab(answer_lab, request):
    """The shared lab, its servers as new, its director's host empty before and after; in the
    virtual machine with the sysctls that IPVS needs."""
    for server in answer_lab.servers.values():
        restore(server)
    if IN_VM:
        ipvs.prepare(answer_lab.director_host)
        answer_lab.network.set_native(_needs_xdp(request))
        rates.use(xdp=_needs_xdp(request))
    assert_host_empty(answer_lab)
    yield answer_lab
    for server in answer_lab.servers.values():
        restore(server)
    if IN_VM:
        left = ipvs_dump.dump(answer_lab.director_host)
        ipvs.clear(answer_lab.director_host)
        assert left == []


def restore(server):
    """Running, answering at once, over both transports."""
    if not server.running():
        server.start()
    server.signal(signal.SIGCONT)
    for command in ("mode answer", "delay 0", "udp on", "tcp on", f"answer {plan.WWW_V4}",
                    f"answer {plan.WWW_V6}"):
        server.tell(command)


def assert_host_empty(lab):
    """No XDP program, no service IP, no director, nothing in IPVS on the director's host."""
    probe = Director.__new__(Director)
    probe.lab, probe.host = lab, lab.director_host
    assert probe.xdp_links() == []
    assert probe.held_service_ips() == []
    assert not IN_VM or ipvs_dump.dump(lab.director_host) == []
    pids = [p for p in lab.director_host.run("ip", "netns", "pids",
                                             lab.director_host.netns).stdout.split()]
    assert pids == [] or all(not _runs_director(p) for p in pids)


def _runs_director(pid: str) -> bool:
    try:
        return "dnsdirector" in os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False


@pytest.fixture(scope="module")
def machine_lab(can_lab, can_direct):
    with RealServerLab() as lab:
        yield lab


@pytest.fixture
def machine(machine_lab):
    """As no real server yet, and whoever's business it is, the same again at the end."""
    before = machine_lab.picture()
    yield machine_lab
    machine_lab.command("down")
    assert machine_lab.picture() == before
