# SPDX-License-Identifier: Apache-2.0
"""The kernel's own dump of an IPVS table, by generic netlink (linux/ip_vs.h): every attribute
but those that count. ipvsadm -Sn leaves out some: a server's family, its port under DR, the
kind of a tunnel, a service's flags as the kernel holds them."""

import socket
import struct

from .system import LabError

NETLINK_GENERIC = 16
NLMSG_ERROR, NLMSG_DONE, NLM_F_REQUEST, NLM_F_DUMP = 2, 3, 1, 0x300
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 0x10, 3, 1, 2
NLA_TYPE_MASK, NLA_F_NESTED = 0x3fff, 0x8000
IPVS_CMD_GET_SERVICE, IPVS_CMD_GET_DEST = 4, 8
IPVS_CMD_ATTR_SERVICE, IPVS_CMD_ATTR_DEST = 1, 2


def _u16(data):
    return str(struct.unpack("=H", data)[0])


def _port(data):
    return str(struct.unpack("!H", data)[0])


def _number(data):
    return str(struct.unpack("=I", data)[0])


def _hexadecimal(data):
    return f"0x{struct.unpack('=I', data)[0]:08x}"


def _flags(data):
    """struct ip_vs_flags: flags and mask."""
    return "0x{:08x}/0x{:08x}".format(*struct.unpack("=II", data))


def _text(data):
    return data.rstrip(b"\0").decode()


def _octet(data):
    return str(data[0])


# IPVS_SVC_ATTR_* and IPVS_DEST_ATTR_*: number, name, how it is written. Addresses wait for the
# family. Whatever is not here and does not count comes as hexadecimal octets under its number.
SERVICE = {1: ("family", _u16), 2: ("protocol", _u16), 3: ("address", None), 4: ("port", _port),
           5: ("fwmark", _number), 6: ("scheduler", _text), 7: ("flags", _flags),
           8: ("timeout", _number), 9: ("netmask", _hexadecimal), 11: ("pe", _text)}
IDENTITY = (1, 2, 3, 4, 5)
SERVICE_COUNTS = {10, 12}  # STATS, STATS64
DEST = {1: ("address", None), 2: ("port", _port), 3: ("forwarding", _hexadecimal),
        4: ("weight", _number), 5: ("upper", _number), 6: ("lower", _number),
        11: ("family", _u16), 13: ("tunnel-type", _octet), 14: ("tunnel-port", _port),
        15: ("tunnel-flags", _u16)}
DEST_COUNTS = {7, 8, 9, 10, 12}  # ACTIVE_, INACT_, PERSIST_CONNS, STATS, STATS64


def _attribute(number: int, data: bytes) -> bytes:
    head = struct.pack("=HH", 4 + len(data), number)
    return head + data + b"\0" * (-len(data) % 4)


def _attributes(data: bytes) -> dict:
    found = {}
    while len(data) >= 4:
        length, number = struct.unpack_from("=HH", data)
        found[number & NLA_TYPE_MASK] = data[4:length]
        data = data[(length + 3) & ~3:]
    return found


def _ask(sock, family: int, command: int, body: bytes, flags: int) -> list:
    """The attributes of every message of the answer."""
    sock.send(struct.pack("=IHHII", 20 + len(body), family, NLM_F_REQUEST | flags, 1, 0)
              + struct.pack("=BBH", command, 1, 0) + body)
    answers = []
    while True:
        data = sock.recv(1 << 20)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind == NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", data, 16)[0], f"netlink command {command}")
            if kind == NLMSG_DONE:
                return answers
            answers.append(_attributes(data[20:length]))
            data = data[(length + 3) & ~3:]
        if not flags & NLM_F_DUMP:
            return answers


def _address(family: int, data: bytes) -> str:
    six = family == socket.AF_INET6
    return socket.inet_ntop(socket.AF_INET6 if six else socket.AF_INET, data[:16 if six else 4])


def _line(names: dict, counts: set, attributes: dict, family: int) -> str:
    words = []
    for number, data in sorted(attributes.items()):
        if number in counts:
            continue
        name, write = names.get(number, (f"attribute-{number}", bytes.hex))
        words.append(f"{name}={write(data) if write else _address(family, data)}")
    return " ".join(words)


def dump(host) -> list:
    """A host's whole table: a line for each service, and indented below it one for each of its
    servers, in an order that does not depend on how they were added. Read until two agree: the
    kernel walks one list for all namespaces by position, so that a change in another one has
    it skip a service, or say it twice (ip_vs_ctl.c, ip_vs_genl_dump_services())."""
    last = host.call(_dump)
    for _ in range(20):
        again = host.call(_dump)
        if again == last:
            return last
        last = again
    raise LabError(f"{host.name}: the IPVS table did not hold still: {last}")


def _dump() -> list:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC) as sock:
        sock.settimeout(10)
        sock.bind((0, 0))
        name = _attribute(CTRL_ATTR_FAMILY_NAME, b"IPVS\0")
        family, = struct.unpack("=H", _ask(sock, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, name, 0)[0][
            CTRL_ATTR_FAMILY_ID])
        blocks = {}
        for answer in _ask(sock, family, IPVS_CMD_GET_SERVICE, b"", NLM_F_DUMP):
            service = _attributes(answer[IPVS_CMD_ATTR_SERVICE])
            identity = b"".join(_attribute(number, service[number])
                                for number in IDENTITY if number in service)
            body = _attribute(IPVS_CMD_ATTR_SERVICE | NLA_F_NESTED, identity)
            servers = [_attributes(one[IPVS_CMD_ATTR_DEST]) for one in
                       _ask(sock, family, IPVS_CMD_GET_DEST, body, NLM_F_DUMP)]
            blocks[identity] = _block(service, servers)
    return [line for block in sorted(blocks.values()) for line in block]


def _block(service: dict, servers: list) -> list:
    family = struct.unpack("=H", service[1])[0]
    return [_line(SERVICE, SERVICE_COUNTS, service, family),
            *sorted("    " + _line(DEST, DEST_COUNTS, one, struct.unpack("=H", one[11])[0])
                    for one in servers)]
