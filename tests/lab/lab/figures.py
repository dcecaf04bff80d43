# SPDX-License-Identifier: Apache-2.0
"""Figures that a run of tests brings home beside its verdict: shown at its end, and in the
virtual machine left in the file `figures` of $LAB_VM_OUT."""

import os

_lines = []


def note(text: str):
    """One figure, with what it is of and its unit; several lines where it is a table."""
    _lines.extend(text.splitlines())
    directory = os.environ.get("LAB_VM_OUT")
    if directory:
        with open(os.path.join(directory, "figures"), "a", encoding="utf-8") as file:
            file.write(text + "\n")


def noted() -> list:
    """The lines so far."""
    return _lines
