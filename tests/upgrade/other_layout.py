#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""usage: other_layout.py BPF_DIRECTORY OUTPUT_DIRECTORY

Writes the kernel program's sources with another layout: the next version number,
structs of other sizes, counters at other offsets, another list of reasons. What
ledger.h holds stays, since every version shares it. The tests of upgrades build a
director from them, which is a later version to today's."""

import re
import sys
from pathlib import Path


def edit(source: str, pattern: str, replacement: str, count: int = 1) -> str:
    """As re.sub(); what is not found is an error, or the test would test nothing."""
    edited, found = re.subn(pattern, replacement, source, flags=re.S | re.M)
    if found < count:
        sys.exit(f"other_layout.py: abi.h has no {pattern!r} (any more): adapt the script")
    return edited


def other(source: str) -> str:
    source = edit(source, r"ABI_VERSION = (\d+)", lambda m: f"ABI_VERSION = {int(m[1]) + 1}")
    # What only user space of this version sizes.
    source = edit(source, r"^ABI_SIZE\(struct \w+, \d+\);\n", "")
    for name in ("service", "destination"):
        source = edit(source, rf"^(struct {name} {{.*?)^}};", r"\1    __u64 added[4];\n};")
    for name in ("service_state", "count"):
        source = edit(source, rf"^struct {name} {{\n", r"\g<0>    __u64 added;\n")
        source = edit(source, rf"^(struct {name} {{.*?)    __u64 packets;\n    __u64 bytes;\n",
                      r"\1    __u64 bytes;\n    __u64 packets;\n")
    return edit(source, r"(#define FOR_EACH_REASON\(REASON\)\s*\\\n)",
                r'\1    REASON(added, DROP, "only in the other layout") \\\n')


def main(source: Path, output: Path):
    output.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.glob("*.[ch]")):
        text = file.read_text(encoding="utf-8")
        (output / file.name).write_text(other(text) if file.name == "abi.h" else text,
                                        encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
