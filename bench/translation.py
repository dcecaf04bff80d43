#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the translation to several DNS processes costs a packet, next to none and to DNAT by
connection tracking.

  sudo bench/translation.py [--rounds N] [--packets N]

In namespaces, by the rules of `dnsdirector realserver rules`. Questions: raw frames from the
router to a socket that nobody reads; what the sending thread takes is the receiving side's work,
too, since a veth hands packets over in its softirq. Answers: what a thread takes to send from the
process's address. The kinds take turns in each round; a kind's cost is the least of its rounds
less that of the untranslated one, in nanoseconds of processor time: what others do on the
machine only adds. Sending itself, by Python, is in both.
"""

import argparse
import os
import re
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "lab"))
from lab import plan  # noqa: E402
from lab.processes import DNAT, PLACES, SECOND_V4, SERVICES, Machine, question  # noqa: E402

CLIENT = "198.51.100.99"  # the router throws away what goes there
OWN = PLACES["one"][1][0]
REMOVE = "table inet dnsdirector_realserver {}\ndelete table inet dnsdirector_realserver\n"
REMOVE_OTHER = "table inet tracked {}\ndelete table inet tracked\n"


def frames(mac: bytes, target: str, flows: int, first: int) -> list:
    """Questions without a checksum, which costs the sender nothing; each flow has its port."""
    payload = question(1)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    ip += socket.inet_aton(CLIENT) + socket.inet_aton(target)
    total = sum(struct.unpack("!10H", ip))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack("!H", ~total & 0xffff) + ip[12:]
    head = mac + b"\2\0\0\0\0\1\x08\0" + ip
    return [head + struct.pack("!HHHH", 1024 + (first + n) % 64000, 53, 8 + len(payload), 0)
            + payload for n in range(flows)]


class Bench:
    def __init__(self, machine: Machine, packets: int):
        self.machine, self.packets, self.first = machine, packets, 0
        mac = re.search(r"link/ether ([0-9a-f:]+)",
                        machine.host.run("ip", "link", "show", "eth1").stdout)[1]
        self.mac = bytes.fromhex(mac.replace(":", ""))
        machine.router.ip(f"route add blackhole {CLIENT}")
        for process in machine.processes.values():
            process.kill()
        self.server = machine.host.call(self._server)
        self.wire = machine.router.call(self._wire)

    @staticmethod
    def _server():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind((OWN, 53))
        return server

    @staticmethod
    def _wire():
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        wire.bind(("eth1", 0))
        return wire

    def rules(self, kind: str):
        nft = REMOVE + REMOVE_OTHER
        if "stateless" in kind:
            nft += self.machine.rules()
        if "tracking" in kind:
            nft += DNAT.format(**self.machine.interfaces)
        self.machine.nft(nft)

    def questions(self, target: str, flows: int) -> float:
        list_of = frames(self.mac, target, flows, self.first)
        self.first += flows
        send = self.wire.send
        begun = time.thread_time_ns()
        for _ in range(self.packets // flows):
            for frame in list_of:
                send(frame)
        return (time.thread_time_ns() - begun) / self.packets

    def answers(self) -> float:
        answer = question(1)[:2] + b"\x84\0" + question(1)[4:]
        send, to = self.server.sendto, (CLIENT, 1024 + self.first % 64000)
        self.machine.router.call(self.wire.send,
                                 frames(self.mac, plan.SERVICE_V4, 1, self.first)[0])
        begun = time.thread_time_ns()
        for _ in range(self.packets):
            send(answer, to)
        return (time.thread_time_ns() - begun) / self.packets


def kinds(bench: Bench) -> list:
    """(name, rules, measurement); the yardstick of those that follow has no rules."""
    def asking(target, flows):
        return lambda: bench.questions(target, flows)
    many = bench.packets
    return [
        ("questions from one port: none", "", asking(OWN, 1)),
        ("stateless", "stateless", asking(plan.SERVICE_V4, 1)),
        ("connection tracking", "tracking", asking(plan.SERVICE_V4, 1)),
        ("questions from a port each: none", "", asking(OWN, many)),
        ("stateless ", "stateless", asking(plan.SERVICE_V4, many)),
        ("stateless, to the second service IP", "stateless", asking(SECOND_V4, many)),
        ("connection tracking ", "tracking", asking(plan.SERVICE_V4, many)),
        ("answers: none", "", bench.answers),
        ("stateless  ", "stateless", bench.answers),
        ("connection tracking  ", "tracking", bench.answers),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--packets", type=int, default=5000)
    options = parser.parse_args()
    with Machine([*SERVICES, SECOND_V4]) as machine:
        bench = Bench(machine, options.packets)
        costs = {name: [] for name, _, _ in kinds(bench)}
        for _ in range(options.rounds):
            for name, rules, measure in kinds(bench):
                bench.rules(rules)
                costs[name].append(measure())
    yardstick = 0.0
    for name, values in costs.items():
        least = min(values)
        if name.endswith(": none"):
            yardstick = least
            print(f"{name:40} {least:7.0f} ns a packet")
        else:
            print(f"  {name:38} {least - yardstick:+7.0f} ns")


if __name__ == "__main__":
    main()
