# SPDX-License-Identifier: Apache-2.0
"""A server that tells whom it takes for its client, and a balancer to stand in front.

who.example.com TXT is the client's address, subnet.example.com TXT its EDNS client subnet as
the server got it, or `none`.
"""

from . import plan
from .daemons import Daemon
from .lab import Lab

WHO, SUBNET, NO_SUBNET = "who.example.com", "subnet.example.com", "none"
BALANCER_V4, BALANCER_V6 = "203.0.113.100", "2001:db8:1::64"

ZONE = plan.ZONES["example.com."] + """\
who LUA TXT "who:toString()"
subnet LUA TXT "ecswho and ecswho:toString() or 'none'"
"""


class Telling(Daemon):
    """PowerDNS Authoritative Server. proxied: whom it takes PROXY headers from, and demands."""

    program = "pdns_server"
    ready_question = (plan.WWW_NAME, "A")

    def __init__(self, host, directory, name, addresses, proxied=()):
        super().__init__(host, directory, name, addresses)
        self.proxied = proxied

    def configure(self):
        zone = self.file("zone", ZONE)
        bind = self.file("named.conf", f'zone "example.com" {{ type master; file "{zone}"; }};\n')
        self.file("pdns.conf", f"""\
launch=bind
bind-config={bind}
local-address={','.join(self.addresses)}
proxy-protocol-from={','.join(self.proxied)}
enable-lua-records=yes
edns-subnet-processing=yes
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
security-poll-suffix=
server-id={self.name}
socket-dir={self.directory}
guardian=no
daemon=no
disable-syslog=yes
write-pid=no
setuid=
setgid=
receiver-threads=1
distributor-threads=1
loglevel=4
""")

    def argv(self):
        return [self._program(), f"--config-dir={self.directory}"]


class Balancer(Daemon):
    """dnsdist, which brings its clients' addresses to the service IPs of both families. crossed:
    those of IPv4 to the service IP of IPv6, and the other way round."""

    program = "dnsdist"

    def __init__(self, host, directory, crossed=False):
        super().__init__(host, directory, f"dnsdist{crossed:d}", [BALANCER_V4, BALANCER_V6])
        self.crossed = crossed

    def configure(self):
        pools = ("six", "four") if self.crossed else ("four", "six")
        servers = "\n".join(
            f"newServer({{address='{address}', pool='{pool}', useProxyProtocol=true, "
            f"checkName='{plan.WWW_NAME}.', checkInterval=1, checkTimeout=2000, maxCheckFailures=5}})"
            for address, pool in ((f"{plan.SERVICE_V4}:53", "four"),
                                  (f"[{plan.SERVICE_V6}]:53", "six")))
        self.file("dnsdist.conf", f"""\
setSecurityPollSuffix("")
setLocal("{BALANCER_V4}:53")
addLocal("[{BALANCER_V6}]:53")
setACL({{"0.0.0.0/0", "::/0"}})
{servers}
addAction(makeRule("0.0.0.0/0"), PoolAction("{pools[0]}"))
addAction(makeRule("::/0"), PoolAction("{pools[1]}"))
""")

    def argv(self):
        return [self._program(), "--supervised", "--disable-syslog", "-C",
                self.file("dnsdist.conf")]


class TellingLab(Lab):
    """s1 demands PROXY headers of the director, s2 is as any server; and a balancer's host."""

    def __init__(self):
        super().__init__(servers=["telling"] * 2)

    def _make(self):
        super()._make()
        self.front = self.network.server("front", [BALANCER_V4, BALANCER_V6])

    def daemon(self, host, number, make):
        proxied = (plan.DIRECTOR_V4, plan.DIRECTOR_V6) if number == 1 else ()
        return Telling(host, self.directory, host.name,
                       [plan.server_v4(number), plan.server_v6(number)], proxied)
