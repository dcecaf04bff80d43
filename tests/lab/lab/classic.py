# SPDX-License-Identifier: Apache-2.0
"""The classic cluster: two real servers that are one machine with one MAC.

    client ── router ──── eth0 director eth1 ──┬── switch ──┬── ns1
                 │           eth1.105 ╌╌╌╌╌╌╌╌╌┤            ├── eth0 kai
                 │           eth1.109 ╌╌╌╌╌╌╌╌╌┘            └── eth1 kai
                 └── replies                                    eth1.105, eth1.109

kai has the service IP on lo once and runs two BIND processes, each at kai's address in one
VLAN. The VLAN by which the director sent a packet decides which process gets it: DNAT by
input interface. Needs 8021q, so the virtual machine (scripts/lab-vm).
"""

import os
from dataclasses import dataclass

from . import plan
from .daemons import Bind
from .director import REPOSITORY
from .lab import Lab
from .network import SERVER_BRIDGE

CONFIG = os.path.join(REPOSITORY, "examples", "keepalived-vlans.conf")
TRUNK, UPLINK_V4 = "eth1", "203.0.113.30"


@dataclass
class Vlan:
    """One VLAN between the director and kai, and the process that it leads to."""

    number: int
    director: str
    kai: str

    @property
    def interface(self) -> str:
        return f"{TRUNK}.{self.number}"

    @property
    def process(self) -> str:
        return f"kai-{self.number}"


VLANS = (Vlan(105, "203.0.113.97", "203.0.113.98"), Vlan(109, "203.0.113.113", "203.0.113.114"))
# By the name that each gives in its answers: {name: address in the keepalived.conf}.
ADDRESSES = {"s1": plan.server_v4(1), **{vlan.process: vlan.kai for vlan in VLANS}}


class Classic(Lab):
    """A lab whose servers are s1 and kai's two processes, kai-105 and kai-109."""

    def __init__(self, **options):
        super().__init__(servers=["bind"], interfaces=2, services=[plan.SERVICE_V4], **options)

    def _start_server(self, number: int, make: str):
        super()._start_server(number, make)
        for vlan in VLANS:
            _add_vlan(self.director_host, vlan, vlan.director)
        self._start_kai()

    def _start_kai(self):
        kai = self.network.server("kai", [UPLINK_V4])
        kai.sysctl(ipv4__conf__all__arp_ignore=1, ipv4__conf__all__arp_announce=2)
        self.network.plug(kai, TRUNK, SERVER_BRIDGE)
        kai.ip(f"link set {TRUNK} up", f"addr add {plan.SERVICE_V4}/32 dev lo")
        for number, vlan in enumerate(VLANS):
            _add_vlan(kai, vlan, vlan.kai)
            self.servers[vlan.process] = Bind(kai, self.directory, vlan.process, [vlan.kai],
                                              source=UPLINK_V4, control_port=953 + number)
        kai.run("nft", "-f", "-", input=_dnat())
        for vlan in VLANS:
            self.servers[vlan.process].start(wait=False)

    def take_down_dnat(self):
        """kai has neither the service IP nor the rules any more."""
        kai = self.host("kai")
        kai.run("nft", "delete", "table", "ip", "kai")
        kai.ip(f"addr del {plan.SERVICE_V4}/32 dev lo")
        kai.sysctl(ipv4__conf__all__arp_ignore=0, ipv4__conf__all__arp_announce=0)


def _add_vlan(host, vlan: Vlan, address: str):
    host.ip(f"link add link {TRUNK} name {vlan.interface} type vlan id {vlan.number}",
            f"link set {vlan.interface} up", f"addr add {address}/28 dev {vlan.interface}")


def _dnat() -> str:
    """kai's rules. Connection tracking knows a flow by addresses and ports, not by interface: a
    client's port that it has seen on one VLAN would get the process of that VLAN by the other
    one, too, as long as the flow lasts, whether that process lives or not. A zone for each
    VLAN tells them apart (iptables: -t raw -i eth1.105 -j CT --zone-orig 105). Replies need
    none, since they begin at different addresses."""
    zones = "; ".join(f"iifname {v.interface} ct original zone set {v.number}" for v in VLANS)
    query = f"ip daddr {plan.SERVICE_V4} meta l4proto {{ tcp, udp }} th dport 53"
    dnat = "; ".join(f"iifname {v.interface} {query} dnat to {v.kai}" for v in VLANS)
    return f"""\
table ip kai {{
    chain zones {{
        type filter hook prerouting priority raw
        {zones}
    }}
    chain to_process {{
        type nat hook prerouting priority dstnat
        {dnat}
    }}
}}
"""
