# SPDX-License-Identifier: Apache-2.0
"""systemd itself finds nothing to say of the units in packaging/systemd/ and examples/."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "packaging/systemd").glob("*.service"))
VERIFY = shutil.which("systemd-analyze")

pytestmark = pytest.mark.skipif(VERIFY is None, reason="systemd-analyze is missing")


def complaints(directory, name, text) -> str:
    """verify's words. It exits with 0 in spite of a setting that it does not know."""
    unit = directory / name
    # Programs that are not installed here are no fault of the unit.
    unit.write_text(re.sub(r"/usr/s?bin/\w+", "/bin/true", text), encoding="utf-8")
    done = subprocess.run([VERIFY, "verify", "--man=no", unit], capture_output=True, text=True,
                          timeout=60)
    return done.stdout + done.stderr + (f"exit {done.returncode}" if done.returncode else "")


def test_there_are_units():
    assert {"dnsdirector.service", "dnsdirector-bird.service"} <= {path.name for path in UNITS}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_has_nothing_to_say(path, tmp_path):
    assert complaints(tmp_path, path.name, path.read_text(encoding="utf-8")) == ""


def test_nothing_to_say_of_the_example_with_a_socket_unit(tmp_path):
    socket = (ROOT / "examples/dnsdirector.socket").read_text(encoding="utf-8")
    service = (ROOT / "examples/dnsdirector-unprivileged.service").read_text(encoding="utf-8")
    (tmp_path / "dnsdirector.socket").write_text(socket, encoding="utf-8")
    assert complaints(tmp_path, "dnsdirector.service", service) == ""
    (tmp_path / "dnsdirector.socket").write_text(socket.replace("ReusePort", "ReuseSport"),
                                                 encoding="utf-8")
    assert "Unknown key" in complaints(tmp_path, "dnsdirector.service", service)


@pytest.mark.parametrize("right, wrong, said", [
    ("WatchdogSec=", "WatchdogSecs=", "Unknown key"),
    ("KillMode=mixed", "KillMode=mixd", "Failed to parse kill mode"),
    ("ExecStart=/", "ExecStart=", "Neither a valid executable name"),
    ("[Service]", "[Servic]", "Unknown section|no ExecStart"),
])
def test_what_is_wrong_with_a_unit_is_found(right, wrong, said, tmp_path):
    unit = next(path for path in UNITS if path.name == "dnsdirector.service")
    text = unit.read_text(encoding="utf-8")
    assert right in text
    assert re.search(said, complaints(tmp_path, unit.name, text.replace(right, wrong)))
