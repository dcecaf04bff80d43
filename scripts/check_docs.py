#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Links in the Markdown pages lead somewhere: files of the tree, and headings
in them. Links to the web are not followed."""

import re
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from tree import Problem, files, main, text

LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s+<?(\S+?)>?(\s|$)")
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$")
FENCE = re.compile(r"^\s*(```|~~~)")
OUTSIDE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.I)


def prose(source: str) -> list[tuple[int, str]]:
    """The numbered lines outside of fenced and indented code."""
    lines, fenced = [], False
    for number, line in enumerate(source.splitlines(), 1):
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced and not line.startswith("    "):
            lines.append((number, line))
    return lines


def anchors(source: str) -> set[str]:
    """The ids that headings get, as GitHub and most renderers make them."""
    found, seen = set(), {}
    for _, line in prose(source):
        if match := HEADING.match(line):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1])
            slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            found.add(f"{slug}-{count}" if count else slug)
        found.update(re.findall(r'<a (?:id|name)="([^"]+)"', line))
    return found


def resolve(page: str, target: str) -> str | None:
    """The path relative to the root that a link on `page` means; None: outside of it."""
    parts: list[str] = []
    for part in (PurePosixPath(page).parent / target).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def check_page(page: str, pages: dict[str, str], exists) -> list[Problem]:
    problems = []
    for number, line in prose(pages[page]):
        line = re.sub(r"`[^`]*`", "``", line)
        targets = [match[1] for match in LINK.finditer(line)]
        if match := REFERENCE.match(line):
            targets.append(match[1])
        for target in targets:
            if OUTSIDE.match(target):
                continue
            path, _, anchor = unquote(target).partition("#")
            name = resolve(page, path) if path else page
            if name is None or not exists(name):
                problems.append(Problem(page, number, f"the link {target} leads nowhere"))
            elif anchor and name in pages and anchor not in anchors(pages[name]):
                problems.append(Problem(page, number, f"{name} has no heading #{anchor}"))
    return problems


def check(root: Path) -> list[Problem]:
    names = set(files(root))
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    pages = {name: text(root, name) or "" for name in names if name.endswith(".md")}
    problems = []
    for page in sorted(pages):
        problems += check_page(page, pages, lambda name: name.rstrip("/") in names | folders or name == "")
    return problems


if __name__ == "__main__":
    main(check, "links of the docs")
