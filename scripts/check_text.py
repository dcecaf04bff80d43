#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps out of the tree what belongs to one workplace: absolute paths of its
machines, its package mirrors and proxies, its internal hosts; also secrets,
left-over merge conflicts, and large or binary files."""

import re
from pathlib import Path

from tree import Problem, files, main, text

LARGEST = 512 * 1024  # bytes

# Each pattern is written so that it does not match itself.
FORBIDDEN = [
    (re.compile(r"(?<![\w.:/}-])/(home|work|workspace|builds|Users|root)/[\w.-]"),
     "an absolute path of one machine: write it relative to the tree, or as an option"),
    (re.compile(r"(--(extra-)?index-url|(PIP|UV)_(EXTRA_)?INDEX_URL|--registry|npm_config_registry"
                r"|GOPROXY|CARGO_REGISTRIES_\w+)[ =]\S"),
     "names a package registry: that is the machine's own setting"),
    (re.compile(r"^\s*deb(-src)?\s+(\[[^]]*\]\s+)?https?:"),
     "names a package mirror: that is the machine's own setting"),
    (re.compile(r"\b(https?|ftp|all)_proxy\s*=\s*['\"]?\w", re.I),
     "names a proxy: that is the machine's own setting"),
    (re.compile(r"\b[\w-]+(\.[\w-]+)*\.(internal|intranet|corp|lan)\b(?!\()", re.I),
     "a host of an internal network: use example.com and the like (RFC 2606)"),
    (re.compile(r"https?://(localhost|[\w.-]*(artifactory|nexus|verdaccio|devpi)[\w.-]*)(:\d+)?/", re.I),
     "a host of an internal network: use example.com and the like (RFC 2606)"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE[ ]KEY-----"), "a private key"),
    (re.compile(r"^(<{7}|>{7}|\|{7})( |$)"), "left over from a merge"),
]
# Licence texts are other people's words; fuzzers' seeds are bytes.
EXEMPT = re.compile(r"^(LICENSE$|LICENSES/|tests/fuzz/corpus/)")
PICTURE = re.compile(r"\.(png|svg|ico|woff2)$")


def check_file(name: str, source: str) -> list[Problem]:
    problems = []
    for number, line in enumerate(source.splitlines(), 1):
        for pattern, why in FORBIDDEN:
            if match := pattern.search(line):
                problems.append(Problem(name, number, f"{why}: {match.group().strip()}"))
    return problems


def check(root: Path) -> list[Problem]:
    problems = []
    for name in files(root):
        if (size := (root / name).stat().st_size) > LARGEST:
            problems.append(Problem(name, 1, f"{size} bytes: more than a source file should have"))
            continue
        if EXEMPT.match(name):
            continue
        source = text(root, name)
        if source is not None:
            problems += check_file(name, source)
        elif not PICTURE.search(name):
            problems.append(Problem(name, 1, "a binary file: build or generate it instead"))
    return problems


if __name__ == "__main__":
    main(check, "text")
