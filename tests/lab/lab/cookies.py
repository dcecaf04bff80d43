# SPDX-License-Identifier: Apache-2.0
"""Server cookies as RFC 9018 says that all makes shall make them."""

import ipaddress
import struct

MASK = 2 ** 64 - 1


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & MASK


def _round(v: list):
    v[0] = (v[0] + v[1]) & MASK
    v[2] = (v[2] + v[3]) & MASK
    v[1] = _left(v[1], 13) ^ v[0]
    v[3] = _left(v[3], 16) ^ v[2]
    v[0] = _left(v[0], 32)
    v[2] = (v[2] + v[1]) & MASK
    v[0] = (v[0] + v[3]) & MASK
    v[1] = _left(v[1], 17) ^ v[2]
    v[3] = _left(v[3], 21) ^ v[0]
    v[2] = _left(v[2], 32)


def siphash(key: bytes, data: bytes) -> bytes:
    """SipHash-2-4 (Aumasson, Bernstein: SipHash, a fast short-input PRF)."""
    k = struct.unpack("<2Q", key)
    v = [k[i % 2] ^ start for i, start in enumerate(
        struct.unpack(">4Q", b"somepseudorandomlygeneratedbytes"))]
    padded = data + b"\0" * (7 - len(data) % 8) + bytes([len(data) & 0xff])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        _round(v)
        _round(v)
        v[0] ^= word
    v[2] ^= 0xff
    for _ in range(4):
        _round(v)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


def made_with(secret: str, cookie: bytes, client: str) -> bool:
    """Whether a COOKIE option's value, the client's 8 bytes and the server's 16, was made with
    this secret (in hexadecimal) for this client."""
    return len(cookie) == 24 and siphash(bytes.fromhex(secret), cookie[:16]
                                         + ipaddress.ip_address(client).packed) == cookie[16:]


def cookie(secret: str, client: str, when: int) -> bytes:
    """The value of a COOKIE option with the server's part made at this Unix time."""
    begin = b"askedask" + struct.pack(">II", 1 << 24, when)
    return begin + siphash(bytes.fromhex(secret), begin + ipaddress.ip_address(client).packed)
