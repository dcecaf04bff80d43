# SPDX-License-Identifier: Apache-2.0
"""What tests/config calls compatible is: Debian's keepalived accepts each such file.

Files with native blocks and those that are broken on purpose are left out; what
is valid here and not there stands in EXCEPTIONS, with the reason.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CORPUS = Path(__file__).resolve().parents[1] / "config"
NATIVE = re.compile(r"^(director|dns_cluster|check|http|bgp)\b", re.MULTILINE)

# keepalived 2.2.7's answer, as a pattern of its whole output, and why it is one.
EXCEPTIONS = {
    "classic_44_servers.conf": (
        r"(SECURITY VIOLATION - check scripts are being executed but script_security not"
        r" enabled\.\s*|\(.*\) [^\n]*\s*)*",
        "it runs such a file, and warns since dig would run as root without"
        " enable_script_security"),
    "compatible_persistence_off.conf": (
        r"\(.*\) number '0' outside range \[1, 2678400\]\n\(.*\) persistence_timeout invalid\s*",
        "old files have 0, which older and newer versions read as off"),
    "definitions_environment.conf": (r"", "${_ENV NAME} is newer: 2.2.7 leaves it as it stands"),
}

# An ordinary user's PATH need not name /usr/sbin.
KEEPALIVED = shutil.which("keepalived", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
AS_ROOT_ONLY = {"compatible_foreign_blocks.conf": "keepalived calls a track script insecure where "
                                                  "it is not root's to run"}

pytestmark = pytest.mark.skipif(KEEPALIVED is None,
                                reason="keepalived is not installed")


def compatible_files():
    return [path for path in sorted(CORPUS.glob("*.conf"))
            if not path.name.startswith("broken_") and not NATIVE.search(path.read_text())]


def config_test(path):
    """The output of keepalived's own test, which changes nothing. It ends itself with TERM
    where a script has a user other than its own, after it has said all; an empty output
    is what counts as accepted."""
    done = subprocess.run([KEEPALIVED, "--config-test", "--config-id", "main",
                           "--use-file", path], capture_output=True, text=True, timeout=30)
    return done.returncode, done.stdout + done.stderr


def test_there_are_enough_of_them():
    assert len(compatible_files()) >= 35


def test_an_exception_is_a_file_of_the_corpus():
    assert EXCEPTIONS.keys() <= {path.name for path in compatible_files()}


def test_it_does_complain_of_what_is_wrong(tmp_path):
    wrong = tmp_path / "wrong.conf"
    wrong.write_text("virtual_server 192.0.2.53 53 {\n    lb_algoo rr\n}\n")
    status, said = config_test(wrong)
    assert status != 0 and "Unknown keyword" in said


@pytest.mark.parametrize("path", compatible_files(), ids=lambda path: path.name)
def test_keepalived_accepts(path):
    if os.geteuid() and path.name in AS_ROOT_ONLY:
        pytest.skip(AS_ROOT_ONLY[path.name])
    status, said = config_test(path)
    if path.name in EXCEPTIONS:
        pattern, reason = EXCEPTIONS[path.name]
        assert re.fullmatch(pattern, said), f"{reason}:\n{said}"
        return
    assert said == "" and status in (0, -15, 143), f"status {status}:\n{said}"
