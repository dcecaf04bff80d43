#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every source file says its licence at its top: the kernel program's two in
bpf/ (and for C in tests/ and bench/ and for the frozen bpf/ in tests/upgrade, which
run in the kernel too), Apache-2.0 elsewhere."""

import re
from pathlib import Path

from tree import Problem, files, main, text

SOURCE = re.compile(
    r"(\.(cc|h|c|cpp|hpp|py|sh|cmake|js|css|html|service|socket|target|timer)|(^|/)CMakeLists\.txt"
    r"|(^|/)\.clang-(format|tidy)|(^|/)\.(gitignore|editorconfig))$|^(scripts|\.ci)/[^/.]+$")
# Inputs of tests are data.
DATA = re.compile(r"^tests/(.*/)?(corpus|data|golden)/")
TAG = re.compile(r"SPDX-License-Identifier: (.*?)\s*(\*/|-->)?\s*$")
KERNEL = "(GPL-2.0-only OR BSD-2-Clause)"


def check_file(name: str, source: str) -> list[Problem]:
    if not SOURCE.search(name) and not source.startswith("#!"):
        return []
    if DATA.search(name):
        return []
    in_kernel = (name.startswith(("bpf/", "tests/upgrade/layout1/"))
                 or re.match(r"(tests|bench)/.*\.c$", name))
    wanted = KERNEL if in_kernel else "Apache-2.0"
    first_lines = source.splitlines()[:4]
    for number, line in enumerate(first_lines, 1):
        if match := TAG.search(line):
            if match[1] == wanted:
                return []
            return [Problem(name, number, f"licence {match[1]}, should be {wanted}")]
    return [Problem(name, 1, f"the first lines lack SPDX-License-Identifier: {wanted}")]


def check(root: Path) -> list[Problem]:
    problems = []
    for name in files(root):
        source = text(root, name)
        if source is not None:
            problems += check_file(name, source)
    return problems


if __name__ == "__main__":
    main(check, "licence headers")
