#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in a virtual machine with Debian's kernel: IPVS, 802.1Q, XDP.

  lab-vm ipvsadm -ln                       as root, in the current directory
  lab-vm /usr/bin/python3 -m pytest tests/lab -k shares
  lab-vm                                   a shell
  lab-vm --check                           says whether it can run here

The machine sees this one's files; what it writes is gone with it, except
what the command puts into $LAB_VM_OUT: build/vm/last/out (or --exchange).
Exit status: the command's; 125 where the machine gave no verdict, 124 on
--check where it cannot run here.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import vm  # noqa: E402

NO_VERDICT, NOT_HERE = 125, 124


def main(arguments: list, program: str) -> int:
    parser = argparse.ArgumentParser(prog=program,
                                     description=__doc__.replace("lab-vm ", program + " "),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=float, default=vm.LIMIT_SECONDS, metavar="SECONDS",
                        help="end it after so long, which is a failure (%(default)g)")
    parser.add_argument("--exchange", metavar="DIRECTORY",
                        help="where console, status and out/ go; made where missing")
    parser.add_argument("--kernel", metavar="DIRECTORY",
                        help="another kernel than Debian's: its packages, unpacked "
                             "with dpkg --extract")
    parser.add_argument("--check", action="store_true",
                        help="fetch what is needed and run nothing")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

    if args.check:
        vm.kernel()
        return 0
    return in_machine(args)


def in_machine(args) -> int:
    os.makedirs(vm.BUILD, exist_ok=True)
    exchange = os.path.abspath(args.exchange) if args.exchange else tempfile.mkdtemp(
        prefix="run-", dir=vm.BUILD)
    os.makedirs(exchange, exist_ok=True)
    machine = vm.Machine(exchange, args.kernel and os.path.abspath(args.kernel))
    try:
        return machine.run(args.command, limit=args.limit)
    finally:
        if not args.exchange:
            last = os.path.join(vm.BUILD, "last")
            shutil.rmtree(last, ignore_errors=True)
            os.rename(exchange, last)


def run(arguments: list, program: str = "lab-vm") -> int:
    """The whole command; returns its exit status, and says on stderr why there is no verdict."""
    try:
        return main(arguments, program)
    except vm.VmMissing as error:
        print(f"{program}: {error}", file=sys.stderr)
        return NOT_HERE
    except vm.VmError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return NO_VERDICT


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
