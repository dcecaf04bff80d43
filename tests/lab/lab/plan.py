# SPDX-License-Identifier: Apache-2.0
"""The lab's addresses, names and zones. Documentation ranges only."""

CLIENT_V4, CLIENT_V6 = "198.51.100.10", "2001:db8:c::10"
ROUTER_CLIENT_V4, ROUTER_CLIENT_V6 = "198.51.100.1", "2001:db8:c::1"
ROUTER_V4, ROUTER_V6 = "203.0.113.254", "2001:db8:1::fe"
DIRECTOR_V4, DIRECTOR_V6 = "203.0.113.1", "2001:db8:1::1"

# With two interfaces, clients' packets reach the director over this network.
FRONT_ROUTER_V4, FRONT_ROUTER_V6 = "192.0.2.241", "2001:db8:f::fe"
FRONT_DIRECTOR_V4, FRONT_DIRECTOR_V6 = "192.0.2.242", "2001:db8:f::1"

SERVICE_V4, SERVICE_V6 = "192.0.2.53", "2001:db8::53"

ROOT_V4, TLD_V4, ZONES_V4 = "203.0.113.201", "203.0.113.202", "203.0.113.203"
TREE = (ROOT_V4, TLD_V4, ZONES_V4)

# Where thousands of real servers are one process.
CROWD_PREFIX, CROWD_HOST_V4, CROWD_HOST_V6 = "2001:db8:2::/64", "203.0.113.200", "2001:db8:1::c8"

# What the tree answers; the checks ask for LOW_TTL_NAME, so that each of them
# makes a recursor recurse.
WWW_NAME, WWW_V4, WWW_V6 = "www.example.com", "198.51.100.80", "2001:db8:c::80"
LOW_TTL_NAME, LOW_TTL_V4 = "check.example.com", "198.51.100.81"
WILDCARD_ZONE, WILDCARD_V4 = "example.net", "198.51.100.82"


def server_v4(number: int) -> str:
    """The IPv4 address of the real server with this number, from 1."""
    return f"203.0.113.{10 + number}"


def server_v6(number: int) -> str:
    """The IPv6 address of the real server with this number, from 1."""
    return f"2001:db8:1::{10 + number}"


def front_server(number: int) -> tuple:
    """Both addresses of a server behind the router, from 1 to 10."""
    return f"192.0.2.{242 + number}", f"2001:db8:f::{10 + number:x}"


def crowd_v6(number: int) -> str:
    """The address of a server of the crowd, from 1."""
    return f"2001:db8:2::{number:x}"


def _soa(origin: str) -> str:
    return (f"$ORIGIN {origin}\n$TTL 3600\n"
            f"@ SOA ns.example.net. hostmaster.example.net. 1 3600 600 86400 5\n")


ROOT_ZONE = _soa(".") + f"""\
@ NS a.root-servers.net.
a.root-servers.net. A {ROOT_V4}
com. NS a.tld-servers.net.
net. NS a.tld-servers.net.
a.tld-servers.net. A {TLD_V4}
"""

TLD_ZONES = {
    "com.": _soa("com.") + """\
@ NS a.tld-servers.net.
example NS ns.example.net.
""",
    "net.": _soa("net.") + f"""\
@ NS a.tld-servers.net.
a.tld-servers A {TLD_V4}
a.root-servers A {ROOT_V4}
example NS ns.example.net.
ns.example A {ZONES_V4}
""",
}

ZONES = {
    "example.com.": _soa("example.com.") + f"""\
@ NS ns.example.net.
www A {WWW_V4}
www AAAA {WWW_V6}
check 1 A {LOW_TTL_V4}
""",
    "example.net.": _soa("example.net.") + f"""\
@ NS ns.example.net.
ns A {ZONES_V4}
* A {WILDCARD_V4}
""",
}

ROOT_HINTS = f"""\
. 3600000 NS a.root-servers.net.
a.root-servers.net. 3600000 A {ROOT_V4}
"""
