# SPDX-License-Identifier: Apache-2.0
"""scripts/demo as a user without any right: real DNS servers, the built binary, nothing left."""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("DNSDIRECTOR", ROOT / "build/release/dnsdirector"))
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"
SERVERS = [name for name in ("named", "unbound", "knotd", "nsd")
           if shutil.which(name, path=os.environ["PATH"] + SBIN)]
AS_NOBODY = [] if os.geteuid() else [
    "setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups",
    "--bounding-set", "-all", "--no-new-privs"]
USER = pwd.getpwnam("nobody").pw_uid if AS_NOBODY else os.geteuid()


@pytest.fixture
def tree():
    """What of the tree it takes, where any user may read it."""
    path = Path(tempfile.mkdtemp(prefix="demo-"))
    for name in ("scripts/demo", "scripts/common.sh", "tests/lab/demo_loopback.py"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, path / name)
    subprocess.run(["chmod", "-R", "u+rwX,go+rX,go-w", path], check=True)
    (path / "places").mkdir()
    (path / "places").chmod(0o1777)
    yield path
    shutil.rmtree(path)


def demo(tree, **environment):
    return subprocess.run([*AS_NOBODY, tree / "scripts/demo"], capture_output=True, text=True,
                          timeout=240, cwd="/", env={**os.environ, "TMPDIR": str(tree / "places"),
                                                     "HOME": "/nonexistent", **environment})


def processes_of(tree) -> list:
    """Command lines that name a file below it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.stat().st_uid == USER:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                found += [words] if str(tree) in words else []
        except OSError:
            pass
    return found


@pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built")
@pytest.mark.skipif(len(SERVERS) < 2, reason="it takes two of named, unbound, knotd and nsd")
def test_it_shows_the_proxy_plane_and_leaves_nothing(tree):
    (tree / "build/release").mkdir(parents=True)
    shutil.copy(BINARY, tree / "build/release/dnsdirector")
    subprocess.run(["chmod", "-R", "go-w,go+rX", tree / "build"], check=True)
    if not AS_NOBODY:
        # As where the tree is somebody else's: not to be built anew.
        tree.chmod(0o555)
    done = demo(tree)
    tree.chmod(0o755)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "NOT AS PROMISED" not in said and "is killed under load" in said
    assert said.count(" 0 lost, 0 answered wrongly") == 3, said
    assert "TCP: 50 of 50 answered" in said
    assert list((tree / "places").iterdir()) == []
    assert processes_of(tree) == []


@pytest.mark.skipif(not AS_NOBODY, reason="a tree that is somebody else's takes root to make")
def test_without_a_build_and_without_the_right_to_build_it_says_so(tree):
    done = demo(tree)
    assert done.returncode == 1
    assert "build/release/dnsdirector is not built, and nobody may not write to" in done.stderr


@pytest.mark.skipif(not BINARY.exists(), reason=f"{BINARY} is not built")
def test_without_dns_servers_it_names_their_packages(tree):
    module = tree / "tests/lab/demo_loopback.py"
    text = module.read_text(encoding="utf-8")
    for name in ("named", "unbound", "knotd", "nsd"):
        assert f'"{name}", (' in text
        text = text.replace(f'"{name}", (', f'"no-{name}", (')
    module.write_text(text, encoding="utf-8")
    program = shutil.copy(BINARY, tree / "dnsdirector")
    os.chmod(program, 0o755)
    done = subprocess.run([*AS_NOBODY, sys.executable, "-B", module], capture_output=True, text=True,
                          timeout=60, env={**os.environ, "TMPDIR": str(tree / "places"),
                                           "DNSDIRECTOR": program})
    assert done.returncode == 1
    assert "two DNS servers are needed, and 0 can be started" in done.stderr, done.stderr
    assert "bind9 unbound knot nsd" in done.stderr
    assert list((tree / "places").iterdir()) == []
