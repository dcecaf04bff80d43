# SPDX-License-Identifier: Apache-2.0
"""The ipvs plane on a kernel that lacks something, or loses it: what it says, and that
everything stays as it was. scripts/lab-vm runs this file."""

import os
import signal

import pytest
from lab import wait_for
from lab.big_table import bare_host
from lab.director import binary
from lab.system import run, stretched

pytestmark = pytest.mark.vm(only=True)

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq")
MODPROBE = "/proc/sys/kernel/modprobe"


@pytest.fixture(scope="module")
def host(can_direct):
    with bare_host() as one:
        yield one


@pytest.fixture
def modules():
    """Nothing is loaded by itself in here; whatever was unloaded is back at the end."""
    with open(MODPROBE, encoding="ascii") as file:
        before = file.read()
    modprobe("/bin/false\n")
    yield
    modprobe(before)
    load()


def modprobe(program: str):
    with open(MODPROBE, "w", encoding="ascii") as file:
        file.write(program)


def load():
    run("modprobe", "-a", "ip_vs", *(f"ip_vs_{name}" for name in SCHEDULERS))


def unload_all():
    """ip_vs and all that uses it: earlier tests have had more schedulers loaded."""
    with open("/proc/modules", encoding="ascii") as loaded:
        names = [line.split()[0] for line in loaded]
    run("rmmod", *(name for name in names if name.startswith("ip_vs_")), "ip_vs")


def service(address: str, algo: str = "wrr", kind: str = "DR", server: str = "203.0.113.12"):
    return (f"virtual_server {address} 53 {{\n    lb_algo {algo}\n    lb_kind {kind}\n"
            f"    protocol UDP\n    real_server {server} 53 {{\n        weight 3\n    }}\n}}\n")


class Small:
    """The director on a few services without checks."""

    def __init__(self, host, directory, *services: str):
        self.host, self.directory = host, str(directory)
        self.config = os.path.join(self.directory, "conf")
        self.log = os.path.join(self.directory, "log")
        self.run_dir = os.path.join(self.directory, "run")
        self.process = None
        self.write(*services)

    def write(self, *services: str):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("director { dataplane ipvs }\n" + "".join(services))

    def start(self, *before) -> "Small":
        self.process = self.host.start("dnsdirector", [
            *before, binary(), "run", "-f", self.config, "--run-dir", self.run_dir], self.log)
        return self

    def ready(self) -> "Small":
        wait_for("the director", lambda: self.command("status").returncode == 0, 15)
        return self

    def command(self, *words):
        return self.host.run(binary(), words[0], "--run-dir", self.run_dir, *words[1:],
                             check=False)

    def said(self) -> str:
        with open(self.log, encoding="utf-8") as log:
            return log.read()

    def refused(self) -> str:
        assert self.process.wait(stretched(15)) == 1, self.said()
        return self.said()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            self.process.wait(stretched(10))


def table(host) -> list:
    return sorted(host.run("ipvsadm", "-Sn").stdout.splitlines())


def test_a_start_without_the_schedulers_module_names_it_and_changes_nothing(
        host, modules, tmp_path):
    run("rmmod", "ip_vs_nq")
    with Small(host, tmp_path, service("192.0.2.53"), service("192.0.2.54", "nq")) as director:
        said = director.start().refused()
    assert ("192.0.2.54:53/udp: this kernel has no scheduler nq; run `modprobe ip_vs_nq`"
            in said), said
    assert table(host) == []
    assert "192.0.2.53" not in host.run("ip", "addr").stdout


def test_a_reload_that_needs_a_missing_scheduler_leaves_everything_as_it_was(
        host, modules, tmp_path):
    with Small(host, tmp_path, service("192.0.2.53")) as director:
        director.start().ready()
        before = table(host)
        run("rmmod", "ip_vs_nq")
        director.write(service("192.0.2.55"), service("192.0.2.54", "nq"))
        done = director.command("reload")
        assert done.returncode == 1 and "modprobe ip_vs_nq" in done.stdout + done.stderr, done
        assert table(host) == before
        assert "192.0.2.55" not in host.run("ip", "addr").stdout
        run("modprobe", "ip_vs_nq")
        assert director.command("reload").returncode == 0
        assert any("192.0.2.54:53 -s nq" in line for line in table(host))


def test_a_scheduler_is_loaded_where_the_kernel_can(host, tmp_path):
    run("rmmod", "ip_vs_nq")
    with Small(host, tmp_path, service("192.0.2.54", "nq")) as director:
        director.start().ready()
        assert table(host)[0] == "-A -u 192.0.2.54:53 -s nq"


def test_a_kernel_without_ip_vs_is_named_with_its_mend(host, modules, tmp_path):
    unload_all()
    with Small(host, tmp_path, service("192.0.2.53")) as director:
        said = director.start().refused()
    assert "the module ip_vs is not loaded; run `modprobe ip_vs`" in said, said


def test_without_cap_net_admin_the_start_is_refused(host, tmp_path):
    with Small(host, tmp_path, service("192.0.2.53")) as director:
        said = director.start("setpriv", "--bounding-set", "-net_admin").refused()
    assert "CAP_NET_ADMIN" in said, said
    assert table(host) == []


def test_a_module_that_is_unloaded_at_run_time_is_used_again_when_it_is_back(
        host, modules, tmp_path):
    with Small(host, tmp_path, service("192.0.2.53")) as director:
        director.start().ready()
        before = table(host)
        director.process.send_signal(signal.SIGSTOP)
        host.run("ipvsadm", "-C")
        unload_all()
        director.process.send_signal(signal.SIGCONT)
        wait_for("a word of it", lambda: "run `modprobe ip_vs`" in director.said(), 5)
        load()
        wait_for("the table", lambda: table(host) == before, 5)


def test_a_reload_that_fails_gives_back_what_it_took_over(host, tmp_path):
    """Refused by the kernel half-way: another family's server while a sync daemon runs."""
    host.run("ipvsadm", "--start-daemon", "master", "--mcast-interface", "eth0")
    foreign = ["-A -u 192.0.2.60:53 -s sed", "-a -u 192.0.2.60:53 -r 203.0.113.77:53 -m -w 5",
               "-a -u 192.0.2.60:53 -r 203.0.113.78:53 -m -w 6"]
    try:
        for line in foreign:
            host.run("ipvsadm", *line.split())
        with Small(host, tmp_path, service("192.0.2.53")) as director:
            director.start().ready()
            before = table(host)
            director.write(service("192.0.2.53"), service("192.0.2.60"),
                           service("192.0.2.61", kind="TUN", server="2001:db8:1::11"))
            done = director.command("reload")
            assert done.returncode == 1 and "sync daemon" in done.stdout + done.stderr, done
            assert table(host) == before
        assert table(host) == foreign
    finally:
        host.run("ipvsadm", "-C")
        host.run("ipvsadm", "--stop-daemon", "master")
