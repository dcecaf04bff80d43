# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with Debian's own kernel: IPVS, 802.1Q and XDP side by side.

qemu without KVM (TCG), on the root of the machine that starts it, read-only
over 9p under a layer in memory: the working tree, Debian's programs and the
build are there, and what the machine writes goes with it. What a command puts
into $LAB_VM_OUT comes back. Two scripts are its process 1: tools/vm_init.sh,
then tools/vm_main.sh.
"""

import ctypes
import glob
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from . import tools
from .system import LabError, find_program

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
TOOLS = os.path.join(REPOSITORY, "tests", "lab", "tools")
BUILD = os.path.join(REPOSITORY, "build", "vm")
READY_TOOLS = os.path.join(BUILD, "lab-tools")

QEMU = "qemu-system-x86_64"
PROGRAMS = (QEMU, "cpio", "depmod", "modprobe", "apt-get", "dpkg", "ipvsadm", "nft")
# Always the kernel of the installed Debian release.
META_PACKAGE = "linux-image-amd64"
# The first root's only program; downloaded like the kernel, since installing it would
# take a busybox away that is there.
BUSYBOX_PACKAGE = "busybox-static"
# Parts of the kernel package that are unpacked, out of 400 MB.
WANTED = ("./boot/vmlinuz-*", "./lib/modules/*/modules.*", "./lib/modules/*/kernel/net/*",
          "./lib/modules/*/kernel/lib/*", "./lib/modules/*/kernel/crypto/*",
          "./lib/modules/*/kernel/arch/x86/crypto/*", "./lib/modules/*/kernel/drivers/virtio/*",
          "./lib/modules/*/kernel/drivers/char/*", "./lib/modules/*/kernel/drivers/net/vxlan/*",
          *(f"./lib/modules/*/kernel/fs/{fs}/*" for fs in ("9p", "fscache", "netfs", "overlayfs")),
          *(f"./lib/modules/*/kernel/drivers/net/{name}.ko"
            for name in ("dummy", "ifb", "macvlan", "tun", "veth", "virtio_net", "vrf")))
# What the first root needs before it sees the host's modules.
FIRST_MODULES = ("virtio_pci", "virtio_console", "virtio_rng", "9pnet_virtio", "9p", "overlay")

MEMORY_MB = 1024
BOOT_SECONDS = 120.0
LIMIT_SECONDS = 600.0
# Where the kernel says that it has gone wrong, in the console.
WRONG = re.compile(r"Kernel panic|BUG: |Oops: |general protection fault|lab-vm: ")
# How much slower than the machine that it runs on, roughly; see system.SLOWNESS.
SLOWNESS = 5


class VmError(LabError):
    """The virtual machine gave no verdict; the text says why."""


class NotBooted(VmError):
    """It stood still before the command began."""


class VmMissing(VmError):
    """It cannot be had here; the text says what is missing."""


@dataclass
class Kernel:
    """Debian's kernel package, unpacked."""

    image: str
    modules: str  # lib/modules/RELEASE, with what depmod writes

    def first_modules(self) -> list:
        """Paths of FIRST_MODULES and of what these need, in the order of loading."""
        needs = {}
        with open(os.path.join(self.modules, "modules.builtin"), encoding="ascii") as inside:
            built_in = {_module_name(line) for line in inside}
        with open(os.path.join(self.modules, "modules.dep"), encoding="ascii") as dependencies:
            for line in dependencies:
                path, after = line.split(":")
                needs[_module_name(path)] = [path, *reversed(after.split())]
        order = []
        for name in FIRST_MODULES:
            if name in built_in:
                continue
            if name not in needs:
                raise VmError(f"the kernel in {self.modules} has no module {name}")
            path, *before = needs[name]
            order += [p for p in (*before, path) if p not in order]
        return [os.path.join(self.modules, p) for p in order]


def _end_with_parent():
    """No machine outlives whoever started it, however that ended (prctl(2))."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _module_name(path: str) -> str:
    return os.path.basename(path).split(".")[0].replace("-", "_")


def missing() -> str:
    """What keeps the virtual machine from starting here, or an empty text."""
    absent = [p for p in PROGRAMS if not find_program(p)]
    return f"missing programs (scripts/install-deps): {' '.join(absent)}" if absent else ""


def kernel() -> Kernel:
    """The kernel under build/vm, and busybox beside it; both downloaded from Debian where
    they are not there yet."""
    if missing():
        raise VmMissing(missing())
    os.makedirs(BUILD, exist_ok=True)
    if not os.path.exists(_busybox()):
        _fetch(lambda: BUSYBOX_PACKAGE, ["./bin/busybox"], "first-root")
    if not _unpacked():
        _fetch(_kernel_package, WANTED, "kernel")
    found = _unpacked()
    if not found or not os.path.exists(_busybox()):
        raise VmError(f"no kernel or no busybox in {BUILD} after unpacking Debian's packages")
    return found


def kernel_in(directory: str) -> Kernel:
    """Another kernel than Debian's: what its packages hold, unpacked into a directory."""
    found = _unpacked(directory)
    if not found:
        raise VmError(f"no boot/vmlinuz-* in {directory}: the packages of a kernel (its image "
                      "and its modules) belong there, unpacked with dpkg --extract")
    if not os.path.exists(os.path.join(found.modules, "modules.dep")):
        _index_modules(directory, os.path.basename(found.modules))
    return found


def _index_modules(root: str, release: str):
    subprocess.run([find_program("depmod"), "-b", root, release], check=True)


def _busybox() -> str:
    return os.path.join(BUILD, "first-root", "bin", "busybox")


def _unpacked(directory: str = None):
    directory = directory or os.path.join(BUILD, "kernel")
    for image in sorted(glob.glob(os.path.join(directory, "boot", "vmlinuz-*"))):
        release = os.path.basename(image).split("-", 1)[1]
        return Kernel(image, os.path.join(directory, "lib", "modules", release))
    return None


def _fetch(package_name, wanted: list, name: str):
    """Downloads a package with apt and puts the wanted parts into build/vm/NAME."""
    with tempfile.TemporaryDirectory(prefix="download-", dir=BUILD) as directory:
        _apt_get_download(package_name, directory)
        package, = glob.glob(os.path.join(directory, "*.deb"))
        root = os.path.join(directory, "root")
        os.mkdir(root)
        with subprocess.Popen(["dpkg", "--fsys-tarfile", package],
                              stdout=subprocess.PIPE) as archive:
            # Exit 2: a pattern found nothing; what is needed is asked for by name later.
            subprocess.run(["tar", "-x", "-C", root, "--no-same-owner", "--wildcards", *wanted],
                           stdin=archive.stdout, stderr=subprocess.DEVNULL, check=False)
        for modules in glob.glob(os.path.join(root, "lib", "modules", "*")):
            _index_modules(root, os.path.basename(modules))
        try:
            os.rename(root, os.path.join(BUILD, name))
        except OSError:  # another run was faster
            pass


def _kernel_package() -> str:
    """The package that the metapackage stands for, or an empty text."""
    name = re.search(r"Depends: (linux-image-\d\S+)",
                     _tool("apt-cache", "depends", META_PACKAGE).stdout)
    return name[1] if name else ""


def _apt_get_download(package_name, directory: str):
    # As root apt would hand over to a user that may not write to the directory.
    options = ["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []
    options += ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-q"]
    for attempt in ("with the lists that are there", "after an update"):
        if attempt == "after an update":
            if os.geteuid() != 0:
                break
            _tool("apt-get", "update", *options)
        name = package_name()
        if name:
            done = _tool("apt-get", "download", *options, name, cwd=directory)
            if done.returncode == 0:
                return
            reason = done.stderr.strip().splitlines()[-1:]
        else:
            reason = [f"apt does not know {META_PACKAGE}"]
    raise VmMissing(f"Debian's {name or 'kernel'} could not be downloaded: " + "".join(reason))


def _tool(*argv, **options):
    return subprocess.run(argv, text=True, capture_output=True, check=False,
                          env={**os.environ, "LC_ALL": "C"}, **options)


def _first_root(kernel: Kernel, directory: str) -> str:
    """Makes the archive of the first root: busybox, a few modules, vm_init.sh."""
    root = os.path.join(directory, "first-root")
    os.makedirs(os.path.join(root, "bin"))
    os.mkdir(os.path.join(root, "modules"))
    shutil.copy(_busybox(), os.path.join(root, "bin", "busybox"))
    os.symlink("busybox", os.path.join(root, "bin", "sh"))
    shutil.copy(os.path.join(TOOLS, "vm_init.sh"), os.path.join(root, "init"))
    os.chmod(os.path.join(root, "init"), 0o755)
    with open(os.path.join(root, "modules", "order"), "w", encoding="ascii") as order:
        for path in kernel.first_modules():
            shutil.copy(path, os.path.join(root, "modules"))
            order.write(os.path.basename(path) + "\n")
    archive = os.path.join(directory, "first-root.cpio")
    names = [os.path.relpath(os.path.join(parent, name), root)
             for parent, below, files in os.walk(root) for name in below + files]
    subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0", "-F", archive],
                   input="\n".join(names) + "\n", text=True, cwd=root, check=True)
    shutil.rmtree(root)
    return archive


class Machine:
    """One boot, one command. exchange: its directory on the host, with

    console   what the kernel said
    out/      what the command left in $LAB_VM_OUT
    status    the exit status of the command, once it has ended
    """

    def __init__(self, exchange: str, other_kernel: str = None):
        """other_kernel: of kernel_in()."""
        self.exchange = exchange
        self.other_kernel = other_kernel
        self.console = os.path.join(exchange, "console")
        self.booted_after = None

    def run(self, command: list, limit: float = LIMIT_SECONDS, environment: dict = None) -> int:
        """Runs a command as root in the virtual machine, in the caller's directory, its
        output on the caller's own; returns its exit status. VmError after limit seconds,
        and where the machine ended without a verdict. No command: a shell."""
        with tempfile.TemporaryDirectory(prefix="boot-", dir=BUILD) as boot:
            unpacked = kernel()
            if self.other_kernel:
                unpacked = kernel_in(self.other_kernel)
            if find_program("g++") and find_program("clang"):
                tools.make_ready(READY_TOOLS)
            self._leave_job(command, unpacked, environment or {})
            first_root = _first_root(unpacked, boot)
            try:
                return self._boot(unpacked, first_root, command, limit)
            except NotBooted as error:
                # An emulated machine starved by others may miss its own timers as it boots.
                print(f"{error}\nlab-vm: once more", file=sys.stderr, flush=True)
                return self._boot(unpacked, first_root, command, limit)

    def _boot(self, unpacked: Kernel, first_root: str, command: list, limit: float) -> int:
        self.booted_after = None
        process = subprocess.Popen(
            self._argv(unpacked, first_root), stdin=None if not command else subprocess.DEVNULL,
            start_new_session=bool(command), preexec_fn=_end_with_parent)
        try:
            return self._watch(process, limit)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def _argv(self, kernel: Kernel, first_root: str) -> list:
        def share(tag, path, readonly):
            return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap"
                    + (",readonly=on" if readonly else ""),
                    "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        return [QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
                "-m", str(MEMORY_MB), "-nic", "none",
                "-kernel", kernel.image, "-initrd", first_root,
                "-append", "console=ttyS0 loglevel=5 panic=-1 oops=panic mitigations=off "
                           "apparmor=0 random.trust_cpu=on",
                *share("host", "/", True), *share("exchange", self.exchange, False),
                "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
                "-serial", f"file:{self.console}",
                "-chardev", "stdio,id=terminal,signal=off", "-device",
                "virtconsole,chardev=terminal"]

    def _leave_job(self, command: list, kernel: Kernel, environment: dict):
        os.makedirs(os.path.join(self.exchange, "out"), exist_ok=True)
        known = {"LAB_VM_OUT": "/run/lab-vm/out", "DNSDIRECTOR_VM": "1", "HOME": "/root",
                 "DNSDIRECTOR_LAB_TOOLS": READY_TOOLS,
                 "DNSDIRECTOR_LAB_SLOWNESS": str(SLOWNESS), "PYTHONDONTWRITEBYTECODE": "1"}
        known |= {name: value for name, value in os.environ.items()
                  if name.startswith("DNSDIRECTOR") or name in ("TERM", "LANG")}
        lines = [f"export {name}={shlex.quote(value)}"
                 for name, value in {**known, **environment}.items()]
        lines += [f"cd {shlex.quote(os.getcwd())}", f"exec {shlex.join(command or ['bash'])}"]
        self._write("command", "\n".join(lines) + "\n")
        self._write("tree", REPOSITORY)
        self._write("modules", kernel.modules)
        if not command:
            self._write("interactive", "")

    def _write(self, name: str, text: str):
        with open(os.path.join(self.exchange, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _read(self, name: str) -> str:
        try:
            with open(os.path.join(self.exchange, name), encoding="utf-8",
                      errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def _watch(self, process: subprocess.Popen, limit: float) -> int:
        begun = time.monotonic()
        while process.poll() is None:
            seconds = time.monotonic() - begun
            if self.booted_after is None:
                if os.path.exists(os.path.join(self.exchange, "booted")):
                    self.booted_after = seconds
                elif seconds > BOOT_SECONDS:
                    raise NotBooted(self._last_words(f"did not boot in {BOOT_SECONDS:g} s"))
            if seconds > limit:
                raise VmError(self._last_words(f"was not done after {limit:g} s"))
            time.sleep(0.05)
        verdict = self._read("status").strip()
        if not verdict:
            raise VmError(self._last_words(f"ended without a verdict (qemu: "
                                           f"{process.returncode})"))
        return int(verdict)

    def _last_words(self, what: str, lines: int = 30) -> str:
        """What happened, and the end of the console: from where it began to go wrong."""
        console = self._read("console").replace("\r", "").splitlines()
        begun = [n for n, line in enumerate(console) if WRONG.search(line)]
        last = console[max(0, begun[0] - 3):][:lines] if begun else console[-lines:]
        return (f"the virtual machine {what}; the console's last lines:\n"
                + "\n".join("    " + line for line in last))
