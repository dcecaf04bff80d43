#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs dig, and dnsdirector's `probe --dig`, against servers that misbehave.

    unshare --net /usr/bin/python3 dig_table.py DNSDIRECTOR

prints one JSON object: `cells`, how many were compared, and `differing`, a list
of [line, behaviour, dig's exit status, ours]. Needs a network namespace of its
own, whose loopback interface it sets up; servers listen there alone.
"""

import argparse
import asyncio
import itertools
import json
import socket
import struct
import subprocess
import sys

import misbehave

V4, V4_OTHER, V6, V6_OTHER = "127.0.0.8", "127.0.0.9", "2001:db8::8", "2001:db8::9"
FIRST_PORT, FIRST_ODD_PORT = 20100, 20200
AT_ONCE = 24
RUN_LIMIT = 60  # seconds; the longest line takes three

# @S, @P: server and port; @B: a source port of the cell's own.
ONCE = "@S -p @P +time=1 +tries=1 "
LINES = [
    ONCE + "a www.example.com",
    ONCE + "a www.example.com +tcp",
    ONCE + "a www.example.com +vc",
    ONCE + "a www.example.com +tcp +notcp",
    ONCE + "a www.example.com +fail",
    ONCE + "a www.example.com +nofail",
    ONCE + "a www.example.com +nofail +tcp",
    ONCE + "a www.example.com +norecurse",
    ONCE + "a www.example.com +norec +dnssec",
    ONCE + "a www.example.com +do +bufsize=512",
    ONCE + "a www.example.com +bufsize=4096 +nodnssec",
    ONCE + "a www.example.com +bufsize=0",
    ONCE + "a www.example.com +bufsize",
    ONCE + "a www.example.com +short",
    ONCE + "a www.example.com +ignore",
    ONCE + "a www.example.com +i +noignore",
    ONCE + "a www.example.com +ignore +tcp",
    ONCE + "a www.example.com -4",
    ONCE + "a www.example.com -b 127.0.0.1",
    ONCE + "a www.example.com -b 0.0.0.0",
    ONCE + "a www.example.com -b 127.0.0.1#@B",
    ONCE + "a www.example.com -b 192.0.2.77",
    ONCE + "-t aaaa -c in -q www.example.com",
    ONCE + "-tsoa -cIN -qexample.com",
    ONCE + "txt ch version.bind",
    ONCE + "version.bind chaos txt",
    ONCE + "-x 192.0.2.1",
    ONCE + "-x 2001:db8::1",
    ONCE + "-t txt -x 192.0.2.1",
    ONCE,
    ONCE + "-t soa",
    ONCE + "any example.com",
    ONCE + "any example.com +notcp",
    ONCE + "TYPE65280 CLASS4 www.example.com",
    ONCE + "ns .",
    ONCE + "a mx " + ".".join(["x" * 60] * 4),
    "-p@P www.example.com @S +ti=1 +tri=1",
    "@S -p @P a www.example.com +time=1 +tries=2",
    "@S -p @P a www.example.com +time=1 +tries=2 +tcp",
    "@S -p @P a www.example.com +time=1 +tries=3 +fail",
    "@S -p @P a www.example.com +time=1 +retry=1",
    "@S -p @P a www.example.com +time=1 +retries=0",
    "@S -p @P a www.example.com +time=0 +tries=0",
    "@S -p @P a www.example.com +time=3 +tries=1",
    "@S -p @P a www.example.com +time=3 +tries=1 +tcp",
    "@S -p @P a www.example.com +timeout=3 +retry=0 +ignore",
]
LINES_V6 = [ONCE + "aaaa www.example.com", ONCE + "aaaa www.example.com -6 +tcp",
            ONCE + "soa www.example.com -b ::1", ONCE + "www.example.com -b ::1#@B +tries=2"]
LINES_NOWHERE = ["@192.0.2.1 a www.example.com +time=1 +tries=2",
                 "@192.0.2.1 a www.example.com +time=1 +tries=2 +tcp",
                 "@2001:db8:ffff::1 a www.example.com +time=1 +tries=1",
                 "@127.0.0.8 -p 20999 a www.example.com +tcp +tries=100"]
CLOSES = FIRST_PORT + misbehave.BEHAVIOURS.index("closes")
LINES_CLOSES = [f"@{V4} -p {CLOSES} a www.example.com +tcp +tries={n}" for n in (64, 65, 100)]
ODD_LINES = [ONCE + "a www.example.com", ONCE + "a www.example.com +tcp",
             ONCE + "a www.example.com +ignore", "@S -p @P www.example.com +time=1 +tries=2",
             ONCE + "a www.example.com +norec +dnssec +bufsize=1400"]


# ---- behaviours that only dig makes a difference of ----------------------------

def right(query: bytes) -> bytes:
    return misbehave.reply_to(query)


def with_flags(reply: bytes, and_mask: int, or_mask: int) -> bytes:
    flags, = struct.unpack("!H", reply[2:4])
    return reply[:2] + struct.pack("!H", flags & and_mask | or_mask) + reply[4:]


def cookie(query: bytes) -> bytes:
    """The data of the COOKIE option, which is the last thing in dig's query."""
    at = query.rfind(b"\x00\x0a\x00", misbehave.HEADER)
    return query[at + 4:]


def bad_cookie(query: bytes, *, ours: bool = True, server: bytes = b"\x5a" * 8) -> bytes:
    end = misbehave.question_end(query)
    client = cookie(query)[:8] if ours else b"\x00" * 8
    option = struct.pack("!2H", 10, len(client + server)) + client + server
    opt = b"\x00" + struct.pack("!2HIH", misbehave.OPT, 1232, 1 << 24, len(option)) + option
    flags = misbehave.QR | misbehave.RA | 0x0107
    return query[:2] + struct.pack("!5H", flags, 1, 0, 0, 1) + query[misbehave.HEADER:end] + opt


def other_question(query: bytes) -> bytes:
    reply = bytearray(right(query))
    reply[misbehave.HEADER + 1] ^= 0x01
    return bytes(reply)


def broken_name(query: bytes) -> bytes:
    """An answer whose name points forwards."""
    end = misbehave.question_end(query)
    head = query[:2] + struct.pack("!5H", misbehave.QR | misbehave.RA, 1, 1, 0, 0)
    return head + query[misbehave.HEADER:end] + b"\xc3\xff" + b"\x00" * 10


def cut_off(query: bytes) -> bytes:
    reply = right(query)
    return reply[:-14] if len(reply) > 40 else reply


def longer_data(query: bytes) -> bytes:
    """An A record of five bytes."""
    end = misbehave.question_end(query)
    head = query[:2] + struct.pack("!5H", misbehave.QR | misbehave.RA, 1, 1, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 5) + b"\x00" * 5
    return head + query[misbehave.HEADER:end] + record


def truncated(reply: bytes) -> bytes:
    return with_flags(reply, 0xffff, misbehave.TC)


ODD = {
    "bad_cookie": bad_cookie,
    "bad_cookie_at_first": lambda q: bad_cookie(q) if len(cookie(q)) == 8 else right(q),
    "bad_cookie_of_another": lambda q: bad_cookie(q, ours=False),
    "bad_cookie_alone": lambda q: bad_cookie(q, server=b""),
    "cookie_of_wrong_length": lambda q: bad_cookie(q, server=b"xyz"),
    "other_opcode": lambda q: with_flags(right(q), 0xffff, 0x2000),
    "other_opcode_broken": lambda q: with_flags(broken_name(q), 0xffff, 0x2000),
    "other_opcode_cut_off": lambda q: with_flags(cut_off(q), 0xffff, 0x2000),
    "other_question": other_question,
    "other_letters": lambda q: right(q).replace(b"example", b"ExAmPlE"),
    "no_question": lambda q: q[:2] + struct.pack("!5H", misbehave.QR, 0, 0, 0, 0),
    "two_questions": lambda q: q[:2] + struct.pack("!5H", misbehave.QR, 2, 0, 0, 0)
        + q[12:misbehave.question_end(q)] * 2,
    "not_a_reply": lambda q: q,
    "header_alone": lambda q: q[:2] + struct.pack("!5H", misbehave.QR, 1, 0, 0, 0),
    "too_short": lambda q: q[:8],
    "trailing_bytes": lambda q: right(q) + b"more",
    "formerr": lambda q: misbehave.reply_to(q, 1),
    "badvers": lambda q: with_flags(bad_cookie(q), 0xfff0, 0),
    "truncated_broken": lambda q: truncated(broken_name(q)),
    "truncated_longer_data": lambda q: truncated(longer_data(q)),
    "truncated_cut_off": lambda q: truncated(cut_off(q)),
    "truncated_both": lambda q: truncated(right(q)),
    "truncated_other_question": lambda q: truncated(other_question(q)),
}


class OddUdp(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self.answer = answer

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, client):
        self.transport.sendto(self.answer(query), client)


async def listen_odd(port: int, answer, keep: list):
    loop = asyncio.get_running_loop()

    async def serve(reader, writer):
        try:
            query = await reader.readexactly(struct.unpack("!H", await reader.readexactly(2))[0])
            reply = answer(query)
            writer.write(struct.pack("!H", len(reply)) + reply)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    keep.append(await loop.create_datagram_endpoint(
        lambda: OddUdp(answer), sock=misbehave.bound(socket.SOCK_DGRAM, V4, port)))
    keep.append(await asyncio.start_server(
        serve, sock=misbehave.bound(socket.SOCK_STREAM, V4, port)))


# ---- the table ------------------------------------------------------------------

def cells() -> list:
    """(line, behaviour), the line with its words filled in but for @B."""
    made = []
    for (server, lines), (at, behaviour) in itertools.product(
            ((V4, LINES), (V6, LINES_V6)), enumerate(misbehave.BEHAVIOURS)):
        made += [(fill(line, server, FIRST_PORT + at), behaviour) for line in lines]
    for at, behaviour in enumerate(ODD):
        made += [(fill(line, V4, FIRST_ODD_PORT + at), behaviour) for line in ODD_LINES]
    return (made + [(line, "nobody") for line in LINES_NOWHERE]
            + [(line, "closes") for line in LINES_CLOSES])


def fill(line: str, server: str, port: int) -> str:
    return line.replace("@S", "@" + server).replace("@P", str(port))


async def status_of(argv: list) -> int:
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"})
    try:
        return await asyncio.wait_for(process.wait(), RUN_LIMIT)
    except asyncio.TimeoutError:
        process.kill()
        await process.wait()
        return -1


async def compare(director: str, line: str, ports) -> tuple:
    theirs = "/usr/bin/dig " + line.replace("@B", str(next(ports)))
    ours = "/usr/bin/dig " + line.replace("@B", str(next(ports)))
    return (await status_of(theirs.split()),
            await status_of([director, "probe", "--dig", ours]))


async def run(director: str) -> dict:
    keep = []
    options = argparse.Namespace(delay=1.5, other=[V4_OTHER, V6_OTHER])
    for server in (V4, V6):
        for at, behaviour in enumerate(misbehave.BEHAVIOURS):
            await misbehave.listen(server, FIRST_PORT + at, behaviour, options, keep)
    for at, answer in enumerate(ODD.values()):
        await listen_odd(FIRST_ODD_PORT + at, answer, keep)
    ports = itertools.count(30000)
    room = asyncio.Semaphore(AT_ONCE)

    async def cell(line, behaviour):
        async with room:
            dig, ours = await compare(director, line, ports)
        return line, behaviour, dig, ours

    done = await asyncio.gather(*(cell(*each) for each in cells()))
    differing = []
    for line, behaviour, dig, ours in done:
        # Once more, alone: a busy machine makes anything late.
        for _ in range(2):
            if dig == ours:
                break
            dig, ours = await compare(director, line, ports)
        if dig != ours or dig < 0:
            differing.append([line, behaviour, dig, ours])
    statuses = sorted({dig for _, _, dig, _ in done})
    return {"cells": len(done), "statuses": statuses, "differing": differing}


def main():
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        raise SystemExit("run it in a network namespace of its own: unshare --net …")
    for command in ("link set lo up", f"addr add {V6}/128 dev lo nodad",
                    f"addr add {V6_OTHER}/128 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True)
    print(json.dumps(asyncio.run(run(sys.argv[1]))))


if __name__ == "__main__":
    main()
