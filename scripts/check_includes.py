#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/ to the include rule of docs/architecture.md.

    cli → control, doctor → probe, dataplane, announce, realserver → netlink, dns, config → core → base

A folder includes only folders to its right and none of its neighbours; of a
folder's subfolders (dataplane/xdp, …) none knows another, and what they have
in common knows none of them. Some libraries belong to one folder. core does
no I/O and reads no clock; base does no I/O.
"""

import re
from pathlib import Path

from tree import Problem, files, main, text

# Left to right; folders of one step are neighbours.
STEPS = [
    ["cli"],
    ["control", "doctor"],
    ["probe", "dataplane", "announce", "realserver"],
    ["netlink", "dns", "config"],
    ["core"],
    ["base"],
]
STEP = {folder: step for step, folders in enumerate(STEPS) for folder in folders}

# Headers that only some folders may include, and the name to say.
RESERVED = [
    (r"bpf/|linux/bpf\.h|.*\.skel\.h|(.*/)?abi\.h", ["dataplane/xdp"], "libbpf and the kernel program"),
    (r"netlink/|linux/(netlink|rtnetlink|genetlink)\.h|libnl.*",
     ["netlink", "dataplane/ipvs"], "libnl"),
    (r"ldns/", ["dns"], "ldns"),
    (r"openssl/", ["probe"], "OpenSSL"),
    (r"CLI/", ["cli"], "CLI11"),
    (r"boost/beast.*", ["control", "cli"], "Beast"),
]

# core is held to a list of what is allowed: what is not named here is I/O, a
# clock, or a decision to make.
CORE_MAY_INCLUDE = re.compile(
    r"(algorithm|any|array|bit|bitset|cassert|cctype|cerrno|charconv|chrono|climits|cmath|compare"
    r"|concepts|cstddef|cstdint|cstdlib|cstring|deque|exception|expected|forward_list|functional"
    r"|initializer_list|iterator|limits|list|map|memory|memory_resource|new|numbers|numeric"
    r"|optional|queue|random|ranges|ratio|set|span|stack|stdexcept|string|string_view|tuple"
    r"|type_traits|typeinfo|unordered_map|unordered_set|utility|valarray|variant|vector|version"
    r"|fmt/(core|format|ranges|compile|chrono)\.h|tl/expected\.hpp|re2/re2\.h"
    r"|boost/(container|intrusive|container_hash|functional/hash).*)$")

BASE_MAY_NOT_INCLUDE = re.compile(
    r"(iostream|fstream|ostream|istream|filesystem|cstdio|stdio\.h|unistd\.h|fcntl\.h|poll\.h"
    r"|sys/(stat|epoll|wait|ioctl|mman|un)\.h|netdb\.h|thread|spdlog/.*|boost/(asio|beast).*)$")

# Calls that read a clock, roll dice without a seed, or reach out of the process.
CORE_MAY_NOT_SAY = [
    (re.compile(r"\b(steady_clock|system_clock|high_resolution_clock|utc_clock|tai_clock)\b"),
     "names a clock; time is an argument here (base/time.h)"),
    (re.compile(r"::\s*now\s*\("), "reads a clock; time is an argument here"),
    (re.compile(r"(?<![\w.>:])(::|std::)?(time|clock|clock_gettime|gettimeofday)\s*\((?!\))"),
     "reads a clock; time is an argument here"),
    (re.compile(r"\b(random_device|getenv|this_thread)\b|(?<![\w.>:])(std::)?s?rand\s*\("),
     "depends on more than its arguments"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCE = re.compile(r"\.(cc|h|cpp|hpp|ipp)$")


def without_comments(source: str) -> str:
    """The source with comments, strings and characters blanked, lines kept."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"'
        r'|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda match: "\n" * match.group().count("\n"), source)


def includes(source: str) -> list[tuple[int, str, str]]:
    """(line, quote, header) of each include that is not commented out."""
    in_block = False
    found = []
    for number, line in enumerate(source.splitlines(), 1):
        if in_block:
            in_block = "*/" not in line
            continue
        if match := INCLUDE.match(line):
            found.append((number, match[1], match[2]))
        elif "/*" in line and "*/" not in line.split("/*", 1)[1] and "//" not in line.split("/*")[0]:
            in_block = True
    return found


def folder_of(name: str) -> str:
    """core/model.h → core; dataplane/xdp/plane.h → dataplane/xdp."""
    return "/".join(name.split("/")[:-1])


def within(folder: str, allowed: list[str]) -> bool:
    return any(folder == other or folder.startswith(other + "/") for other in allowed)


def layering(folder: str, other: str) -> str | None:
    """Why a file of `folder` may not include one of `other`, or None."""
    top, other_top = folder.split("/")[0], other.split("/")[0]
    if top != other_top:
        if STEP[top] == STEP[other_top]:
            return f"{top} and {other_top} are neighbours: neither includes the other"
        if STEP[top] > STEP[other_top]:
            return f"{other_top} stands left of {top}: only {other_top} may include {top}"
        return None
    if folder == other or within(folder, [other]):  # own folder, or what the subfolders share
        return None
    if within(other, [folder]):
        return f"{folder} is what its subfolders have in common: it may not know {other}"
    return f"{folder} and {other} are neighbours: neither includes the other"


def check_file(name: str, source: str, known: set[str]) -> list[Problem]:
    """The problems of one file; `name` and `known` (all headers) are relative to src/."""
    folder = folder_of(name)
    path = "src/" + name
    if folder.split("/")[0] not in STEP:
        return [Problem(path, 1, f"src/{folder} has no place in the include rule: "
                                 "add it to scripts/check_includes.py and docs/architecture.md")]
    problems = []

    def problem(line, message):
        problems.append(Problem(path, line, message))

    for line, quote, header in includes(source):
        # <netlink/netlink.h> is libnl's, "netlink/netlink.h" is ours.
        reserved = any(re.match(pattern, header) for pattern, _, _ in RESERVED)
        if header in known and (quote == '"' or not reserved):
            if quote == "<":
                problem(line, f'write "{header}": a header of this project')
            if why := layering(folder, folder_of(header)):
                problem(line, f'"{header}": {why}')
            continue
        for pattern, allowed, library in RESERVED:
            if re.match(pattern, header) and not within(folder, allowed):
                problem(line, f"<{header}>: only {' and '.join(allowed)} may know {library}")
        if quote == '"' and not re.match(RESERVED[0][0], header):
            problem(line, f'"{header}" is not in src/: include paths are relative to src/, '
                          "libraries are included with <>")
        elif within(folder, ["core"]) and not CORE_MAY_INCLUDE.match(header):
            problem(line, f"<{header}>: core does no I/O and reads no clock; where this header "
                          "does neither, add it to the list in scripts/check_includes.py")
        elif within(folder, ["base"]) and BASE_MAY_NOT_INCLUDE.match(header):
            problem(line, f"<{header}>: base does no I/O")
    if within(folder, ["core"]):
        for line, code in enumerate(without_comments(source).splitlines(), 1):
            for pattern, why in CORE_MAY_NOT_SAY:
                if found := pattern.search(code):
                    problem(line, f"core {why}: {found.group().strip()}")
    return problems


def check(root: Path) -> list[Problem]:
    sources = [name[4:] for name in files(root) if name.startswith("src/") and SOURCE.search(name)]
    known = set(sources)
    problems = []
    for name in sources:
        problems += check_file(name, text(root, "src/" + name) or "", known)
    return problems


if __name__ == "__main__":
    main(check, "include rule")
