# SPDX-License-Identifier: Apache-2.0
"""scripts/test in a small tree of its own: real pytest, stand-ins for the build,
ctest, the fuzzers and the kernel's features."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CTEST_FINE = "100% tests passed, 0 tests failed out of 2\n\nTotal Test time (real) =   0.01 sec"
CTEST_SKIPPED = CTEST_FINE + "\n\nThe following tests did not run:\n\t  2 - A.skips (Skipped)"
CTEST_FAILED = "50% tests passed, 1 tests failed out of 2\n\nThe following tests FAILED:\n\t  1 - A.ok (Failed)"
# Runs its command here, as if in the virtual machine: lab-vm --limit SECONDS COMMAND…
LAB_VM = ('[ "$1" = --check ] || { shift 2; mkdir -p build/vm/last/out;'
          ' echo "rate: 42" > build/vm/last/out/figures; exec "$@"; }')
IN_BOTH = "import pytest\n@pytest.mark.vm\ndef test_lab(): pass\n"
GTEST_FINE = "[  PASSED  ] 78 tests."
FUZZ_FINE = "Done 12345 runs in 20 second(s)"


class Tree:
    """A tree with scripts/test and whatever a case makes of the rest."""

    def __init__(self, path):
        self.path = path
        for name in ("scripts/test", "scripts/common.sh", "pytest.ini"):
            self.copy(name)
        self.program("scripts/install-deps", "true")
        self.program("scripts/build", "true")
        self.program("scripts/lint", "echo '==> lint passed'")
        self.program("scripts/lab-vm", LAB_VM)
        self.program("bin/ctest", f"echo '{CTEST_FINE}'")
        self.program("bin/id", "echo 0")
        # With or without a bpffs on this machine: in a namespace of its own nothing is mounted.
        self.program("bin/unshare", 'shift; exec "$@"')
        for name in ("mount", "bpftool", "clang++-19"):
            self.program("bin/" + name, "true")
        self.program("build/debug/fuzz_config", f"echo '{FUZZ_FINE}'")
        self.program("build/thread/thread_tests", f"echo '{GTEST_FINE}'")
        self.file("tests/fuzz/corpus/config/seed", "x")
        self.file("tests/scripts/test_it.py", "def test_scripts(): pass")
        self.file("tests/lab/test_it.py", IN_BOTH)

    def copy(self, name):
        (self.path / "scripts").mkdir(exist_ok=True)
        shutil.copy(ROOT / name, self.path / name)

    def file(self, name, content):
        (self.path / name).parent.mkdir(parents=True, exist_ok=True)
        (self.path / name).write_text(content)

    def program(self, name, body):
        self.file(name, "#!/bin/sh\n" + body + "\n")
        (self.path / name).chmod(0o755)

    def run(self, *options):
        """(exit status, the summary at the end)"""
        environment = os.environ | {"PATH": f"{self.path}/bin:{os.environ['PATH']}"}
        done = subprocess.run([self.path / "scripts/test", *options], cwd="/", env=environment,
                              capture_output=True, text=True, timeout=60)
        assert "summary of scripts/test" in done.stdout, done.stdout + done.stderr
        return done.returncode, done.stdout.split("summary of scripts/test")[1]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_all_fine_passes_and_closes_with_each_runners_own_lines(tree):
    status, summary = tree.run("--strict")
    assert status == 0, summary
    assert summary.count("100% tests passed, 0 tests failed out of 2") == 2
    assert summary.count("1 passed in") == 3
    assert FUZZ_FINE in summary and GTEST_FINE in summary and "rate: 42" in summary
    assert "LEFT OUT" not in summary and "FAILED" not in summary


@pytest.mark.parametrize("options, absent", [
    (["--unit"], "lab"), (["--lab"], "unit release"), (["--vm"], "lab"),
])
def test_a_part_can_be_run_alone(tree, options, absent):
    status, summary = tree.run(*options)
    assert status == 0
    assert absent not in summary.split("\n", 1)[1]


@pytest.mark.parametrize("options", [["--lint"], ["--lint", "--lab"]])
def test_lint_is_one_of_the_runners_when_asked_for(tree, options):
    status, summary = tree.run(*options)
    assert status == 0 and "passed    lint\n==> lint passed" in summary
    tree.program("scripts/lint", "echo 'a finding'; echo '==> lint FAILED: text'; exit 1")
    status, summary = tree.run(*options)
    assert status == 1 and "FAILED    lint" in summary and "lint FAILED: text" in summary
    assert "lint" not in tree.run("--unit")[1]


@pytest.mark.parametrize("name, body", [
    ("bin/ctest", f"echo '{CTEST_FAILED}'; exit 8"),
    ("scripts/build", "exit 1"),
    ("scripts/lab-vm", "[ $1 = --check ] || { echo the kernel panicked; exit 125; }"),
    ("scripts/lab-vm", "exit 1"),
    ("build/debug/fuzz_config", "echo 'SUMMARY: libFuzzer: deadly signal'; exit 77"),
    ("build/thread/thread_tests", "echo 'WARNING: ThreadSanitizer: data race'; exit 66"),
])
def test_a_failing_runner_fails_the_whole(tree, name, body):
    tree.program(name, body)
    status, summary = tree.run()
    assert status == 1
    assert "FAILED" in summary


def test_after_a_failure_the_other_runners_still_run(tree):
    tree.program("bin/ctest", f"echo '{CTEST_FAILED}'; exit 8")
    _, summary = tree.run()
    assert "50% tests passed, 1 tests failed out of 2" in summary
    assert "A.ok (Failed)" in summary
    assert "passed    lab" in summary and "passed    fuzz config" in summary


def test_a_failed_lab_test_is_named_in_the_summary_with_what_it_expected(tree):
    tree.file("tests/lab/test_it.py", "def test_shares():\n    assert [1, 2] == [1, 3]")
    _, summary = tree.run("--lab")
    assert "FAILED tests/lab/test_it.py::test_shares" in summary
    assert "E       assert [1, 2] == [1, 3]" in summary


def test_no_tests_is_a_failure(tree):
    (tree.path / "tests/lab/test_it.py").unlink()
    status, summary = tree.run()
    assert status == 1
    assert "FAILED    lab: exit 5" in summary


def test_no_fuzzer_is_a_failure(tree):
    (tree.path / "build/debug/fuzz_config").unlink()
    assert tree.run()[0] == 1


def test_a_fuzzer_without_seeds_is_a_failure(tree):
    (tree.path / "tests/fuzz/corpus/config/seed").unlink()
    (tree.path / "tests/fuzz/corpus/config").rmdir()
    assert tree.run()[0] == 1


def test_no_test_for_the_virtual_machine_is_a_failure(tree):
    tree.file("tests/lab/test_it.py", "def test_lab(): pass")
    status, summary = tree.run("--vm")
    assert status == 1
    assert "FAILED    vm: exit 5" in summary


LEFT_OUT = [
    ("scripts/lab-vm", "echo 'lab-vm: missing programs: cpio' >&2; exit 124",
     "LEFT OUT  vm: missing programs: cpio"),
    ("bin/id", "echo 1000", "LEFT OUT  lab: network namespaces need root"),
    ("bin/unshare", "exit 1", "LEFT OUT  lab: this kernel or container gives no network namespaces"),
    ("bin/bpftool", "exit 1", "LEFT OUT  lab: this kernel or container gives no bpf() system call"),
    ("bin/ctest", f"echo '{CTEST_SKIPPED}'",
     "LEFT OUT  unit release: some tests were skipped: 2 - A.skips (Skipped)"),
]


@pytest.mark.parametrize("name, body, said", LEFT_OUT)
def test_what_is_left_out_is_named_and_no_failure(tree, name, body, said):
    tree.program(name, body)
    status, summary = tree.run()
    assert said in summary
    assert status == 0


def test_the_reasons_of_skipped_tests_are_counted(tree):
    tree.program("bin/ctest", f"echo '{CTEST_SKIPPED}'")
    tree.file("build/release/Testing/Temporary/LastTest.log",
              "a.cc:1: Skipped\nneeds root\n\nb.cc:2: Skipped\nkdig is missing\n\n"
              "c.cc:3: Skipped\nneeds root\n")
    tree.file("tests/scripts/test_it.py",
              "import pytest\n@pytest.mark.parametrize('n', [1, 2, 3])\n"
              "def test_scripts(n): n == 3 or pytest.skip('no bird: at all')")
    _, summary = tree.run("--unit")
    assert "LEFT OUT  scripts: some tests were skipped: 2 skipped" in summary
    assert "          2  needs root\n          1  kdig is missing\n" in summary
    assert "          2  no bird: at all\n" in summary


@pytest.mark.parametrize("name, body, said", LEFT_OUT)
def test_strict_makes_what_is_left_out_a_failure(tree, name, body, said):
    tree.program(name, body)
    assert tree.run("--strict")[0] == 1


def test_a_skipped_lab_test_is_named_and_fails_only_under_strict(tree):
    tree.file("tests/lab/test_it.py",
              "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('no bird')")
    status, summary = tree.run("--lab")
    assert status == 0
    assert "LEFT OUT  lab: some tests were skipped: 1 skipped" in summary
    assert tree.run("--lab", "--strict")[0] == 1


def test_long_tests_run_only_when_asked_for(tree):
    tree.file("tests/lab/test_it.py",
              "import pytest\ndef test_a(): pass\n@pytest.mark.long\ndef test_b(): pass")
    assert "1 passed, 1 deselected" in tree.run("--lab")[1]
    assert "2 passed" in tree.run("--lab", "--long")[1]


def test_the_lab_is_told_which_binary_and_how_strict(tree):
    tree.file("tests/lab/test_it.py",
              "import os\ndef test_a():\n"
              f"    assert os.environ['DNSDIRECTOR'] == '{tree.path}/build/release/dnsdirector'\n"
              "    assert os.environ['DNSDIRECTOR_STRICT'] == '1'\n")
    assert tree.run("--lab", "--strict")[0] == 0
