# SPDX-License-Identifier: Apache-2.0
"""The checks of licences, texts and links find what they are there for."""

import subprocess

import pytest

import check_docs
import check_licences
import check_text
import tree

APACHE = "SPDX-License-Identifier: Apache-2.0"
KERNEL = "SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)"


@pytest.mark.parametrize("name, source", [
    ("src/core/model.h", f"// {APACHE}\n"),
    ("bpf/abi.h", f"/* {KERNEL} */\n"),
    ("tests/lab/tools/pass.c", f"/* {KERNEL} */\n"),
    ("scripts/build", f"#!/usr/bin/env bash\n# {APACHE}\n"),
    ("web/index.html", f"<!doctype html>\n<!-- {APACHE} -->\n"),
    ("docs/operations.md", "# Operations\n"),
    ("tests/fuzz/corpus/config/seed.py", "no licence"),
])
def test_a_licence_in_its_place_passes(name, source):
    assert check_licences.check_file(name, source) == []


@pytest.mark.parametrize("name, source", [
    ("src/core/model.h", "#pragma once\n"),
    ("src/core/model.h", f"// {KERNEL}\n"),
    ("src/core/model.h", "// SPDX-License-Identifier: Apache-2.0 OR MIT\n"),
    ("src/core/model.h", "\n" * 10 + f"// {APACHE}\n"),
    ("bpf/abi.h", f"/* {APACHE} */\n"),
    ("CMakeLists.txt", "project(x)\n"),
    ("scripts/build", "echo\n"),
    ("tests/lab/tool", "#!/bin/sh\n"),
])
def test_a_missing_or_wrong_licence_is_found(name, source):
    assert len(check_licences.check_file(name, source)) == 1


@pytest.mark.parametrize("line", [
    "see /usr/bin/dig, /etc/dnsdirector/dnsdirector.conf, /sys/fs/bpf and /proc/self/ns/net",
    "docs/home/page.html tests/work/x ${root}/build/x",
    "http://www.example.com/home/x",
    "deb packages are built by",
    "router.example.net and ns1.lab.test",
])
def test_plain_text_passes(line):
    assert check_text.check_file("README.md", line) == []


@pytest.mark.parametrize("line", [
    "cd " + "/" + "home/jane/dnsdirector",
    'root = "' + "/" + 'work/tree"',
    "pip install --index" + "-url https://pypi.example.com/simple",
    "export GOPROXY" + "=https://proxy.example.com",
    "deb " + "http://mirror.example.com/debian bookworm main",
    "export https" + "_proxy=http://192.0.2.1:3128",
    "ssh build.example" + ".internal",
    "https://artifact" + "ory.example.com/debian",
    "-----BEGIN RSA PRIVATE" + " KEY-----",
    "<" * 7 + " HEAD",
])
def test_a_workplaces_own_text_is_found(line):
    assert len(check_text.check_file("README.md", line)) == 1


PAGES = {
    "README.md": "# Top\n[docs](docs/a.md) [part](docs/a.md#a-part-of-it) [own](#top)\n",
    "docs/a.md": "# A\n## A part of `it`\n[up](../README.md) [web](https://example.com/x)\n"
                 "```\n[not](a-link)\n```\n    [nor](this)\n`[nor](that)`\n",
}


def links(pages, page):
    return check_docs.check_page(page, pages, pages.__contains__)


def test_links_that_lead_somewhere_pass():
    assert links(PAGES, "README.md") == []
    assert links(PAGES, "docs/a.md") == []


@pytest.mark.parametrize("line", [
    "[gone](docs/b.md)", "[part](docs/a.md#another)", "[own](#bottom)", "[out](../../x.md)",
    "[ref]: docs/b.md",
])
def test_a_link_that_leads_nowhere_is_found(line):
    pages = PAGES | {"README.md": "# Top\n\n" + line + "\n"}
    assert [problem.line for problem in links(pages, "README.md")] == [3]


def test_files_are_those_of_git_and_new_ones_but_not_ignored_ones(tmp_path):
    def git(*arguments):
        subprocess.run(["git", "-C", tmp_path, *arguments], check=True, capture_output=True)

    git("init")
    for name in ("kept", "new", "ignored", "removed"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".gitignore").write_text("ignored\n")
    git("add", "kept", "removed", ".gitignore")
    (tmp_path / "removed").unlink()
    assert tree.files(tmp_path) == [".gitignore", "kept", "new"]


def test_files_of_an_archive_are_found_without_git(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.cc").write_text("x")
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "b.o").write_text("x")
    assert tree.files(tmp_path) == ["src/a.cc"]


def test_a_check_with_problems_fails_as_a_program(monkeypatch, capsys):
    assert tree.report(lambda root: [tree.Problem("a.md", 3, "wrong")], "docs") == 1
    assert "a.md:3: wrong" in capsys.readouterr().out
    assert tree.report(lambda root: [], "docs") == 0
