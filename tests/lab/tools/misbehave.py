#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server that misbehaves as it is told, over UDP and TCP, to DNS and to HTTP.

    misbehave.py [--other ADDRESS]… [--delay SECONDS] [--stay] [ADDRESS PORT BEHAVIOUR]…

prints "ready" when all of them listen, and ends when its standard input does
(with --stay: by a signal).
BEHAVIOUR "all" puts each one of the list on a port of its own, PORT, PORT+1, …
in the list's order (--list prints it). Port and addresses are the caller's
choice; `--other` is what `wrong_source` answers from, one a family.

| behaviour | DNS over UDP | DNS over TCP | HTTP (GET) |
| --- | --- | --- | --- |
| answers | NOERROR, one record of the type asked (A, AAAA, SOA, TXT) | same | 200 |
| nxdomain, servfail, refused | this status, no record | same | 404, 503, 403 |
| silence | nothing | takes the query, says nothing | same |
| unreachable | nobody listens: ICMP | nobody listens: reset | same |
| wrong_id | as `answers`, ID differs | same | 200 |
| truncated | TC, no record | as `answers` | the status line ends in the middle |
| truncated_no_tcp | TC, no record | nobody listens: reset | same |
| late | as `answers`, after --delay | same | 200, late |
| garbage | the right ID and QR, then trash | same | trash |
| empty | a datagram of no bytes | a message of no bytes | closes |
| wrong_source | as `answers`, from --other | as silence | same |
| nodata | NOERROR, no record | same | 204 |
| closes | nothing | takes the query and closes | same |
| resets | nothing | takes the query and resets | same |

A query that is no DNS message is answered like one, its bytes sent back, so
that checks with a payload of their own find the same behaviours.
"""

import argparse
import asyncio
import ipaddress
import socket
import struct
import sys

BEHAVIOURS = ("answers", "nxdomain", "servfail", "refused", "silence", "unreachable", "wrong_id",
              "truncated", "truncated_no_tcp", "late", "garbage", "empty", "wrong_source",
              "nodata", "closes", "resets")
RCODES = {"servfail": 2, "nxdomain": 3, "refused": 5}
HTTP_STATUS = {"nxdomain": "404 Not Found", "servfail": "503 Service Unavailable",
               "refused": "403 Forbidden", "nodata": "204 No Content"}
NO_UDP = {"unreachable"}
NO_TCP = {"unreachable", "truncated_no_tcp"}
SAYS_NOTHING_UDP = {"silence", "closes", "resets"}
SAYS_NOTHING_TCP = {"silence", "wrong_source"}

HEADER = 12
QR, TC, RA = 0x8000, 0x0200, 0x0080
OPCODE_AND_RD = 0x7900
A, SOA, TXT, AAAA, OPT = 1, 6, 16, 28, 41
NAME_OF_QUESTION = b"\xc0\x0c"
DATA = {
    A: bytes([198, 51, 100, 80]),
    AAAA: ipaddress.ip_address("2001:db8:80::80").packed,
    TXT: b"\x05hello",
    SOA: b"\x02ns\xc0\x0c\x0ahostmaster\xc0\x0c" + struct.pack("!5I", 1, 3600, 600, 86400, 60),
}


def question_end(query: bytes) -> int:
    """Where the first question ends; 0 where there is none."""
    at = HEADER
    while at < len(query) and query[at]:
        if query[at] >= 0xC0:
            return 0
        at += 1 + query[at]
    return at + 5 if at + 5 <= len(query) else 0


def reply_to(query: bytes, rcode: int = 0, *, records: bool = True, truncated: bool = False) -> bytes:
    end = question_end(query) if len(query) > HEADER else 0
    if not end:
        return query
    message_id, flags, _, _, _, additional = struct.unpack("!6H", query[:HEADER])
    rtype, rclass = struct.unpack("!2H", query[end - 4:end])
    flags = QR | RA | (flags & OPCODE_AND_RD) | (TC if truncated else 0) | rcode
    answer = b""
    if records and not truncated and not rcode and rtype in DATA:
        data = DATA[rtype]
        answer = NAME_OF_QUESTION + struct.pack("!2HIH", rtype, rclass, 60, len(data)) + data
    edns = b"\x00" + struct.pack("!2HIH", OPT, 1232, 0, 0) if additional else b""
    counts = struct.pack("!4H", 1, 1 if answer else 0, 0, 1 if edns else 0)
    return struct.pack("!2H", message_id, flags) + counts + query[HEADER:end] + answer + edns


def message(behaviour: str, query: bytes, *, udp: bool) -> bytes:
    """What the behaviour makes of a query."""
    if behaviour == "empty":
        return b""
    if behaviour == "garbage":
        return query[:2] + b"\x81\x80" + b"\xff" * 40
    if behaviour == "wrong_id":
        right = reply_to(query)
        return bytes([right[0] ^ 0x55 if right else 0]) + right[1:]
    cut = udp and behaviour in ("truncated", "truncated_no_tcp")
    return reply_to(query, RCODES.get(behaviour, 0), records=behaviour != "nodata", truncated=cut)


def http_message(behaviour: str) -> bytes:
    if behaviour == "garbage":
        return b"\x00\x01\x02 what HTTP is not \xff\xfe\r\n\r\n"
    if behaviour == "truncated":
        return b"HTTP/1.1 2"
    if behaviour == "empty":
        return b""
    status = HTTP_STATUS.get(behaviour, "200 OK")
    body = b"" if behaviour == "nodata" else b"hello\n"
    return (f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode() + body


class Udp(asyncio.DatagramProtocol):
    def __init__(self, behaviour: str, delay: float, answer_from):
        self.behaviour, self.delay, self.answer_from = behaviour, delay, answer_from

    def datagram_received(self, query, client):
        if self.behaviour in SAYS_NOTHING_UDP:
            return
        reply = message(self.behaviour, query, udp=True)
        delay = self.delay if self.behaviour == "late" else 0
        # Not through the transport, which drops empty datagrams.
        asyncio.get_running_loop().call_later(delay, self.answer_from.sendto, reply, client)


async def read_query(reader) -> tuple:
    """(is HTTP, query)"""
    start = await reader.readexactly(2)
    if start == b"GE":
        return True, start + await reader.readuntil(b"\r\n\r\n")
    return False, await reader.readexactly(struct.unpack("!H", start)[0])


async def serve_connection(behaviour: str, delay: float, reader, writer):
    try:
        while True:
            http, query = await read_query(reader)
            if behaviour in SAYS_NOTHING_TCP:
                await reader.read()
                return
            if behaviour == "resets":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                return
            if behaviour == "closes":
                return
            if behaviour == "late":
                await asyncio.sleep(delay)
            reply = http_message(behaviour) if http else message(behaviour, query, udp=False)
            writer.write(reply if http else struct.pack("!H", len(reply)) + reply)
            await writer.drain()
            if http:
                return
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass
    finally:
        writer.close()


def bound(kind, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, kind)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setblocking(False)
    made.bind((address, port))
    return made


async def listen(address: str, port: int, behaviour: str, options, keep: list):
    loop = asyncio.get_running_loop()
    if behaviour not in NO_UDP:
        asked = answer_from = bound(socket.SOCK_DGRAM, address, port)
        if behaviour == "wrong_source":
            others = [other for other in options.other if (":" in other) == (":" in address)]
            if not others:
                raise SystemExit(f"wrong_source on {address} needs --other of its family")
            answer_from = bound(socket.SOCK_DGRAM, others[0], port)
        keep.append(await loop.create_datagram_endpoint(
            lambda: Udp(behaviour, options.delay, answer_from), sock=asked))
    if behaviour not in NO_TCP:
        async def serve(reader, writer):
            await serve_connection(behaviour, options.delay, reader, writer)
        keep.append(await asyncio.start_server(serve, sock=bound(socket.SOCK_STREAM, address, port)))


async def run(options):
    keep = []
    for address, port, behaviour in options.where:
        await listen(address, port, behaviour, options, keep)
    print("ready", flush=True)
    if options.stay:
        await asyncio.Event().wait()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def triples(words: list) -> list:
    if len(words) % 3:
        raise SystemExit("ADDRESS PORT BEHAVIOUR, or several of these")
    where = []
    for address, port, behaviour in zip(words[::3], words[1::3], words[2::3]):
        if behaviour == "all":
            where += [(address, int(port) + at, each) for at, each in enumerate(BEHAVIOURS)]
        elif behaviour in BEHAVIOURS:
            where.append((address, int(port), behaviour))
        else:
            raise SystemExit(f"{behaviour}: not one of all {' '.join(BEHAVIOURS)}")
    return where


def main():
    parser = argparse.ArgumentParser(description="A server that misbehaves as it is told.")
    parser.add_argument("--other", action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--delay", type=float, default=1.5, metavar="SECONDS")
    parser.add_argument("--stay", action="store_true", help="do not wait for the input's end")
    parser.add_argument("--list", action="store_true", help="print the behaviours, in order")
    parser.add_argument("words", nargs="*", metavar="ADDRESS PORT BEHAVIOUR")
    options = parser.parse_args()
    if options.list:
        print("\n".join(BEHAVIOURS))
        return
    options.where = triples(options.words)
    if not options.where:
        parser.error("nothing to serve")
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
