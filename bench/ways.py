# SPDX-License-Identifier: Apache-2.0
"""The ways from the client to the servers that are compared (bench/README.md). Each is
entered with a lab and yields what the client asks and which processes balance."""

import os
from contextlib import contextmanager
from dataclasses import dataclass, field

import cpu
from alone import PROCESSORS, alone
from lab import ipvs, plan, wait_for
from lab.director import CALM_CHECK, Director, binary, cluster, director_block
from lab.system import LabError, find_program

DNSDIST = """\
setSecurityPollSuffix("")
setACL({{"0.0.0.0/0"}})
setMaxTCPClientThreads({processors})
setUDPSocketBufferSizes(4194304, 4194304)
{listeners}
{servers}
setServerPolicy({policy})
"""


@dataclass
class Entered:
    """What the client asks, the same number of addresses on every way, in turn."""

    targets: list
    balancer: list = field(default_factory=list)  # pids
    quiet: callable = alone  # a context manager: while it lasts others run or do not


def own_addresses(lab) -> list:
    return [plan.server_v4(number) for number, _ in enumerate(lab.servers, 1)]


def service_ip(lab) -> list:
    return [plan.SERVICE_V4] * len(lab.servers)


@contextmanager
def direct(lab):
    """Nobody in between: the client itself asks the servers in turn."""
    lab.network.set_native(False)
    yield Entered(own_addresses(lab))


@contextmanager
def detour(lab):
    """Queries pass the director's host, whose kernel only routes them; answers
    go straight back, as with the director: what the longer way itself costs."""
    host = lab.director_host
    lab.network.set_native(False)
    host.sysctl(ipv4__ip_forward=1, ipv4__conf__all__send_redirects=0,
                ipv4__conf__eth0__send_redirects=0)
    routes = [f"{to} via {plan.DIRECTOR_V4}" for to in own_addresses(lab)]
    lab.router.ip(*[f"route add {route}" for route in routes])
    try:
        yield Entered(own_addresses(lab))
    finally:
        lab.router.ip(*[f"route del {route}" for route in routes])
        host.sysctl(ipv4__ip_forward=0)


def director(plane: str, mode: str = "auto"):
    """The director, all servers with weight 1 (wrr), each checked four times a second."""
    @contextmanager
    def way(lab):
        # What native XDP needs at the wire's other end only costs time for all others.
        lab.network.set_native(mode == "native")
        if plane == "ipvs":
            ipvs.prepare(lab.director_host)
        servers = {name: 1 for name in lab.servers}
        config = director_block(plane, mode=mode) + cluster(servers, check=CALM_CHECK,
                                                            service_ips=[plan.SERVICE_V4])
        with Director(lab, config) as one:
            one.wait_states(**{name: "up" for name in servers})
            _has_mode(one, plane, mode)
            yield Entered(service_ip(lab), [one.process.pid])
        if plane == "ipvs":
            ipvs.clear(lab.director_host)
    return way


def _has_mode(one: Director, plane: str, mode: str):
    dataplane = one.status()["dataplane"]
    got = dataplane["interfaces"][0]["mode"] if plane == "xdp" else mode
    if (dataplane["kind"], got) != (plane, mode):
        raise LabError(f"the director forwards by {dataplane['kind']} {got}, not {plane} {mode}")


def pin(pid: int, cores: int):
    """Keeps a balancer on so many processors: of one it is the last, where no client is."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), set(PROCESSORS[-cores:]))


def proxy_config(servers: list, cores: int) -> str:
    """The proxy plane with a worker for each processor; one client address has no limits."""
    return (director_block("proxy")
            + f"proxy {{\n    workers {cores}\n    tcp_per_address 0\n    tcp_clients 65536\n}}\n"
            + cluster({name: 1 for name in servers}, check=CALM_CHECK,
                      service_ips=[plan.SERVICE_V4]).replace("    lb_kind DR\n", ""))


def proxy(cores: int):
    """The director's proxy plane, wrr, with as many workers as processors that it may use."""
    @contextmanager
    def way(lab):
        lab.network.set_native(False)
        with Director(lab, proxy_config(lab.servers, cores)) as one:
            one.wait_states(**{name: "up" for name in lab.servers})
            _has_mode(one, "proxy", "auto")
            pin(one.process.pid, cores)
            yield Entered(service_ip(lab), [one.process.pid])
    return way


@contextmanager
def _in_between(lab, what: str, argv: list, cores: int):
    """A program in the director's host, on the service IP, that answers."""
    host, log = lab.director_host, lab.path(f"{what}.log")
    host.ip(f"addr add {plan.SERVICE_V4}/32 dev lo")
    process = host.start(what, argv, log)
    try:
        wait_for(f"{what} to answer", lambda: _answers(lab, what, process, log))
        pin(process.pid, cores)
        yield Entered(service_ip(lab), [process.pid])
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(5)
        host.ip(f"addr del {plan.SERVICE_V4}/32 dev lo")


def _answers(lab, what: str, process, log: str) -> bool:
    if process.poll() is not None:
        with open(log, encoding="utf-8", errors="replace") as lines:
            raise RuntimeError(f"{what} ended with {process.returncode}: {lines.read()}")
    return bool(lab.ask(plan.SERVICE_V4, timeout=0.5).answer)


def relay(cores: int):
    """relay.cc: what any program costs that stands in between, whatever it does there."""
    @contextmanager
    def way(lab):
        lab.network.set_native(False)
        program = os.path.join(os.path.dirname(binary()), "relay")
        with _in_between(lab, "relay", [program, str(cores), plan.SERVICE_V4,
                                        *own_addresses(lab)], cores) as entered:
            yield entered
    return way


def dnsdist(policy: str, cores: int = cpu.PROCESSORS, extra: str = ""):
    """As its documentation advises for speed: a listener for each processor on a shared
    port, as many TCP workers, no console, no web server; without root once it listens."""
    @contextmanager
    def way(lab):
        lab.network.set_native(False)
        directory = lab.path("dnsdist")
        os.makedirs(directory, exist_ok=True)
        config = os.path.join(directory, "dnsdist.conf")
        local = f'addLocal("{plan.SERVICE_V4}:53", {{reusePort=true}})'
        servers = [f'newServer({{address="{address}:53", name="{name}", '
                   f'checkName="{plan.WWW_NAME}."}})'
                   for name, address in zip(lab.servers, own_addresses(lab))]
        with open(config, "w", encoding="utf-8") as file:
            file.write(DNSDIST.format(
                processors=cores, policy=policy, servers="\n".join(servers),
                listeners="\n".join([local.replace("addLocal", "setLocal")]
                                    + [local] * (cores - 1))) + extra)
        with _in_between(lab, "dnsdist", [
                find_program("dnsdist"), "--supervised", "--disable-syslog", "-C", config,
                "--uid", "nobody", "--gid", "nogroup"], cores) as entered:
            yield entered
    return way


@dataclass
class Way:
    title: str
    enter: callable  # with a lab: a context manager that yields an Entered


DIRECT = "direct"
DIRECTORS = ("xdp-native", "xdp-generic", "proxy")
DNSDISTS = ("dnsdist-rr", "dnsdist-lo")
# The proxy plane, and what it is held against: as many processors, its cheapest policy.
PROXIES = {"proxy-1": "dnsdist-1", "proxy-2": "dnsdist-rr"}
# What both are held against.
RELAYS = {"proxy-1": "relay-1", "proxy-2": "relay-2"}
WAYS = {
    DIRECT: Way("no balancer", direct),
    "detour": Way("the same by a kernel router", detour),
    "xdp-native": Way("director, XDP native", director("xdp", "native")),
    "xdp-generic": Way("director, XDP generic", director("xdp", "generic")),
    "proxy": Way("director, proxy", director("proxy")),
    "dnsdist-rr": Way("dnsdist, roundrobin", dnsdist("roundrobin")),
    "dnsdist-lo": Way("dnsdist, leastOutstanding", dnsdist("leastOutstanding")),
    "ipvs": Way("director, IPVS", director("ipvs")),
    "proxy-1": Way("director, proxy, one core", proxy(1)),
    "dnsdist-1": Way("dnsdist, one core", dnsdist("roundrobin", 1)),
    "relay-1": Way("a bare relay, one core", relay(1)),
    "proxy-2": Way("director, proxy", proxy(cpu.PROCESSORS)),
    "relay-2": Way("a bare relay", relay(cpu.PROCESSORS)),
}


def here() -> list:
    """The ways that can be had on this machine: IPVS where its kernel has it, and there no
    dnsdist, since such a machine is the emulated one, where only kernels are compared."""
    emulated = os.path.exists("/proc/net/ip_vs")
    absent = {*PROXIES, *RELAYS.values(), "dnsdist-1",
              *((*DNSDISTS, "proxy") if emulated else ("ipvs",))}
    return [name for name in WAYS if name not in absent]


def proxies() -> list:
    """The ways on which the proxy plane is compared."""
    return [DIRECT, *(name for one in PROXIES for name in (one, PROXIES[one], RELAYS[one]))]
