# SPDX-License-Identifier: Apache-2.0
"""What the checks of this folder share: the files of the tree, and problems in them."""

import subprocess
import sys
from pathlib import Path
from typing import Callable, NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Problem(NamedTuple):
    """Something to mend; printed as FILE:LINE: what, and what would be right."""

    path: str
    line: int
    message: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.message}"


def files(root: Path) -> list[str]:
    """The project's files, relative to root: what git knows or would add."""
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={root}", "-C", str(root), "ls-files", "-z",
         "--cached", "--others", "--exclude-standard"],
        capture_output=True)
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
    else:  # an unpacked archive
        names = [str(path.relative_to(root)) for path in root.rglob("*")
                 if path.relative_to(root).parts[0] not in ("build", ".git")]
    return sorted({name for name in names if name and (root / name).is_file()})


def text(root: Path, name: str) -> str | None:
    """A file's text, or None of a binary one."""
    data = (root / name).read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def report(check: Callable[[Path], list[Problem]], what: str) -> int:
    """Runs a check over this tree as a program; the exit status."""
    problems = check(ROOT)
    for problem in problems:
        print(problem)
    print(f"{what}: {len(problems)} problems" if problems else f"{what}: fine")
    return 1 if problems else 0


def main(check: Callable[[Path], list[Problem]], what: str) -> None:
    sys.exit(report(check, what))
