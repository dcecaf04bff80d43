# SPDX-License-Identifier: Apache-2.0
"""The virtual machine itself: what the tests of IPVS and of tagged frames rely on."""

import os
import platform
import socket

import pytest
from lab.network import Network
from lab.registry import Registry
from lab.system import run

pytestmark = pytest.mark.vm(only=True)

SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq")
SERVICE, SERVICE6 = "192.0.2.53", "2001:db8::53"


@pytest.fixture(scope="module")
def network(can_lab):
    registry = Registry.create(keep=False)
    yield Network(registry, registry.lab["id"])
    assert registry.teardown() == []


@pytest.fixture
def host(network):
    """A namespace of its own with nothing but lo and the service IPs."""
    return network.bare(f"s{len(network.hosts)}", [SERVICE, SERVICE6])


def table(host) -> list:
    """The lines of the namespace's IPVS table, as ipvsadm would take them."""
    return host.run("ipvsadm", "-Sn").stdout.splitlines()


def test_the_kernel_is_debian_12s_own():
    assert platform.release().startswith("6.1.") and "Debian" in platform.version()


def test_ipvs_is_loaded_with_its_table_empty(host):
    assert os.path.exists("/sys/module/ip_vs")
    listed = host.run("ipvsadm", "-ln").stdout
    assert listed.startswith("IP Virtual Server version 1.2.1")
    assert table(host) == []


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_ipvs_has_the_scheduler(host, scheduler):
    service = f"-A -u {SERVICE}:53 -s {scheduler}"
    host.run("ipvsadm", *service.split())
    assert table(host) == [service]


@pytest.mark.parametrize("forwarding", ["-g", "-i", "-m"], ids=["DR", "TUN", "NAT"])
def test_ipvs_takes_real_servers_of_both_families(host, forwarding):
    for service, server in ((SERVICE, "203.0.113.12"), (f"[{SERVICE6}]", "[2001:db8:1::12]")):
        host.run("ipvsadm", "-A", "-u", f"{service}:53", "-s", "wrr", "--ops")
        host.run("ipvsadm", "-a", "-u", f"{service}:53", "-r", f"{server}:53", forwarding,
                 "-w", "3")
    servers = [line for line in table(host) if line.startswith("-a")]
    assert len(servers) == 2 and all(f" {forwarding} -w 3" in line for line in servers), servers


def test_ipvs_tables_of_two_namespaces_are_apart(host):
    host.run("ipvsadm", "-A", "-u", f"{SERVICE}:53", "-s", "wrr")
    assert run("ipvsadm", "-Sn").stdout == ""


def test_a_vlan_interface_tells_tagged_frames_apart(host):
    host.ip("link add eth1 type veth peer name eth1p",
            "link add link eth1 name eth1.105 type vlan id 105",
            "link add link eth1 name eth1.109 type vlan id 109",
            "link set eth1 up", "link set eth1p up", "link set eth1.105 up", "link set eth1.109 up")
    names = {name for _, name in host.call(socket.if_nameindex)}
    assert {"eth1.105", "eth1.109"} <= names
    detail = host.run("ip", "-d", "link", "show", "eth1.105").stdout
    assert "vlan protocol 802.1Q id 105" in detail


@pytest.mark.parametrize("line", [
    "link add x type dummy", "link add x type ipip remote 203.0.113.12 local 203.0.113.11",
    "link add x type ip6tnl remote 2001:db8:1::12 local 2001:db8:1::11"],
    ids=["dummy", "ipip", "ip6tnl"])
def test_the_kernel_has_the_kinds_of_interface_that_a_cluster_uses(host, line):
    host.ip(line, "link set x up")


def test_nf_tables_translates_by_input_interface(host):
    rules = ('table ip lab { chain in { type nat hook prerouting priority dstnat; '
             'iifname "eth1.105" udp dport 53 dnat to 203.0.113.11:5301; }; }\n')
    host.run("nft", "-f", "-", input=rules)
    assert "dnat to 203.0.113.11:5301" in host.run("nft", "list", "ruleset").stdout


def test_what_the_machine_writes_is_gone_with_it_but_for_what_it_hands_out():
    here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "written-in-the-vm")
    with open(here, "w", encoding="ascii") as file:
        file.write("in memory")
    with open("/proc/mounts", encoding="ascii") as mounts:
        kinds = {line.split()[1]: line.split()[2] for line in mounts}
    assert (kinds["/"], kinds["/run/lab-vm"]) == ("overlay", "9p")
    with open(os.path.join(os.environ["LAB_VM_OUT"], "kernel"), "w", encoding="ascii") as file:
        file.write(platform.release() + "\n")
