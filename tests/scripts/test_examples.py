# SPDX-License-Identifier: Apache-2.0
"""Every file in examples/ is a configuration that the built binary accepts."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("DNSDIRECTOR", ROOT / "build/release/dnsdirector"))
EXAMPLES = sorted((ROOT / "examples").glob("*.conf"))

# A keepalived.conf never has a director block, and the dig lines of the classic one have faults
# that check-config names; nothing else is said of it.
CLASSIC = ["warning: no director block: attaching to every interface", "[servfail-passes]",
           "[one-outside-name]"]
EXPECTED = {"keepalived.conf": CLASSIC, "keepalived-vlans.conf": CLASSIC}

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built")


def check_config(path):
    return subprocess.run([BINARY, "check-config", "-f", path], capture_output=True, text=True,
                          timeout=30)


def test_there_are_examples_of_both_forms():
    names = {path.name for path in EXAMPLES}
    assert {"resolvers.conf", "keepalived.conf"} <= names


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_accepted_without_a_word(path):
    done = check_config(path)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    remarks = [line for line in said.splitlines() if "error:" in line or "warning:" in line]
    expected = EXPECTED.get(path.name, [])
    assert [line for line in remarks if not any(each in line for each in expected)] == [], said


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_with_a_misspelt_keyword_is_refused_with_its_position(path, tmp_path):
    source = path.read_text()
    keyword = "real_server" if "real_server" in source else "service_ip"
    broken = tmp_path / path.name
    broken.write_text(source.replace(keyword, keyword.replace("e", "a", 1), 1))
    done = check_config(broken)
    line = source[:source.index(keyword)].count("\n") + 1
    assert done.returncode == 1
    assert f"{broken}:{line}:" in done.stdout + done.stderr
    assert keyword in done.stdout + done.stderr
