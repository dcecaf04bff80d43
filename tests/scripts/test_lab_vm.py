# SPDX-License-Identifier: Apache-2.0
"""scripts/lab-vm says plainly when the virtual machine gave no verdict, or is not
to be had: with a stand-in for qemu, which finds the exchange directory in its own
command line as the real one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

from lab import vm  # noqa: E402

HEAD = """#!/bin/sh
exchange=$(printf '%s\\n' "$@" | sed -n 's/^local,id=exchange,path=\\([^,]*\\),.*/\\1/p')
"""
PANIC = r"""
printf 'Run /init as init process\n' > "$exchange/console"
for line in 1 2 3 4 5 6 7 8; do echo "before $line" >> "$exchange/console"; done
printf 'Kernel panic - not syncing: out of ideas\r\n' >> "$exchange/console"
for line in $(seq 100); do echo "registers" >> "$exchange/console"; done
"""


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A maker of machines: machine(SHELL TEXT) with the text as qemu."""
    def make(body: str) -> vm.Machine:
        qemu = tmp_path / "qemu"
        qemu.write_text(HEAD + body)
        qemu.chmod(0o755)
        monkeypatch.setattr(vm, "QEMU", str(qemu))
        monkeypatch.setattr(vm, "BUILD", str(tmp_path))
        monkeypatch.setattr(vm, "READY_TOOLS", str(tmp_path / "tools"))
        monkeypatch.setattr(vm.tools, "make_ready", lambda directory: None)
        monkeypatch.setattr(vm, "kernel", lambda: vm.Kernel("image", "modules"))
        monkeypatch.setattr(vm, "_first_root", lambda kernel, directory: "archive")
        (tmp_path / "exchange").mkdir()
        return vm.Machine(str(tmp_path / "exchange"))
    return make


@pytest.mark.parametrize("status", [0, 7])
def test_the_commands_exit_status_is_the_machines(machine, status):
    assert machine(f'echo {status} > "$exchange/status"').run(["true"]) == status


def test_a_panic_is_no_verdict_and_shown_from_its_beginning(machine):
    with pytest.raises(vm.VmError) as error:
        machine(PANIC).run(["true"])
    lines = str(error.value).splitlines()
    assert "ended without a verdict" in lines[0]
    assert [line.strip() for line in lines[1:5]] == [
        "before 6", "before 7", "before 8", "Kernel panic - not syncing: out of ideas"]
    assert len(lines) <= 31


def test_a_machine_that_hangs_is_ended_at_the_limit(machine):
    with pytest.raises(vm.VmError, match="was not done after 0.5 s"):
        machine('touch "$exchange/booted"; exec sleep 60').run(["true"], limit=0.5)


def test_a_machine_that_does_not_boot_is_ended_at_the_limit_of_booting(machine, monkeypatch):
    monkeypatch.setattr(vm, "BOOT_SECONDS", 0.5)
    with pytest.raises(vm.VmError, match="did not boot in 0.5 s"):
        machine("exec sleep 60").run(["true"])


def test_the_command_gets_the_environment_of_the_lab(machine, tmp_path, monkeypatch):
    monkeypatch.setenv("DNSDIRECTOR", "/a b/dnsdirector")
    machine('echo 0 > "$exchange/status"').run(["sh", "-c", "echo $LAB_VM_OUT"])
    command = (tmp_path / "exchange" / "command").read_text()
    script = command.replace("exec sh", 'echo "$DNSDIRECTOR|$DNSDIRECTOR_VM|$PWD"; exec sh')
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"/a b/dnsdirector|1|{os.getcwd()}", "/run/lab-vm/out"]


@pytest.mark.parametrize("cli, arguments, name", [
    ("vm_cli.py", ["--check"], "lab-vm"), ("lab_cli.py", ["vm", "--check"], "lab vm")])
def test_what_is_missing_is_named_with_its_mend_and_a_status_of_its_own(cli, arguments, name):
    # A program that is nowhere, since PATH's sbin directories are always looked through.
    path = ROOT / "tests" / "lab" / cli
    script = (f"import runpy, sys; sys.path.insert(0, {str(path.parent)!r})\n"
              "from lab import vm; vm.PROGRAMS = ('no-such-program',)\n"
              f"sys.argv = {['lab', *arguments]}\n"
              f"runpy.run_path({str(path)!r}, run_name='__main__')")
    done = subprocess.run([sys.executable, "-B", "-c", script], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 124
    assert done.stderr == f"{name}: missing programs (scripts/install-deps): no-such-program\n"


def test_without_a_network_the_kernel_is_left_out_with_the_reason(tmp_path, monkeypatch):
    def no_network(*argv, **options):
        known = argv[:2] == ("apt-cache", "depends")
        return subprocess.CompletedProcess(
            argv, 0 if known else 100, "  Depends: linux-image-6.1.0-1-amd64\n" if known else "",
            "E: Failed to fetch the package")
    monkeypatch.setattr(vm, "BUILD", str(tmp_path))
    monkeypatch.setattr(vm, "missing", lambda: "")
    monkeypatch.setattr(vm, "_tool", no_network)
    with pytest.raises(vm.VmMissing, match="could not be downloaded: E: Failed to fetch"):
        vm.kernel()


def test_another_kernel_is_taken_as_its_packages_have_it(tmp_path, monkeypatch):
    modules = tmp_path / "lib" / "modules" / "5.15.0-1-generic"
    modules.mkdir(parents=True)
    with pytest.raises(vm.VmError, match="no boot/vmlinuz-. in .*dpkg --extract"):
        vm.kernel_in(str(tmp_path))
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot" / "vmlinuz-5.15.0-1-generic").touch()
    # Some of what the first root needs is a module with needs of its own, some is built in.
    (modules / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    (modules / "modules.dep").write_text("a/9p.ko: a/9pnet.ko\na/9pnet.ko:\n")
    monkeypatch.setattr(vm, "FIRST_MODULES", ("virtio_pci", "9p"))
    found = vm.kernel_in(str(tmp_path))
    assert found.image.endswith("boot/vmlinuz-5.15.0-1-generic")
    assert found.first_modules() == [str(modules / "a/9pnet.ko"), str(modules / "a/9p.ko")]
    monkeypatch.setattr(vm, "FIRST_MODULES", ("overlay",))
    with pytest.raises(vm.VmError, match="has no module overlay"):
        found.first_modules()
