#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A DNS cluster in network namespaces, by hand.

  lab up                                two servers of the lab's own making
  lab up --servers bind,unbound,pdns    recursors over a tree of their own
  lab status                            hosts, addresses, what runs
  lab shell director                    a shell on a host
  lab run client dig @192.0.2.53 www.example.com
  lab up --redundancy bird              two directors and two core routers, all running; bird
                                        or frr is the client's router, core2 is the other
  lab down                              removes it, and what crashed runs left
  lab vm ipvsadm -ln                    a command in a virtual machine (scripts/lab-vm)

In a shell, `dnsdirector` is the build ($DNSDIRECTOR, else the release build),
and $LAB_RUN_DIR and $LAB_PIN_DIR name directories for a director:
  dnsdirector run -f FILE --run-dir $LAB_RUN_DIR --pin-dir $LAB_PIN_DIR
  dnsdirector status --run-dir $LAB_RUN_DIR
With --redundancy they are those of that host's director, which runs; `birdc -s $LAB_BIRD` and
`vtysh --vty_socket $LAB_VTY` ask the host's routing daemon.
"""

import argparse
import glob
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import vm_cli  # noqa: E402
from lab.classic import Classic  # noqa: E402
from lab.director import binary  # noqa: E402
from lab.lab import MAKES, Lab  # noqa: E402
from lab import redundancy  # noqa: E402
from lab.registry import Registry, start_time  # noqa: E402
from lab.routing import missing_daemons  # noqa: E402
from lab.system import LabError, enter, missing_privileges, run  # noqa: E402


def up(args):
    makes = (args.servers or ("bind,bind,unbound,unbound" if args.redundancy
                              else "answer,answer")).split(",")
    unknown = [m for m in makes if m not in MAKES]
    if unknown:
        raise LabError(f"no make {unknown[0]}: one of {', '.join(MAKES)}")
    if args.redundancy:
        if missing_daemons():
            raise LabError(missing_daemons())
        lab = redundancy.Site(args.redundancy, bfd=True, servers=makes, keep=True).up().lab
    elif args.classic:
        lab = Classic(native=not args.generic, keep=True)
    else:
        lab = Lab(servers=makes, interfaces=args.interfaces, native=not args.generic, keep=True)
    if not args.redundancy:
        lab.up()
        os.mkdir(lab.path("run"))
    print(f"lab {lab.registry.lab['id']} is up; scripts/lab status shows it, "
          f"scripts/lab down removes it")
    return 0


def kept(lab_id) -> Registry:
    """The lab that is meant: the named one, or the only one."""
    labs = [r for r in Registry.all() if (r.lab["id"] == lab_id if lab_id else r.lab["keep"])]
    if len(labs) != 1:
        raise LabError("no such lab is up: scripts/lab up makes one, scripts/lab status lists them"
                       if not labs else
                       "several labs are up, name one, as in scripts/lab shell --lab "
                       f"{labs[0].lab['id']} director: " + " ".join(r.lab["id"] for r in labs))
    return labs[0]


def status(args):
    for registry in Registry.all():
        lab = registry.lab
        kind = "kept" if lab["keep"] else "abandoned" if registry.abandoned() else "in use"
        print(f"lab {lab['id']} ({kind}), {registry.directory}")
        running = {}
        for entry in registry.entries("process"):
            if start_time(entry["pid"]) == entry["start"]:
                running.setdefault(_netns_of(entry["pid"]), []).append(
                    f"{entry['what']} pid {entry['pid']}")
        for host in registry.entries("netns"):
            done = run("ip", "-n", host["name"], "-br", "addr", check=False)
            addresses = [a for line in done.stdout.splitlines() for a in line.split()[2:]
                         if not a.startswith(("127.", "::1/", "fe80:"))]
            print(f"  {host['host']:9} {' '.join(addresses)}")
            for process in running.get(_netns_inode(host["name"]), []):
                print(f"  {'':9}   {process}")
    return 0


def _netns_of(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return None


def _netns_inode(name):
    try:
        return os.stat(f"/run/netns/{name}").st_ino
    except OSError:
        return None


def surroundings(directory: str, host: str) -> dict:
    """What the environment of a command on a host says: where its director and its routing
    daemon are."""
    found = {"LAB_DIR": directory, "LAB_RUN_DIR": os.path.join(directory, "run"),
             "LAB_PIN_DIR": os.path.join(directory, "bpf", "by-hand")}
    sockets = {"LAB_BIRD": glob.glob(f"{directory}/bird-{host}/bird.ctl"),
               "LAB_VTY": glob.glob(f"{directory}/frr-{host}-*")}
    for name, (its_host, _, _) in redundancy.DIRECTORS.items():
        run_dir = os.path.join(directory, redundancy.directory_name(name), "run")
        if its_host == host and os.path.isdir(run_dir):
            found["LAB_RUN_DIR"] = run_dir
            found["LAB_PIN_DIR"] = os.path.join(directory, "bpf", redundancy.directory_name(name))
            sockets["LAB_BIRD"] = [os.path.join(run_dir, "bird.ctl")]
    return found | {name: paths[0] for name, paths in sockets.items() if paths}


DIRECTOR_HINT = """\
run a director    dnsdirector run -f FILE --run-dir $LAB_RUN_DIR --pin-dir $LAB_PIN_DIR
talk to it        dnsdirector status --run-dir $LAB_RUN_DIR   (drain, reload, why … likewise)
from a client     scripts/lab run client dig @192.0.2.53 www.example.com   (another terminal)"""


def inside(args, command):
    registry = kept(args.lab)
    hosts = {h["host"]: h["name"] for h in registry.entries("netns")}
    if args.host not in hosts:
        raise LabError(f"no host {args.host}: one of {', '.join(hosts)}")
    program = os.path.abspath(binary())
    os.environ.update(surroundings(registry.directory, args.host),
                      PATH=f"{os.path.dirname(program)}:{os.environ.get('PATH', os.defpath)}",
                      PS1=f"[{args.host}] \\w# ")
    if args.command == "shell":
        if not os.access(program, os.X_OK):
            print(f"no {program} yet: scripts/build release")
        if args.host == "director":
            print(DIRECTOR_HINT)
    argv = enter(hosts[args.host]) + command
    os.execvp(argv[0], argv)


def down(args):
    failed = 0
    labs = Registry.all()
    if args.lab and args.lab not in [r.lab["id"] for r in labs]:
        raise LabError(f"no lab {args.lab}: scripts/lab status lists them")
    for registry in labs:
        lab = registry.lab
        if args.lab in (None, lab["id"]) and (lab["keep"] or registry.abandoned()):
            for leak in registry.teardown():
                print(f"ended by force: {leak}")
                failed |= "outlived" in leak
            print(f"lab {lab['id']} is down")
    return int(failed)


def main() -> int:
    if sys.argv[1:2] == ["vm"]:  # its options are lab-vm's own
        return vm_cli.run(sys.argv[2:], "lab vm")
    parser = argparse.ArgumentParser(prog="lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--lab", default=argparse.SUPPRESS, metavar="ID",
                       help="the lab that is meant, where several are up")
    parser.add_argument("--lab", metavar="ID", help="the same, before the command")
    commands = parser.add_subparsers(dest="command", required=True)
    sub = commands.add_parser("up", help="make a lab that stays until `lab down`")
    sub.add_argument("--servers", metavar="MAKE,…",
                     help=f"one make per real server: {', '.join(MAKES)}")
    sub.add_argument("--interfaces", type=int, choices=(1, 2), default=1,
                     help="of the director")
    sub.add_argument("--generic", action="store_true",
                     help="leave the switch without XDP programs: for generic mode only")
    sub.add_argument("--redundancy", choices=("bird", "frr"),
                     help="two directors that announce to two core routers by BGP: the daemon of "
                          "the client's router; all is started")
    sub.add_argument("--classic", action="store_true",
                     help="the lab of examples/keepalived-vlans.conf instead, where 802.1Q is: "
                          "in scripts/lab-vm")
    commands.add_parser("status", help="labs, hosts, addresses, processes")
    sub = commands.add_parser("shell", parents=[which], help="a shell on a host")
    sub.add_argument("host")
    sub = commands.add_parser("run", parents=[which], help="a command on a host")
    sub.add_argument("host")
    sub.add_argument("argv", nargs=argparse.REMAINDER)
    commands.add_parser("vm", add_help=False,
                        help="a command in a virtual machine with Debian's kernel; lab vm --help")
    commands.add_parser("down", parents=[which],
                        help="remove kept labs and what crashed runs left")
    args = parser.parse_args()

    why_not = missing_privileges()
    if why_not:
        raise LabError(why_not)
    if args.command == "shell":
        return inside(args, ["bash", "--norc"])
    if args.command == "run":
        return inside(args, args.argv)
    return {"up": up, "status": status, "down": down}[args.command](args)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        sys.exit(1)
