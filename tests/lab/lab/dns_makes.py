# SPDX-License-Identifier: Apache-2.0
"""The DNS servers of docs/realserver_servers.md: what of Debian's packages they use, and what the
lab gives each so that it has something to answer without the rest of the DNS."""

import re
from dataclasses import dataclass, field
from typing import Callable

from . import plan

LARGE = "large.example.com"
_TEXTS = [f'"{number:03d}{"x" * 200}"' for number in range(10)]
ZONE = f"""\
$ORIGIN example.com.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 300
@ NS ns
ns A {plan.SERVICE_V4}
www A {plan.WWW_V4}
www AAAA {plan.WWW_V6}
""" + "".join(f"large TXT {text}\n" for text in _TEXTS)
PROCESSES = ("ns1", "ns2")


@dataclass
class Make:
    """What to know about a DNS server.

    folders: what its package has under /etc and /var. data: files that give it something to
    answer; more: what is appended to files of the page for that. control: what tells one of
    two processes to end, as arguments or as a socket that takes a line. wildcard, freebind,
    cookie: (pattern, replacement) that turn the page's configuration into one that listens on
    the wildcard addresses, needs the service IP at its start, and has no cookie secret.
    silent: who is in no access list gets no answer.
    """

    heading: str
    unit: str
    template: str
    folders: list
    data: dict
    control: Callable
    wildcard: list
    more: dict = field(default_factory=dict)
    freebind: list = field(default_factory=list)
    cookie: list = field(default_factory=list)
    recursor: bool = True
    silent: bool = False


def changed(text: str, changes: list) -> str:
    """A change that changes nothing is an error."""
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.M | re.S)
        assert count > 0, (pattern, text)
    return text


def _unbound_data() -> str:
    lines = [f"www.example.com. A {plan.WWW_V4}", f"www.example.com. AAAA {plan.WWW_V6}",
             *[f"{LARGE}. TXT {text}" for text in _TEXTS]]
    return "server:\n  local-zone: example.com. static\n" + "".join(
        f"  local-data: '{line}'\n" for line in lines)


_KNOT_RESOLVER_DATA = f"""
policy.add(policy.domains(policy.ANSWER({{
    [kres.type.A] = {{ rdata = kres.str2ip('{plan.WWW_V4}'), ttl = 300 }},
    [kres.type.AAAA] = {{ rdata = kres.str2ip('{plan.WWW_V6}'), ttl = 300 }},
}}), {{ todname('www.example.com') }}))
local texts = {{}}
for number = 0, 9 do
    texts[#texts + 1] = '\\203' .. string.format('%03d', number) .. ('x'):rep(200)
end
policy.add(policy.domains(policy.ANSWER({{
    [kres.type.TXT] = {{ rdata = texts, ttl = 300 }},
}}), {{ todname('{LARGE}') }}))
"""

_BIND_ZONE = 'zone "example.com" { type primary; file "/etc/bind/example.com.zone"; };\n'
_NSD_ZONE = 'zone:\n  name: example.com\n  zonefile: /etc/nsd/example.com.zone\n'

_PDNS_LISTEN = [(r"^local-address=[^\n]*", "local-address=0.0.0.0, ::")]
_PDNS_ZONE = ('zone "example.com" { type master; file "/etc/powerdns/example.com.zone"; };\n')
_RECURSOR_ZONE = "auth-zones=example.com=/etc/powerdns/example.com.zone\n"

MAKES = [
    Make("BIND", "named.service", "named@{}.service", ["/etc/bind", "/var/cache/bind"],
         {"/etc/bind/named.conf.local": _BIND_ZONE, "/etc/bind/example.com.zone": ZONE},
         lambda name: ["rndc", "-p", {"ns1": 8001, "ns2": 8002}[name], "stop"],
         [(r"listen-on \{.*?\}", "listen-on { any; }"),
          (r"listen-on-v6 \{.*?\}", "listen-on-v6 { any; }")],
         cookie=[(r" cookie-secret [^\n]*", "")]),
    Make("Unbound", "unbound.service", "unbound@{}.service", ["/etc/unbound", "/var/lib/unbound"],
         {"/etc/unbound/unbound.conf.d/lab.conf": _unbound_data()},
         lambda name: ["unbound-control", "-c", f"/etc/unbound/{name}.conf", "stop"],
         [(r"( *interface: [^\n]*\n)+", "    interface: 0.0.0.0\n    interface: ::0\n")],
         more={"/etc/unbound/ns1.conf": _unbound_data()}, freebind=[("ip-freebind: yes", "")]),
    Make("PowerDNS Recursor", "pdns-recursor.service", "pdns-recursor@{}.service",
         ["/etc/powerdns"],
         {"/etc/powerdns/recursor.d/lab.conf": _RECURSOR_ZONE,
          "/etc/powerdns/example.com.zone": ZONE},
         lambda name: ["rec_control", f"--config-name={name}", "quit"], _PDNS_LISTEN,
         more={"/etc/powerdns/recursor-ns1.conf": _RECURSOR_ZONE},
         freebind=[("non-local-bind=yes", "")], silent=True),
    Make("Knot Resolver", "kresd@1.service", "kresd@{}.service",
         ["/etc/knot-resolver", "/var/lib/knot-resolver", "/var/cache/knot-resolver"], {},
         "/run/knot-resolver/control/{}".format,
         [(r"net\.listen.*freebind = true }\)", "net.listen({ '0.0.0.0', '::' }, 53)")],
         more={"/etc/knot-resolver/kresd.conf": _KNOT_RESOLVER_DATA},
         freebind=[(", freebind = true", "")]),
    Make("NSD", "nsd.service", "nsd@{}.service", ["/etc/nsd", "/var/lib/nsd"],
         {"/etc/nsd/nsd.conf.d/lab.conf": _NSD_ZONE, "/etc/nsd/zones.conf": _NSD_ZONE,
          "/etc/nsd/example.com.zone": ZONE},
         lambda name: ["nsd-control", "-c", f"/etc/nsd/{name}.conf", "stop"],
         [(r" *ip-address: [^\n]*\n", "")], freebind=[("ip-freebind: yes", "")],
         cookie=[("[a-z]*-cookie: yes", ""), (r"cookie-secret: [^\n]*", "")], recursor=False),
    Make("Knot DNS", "knot.service", "knot@{}.service", ["/etc/knot", "/var/lib/knot"],
         {"/etc/knot/zones.conf": "zone:\n  - domain: example.com\n",
          "/var/lib/knot/example.com.zone": ZONE},
         lambda name: ["knotc", "-s", f"/run/knot-{name}/knot.sock", "stop"],
         [(r"listen: \[[^]]*\]", "listen: [ 0.0.0.0@53, ::@53 ]")],
         cookie=[(r"^mod-cookies:.*^template", "template"), (r" global-module: [^\n]*", "")],
         recursor=False),
    Make("PowerDNS Authoritative Server", "pdns.service", "pdns@{}.service",
         ["/etc/powerdns", "/var/lib/powerdns"],
         {"/etc/powerdns/named.conf": _PDNS_ZONE, "/etc/powerdns/example.com.zone": ZONE},
         lambda name: ["pdns_control", f"--config-name={name}", "quit"], _PDNS_LISTEN,
         freebind=[("non-local-bind=yes", "")], cookie=[(r"edns-cookie-secret=[^\n]*", "")],
         recursor=False),
]
