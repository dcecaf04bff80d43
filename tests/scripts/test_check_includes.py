# SPDX-License-Identifier: Apache-2.0
"""The include rule is enforced: each kind of breach is found, and nothing else."""

import pytest

import check_includes

KNOWN = {
    "base/result.h", "core/model.h", "config/config.h", "dns/reply.h", "netlink/netlink.h",
    "probe/prober.h", "dataplane/dataplane.h", "dataplane/xdp/plane.h", "dataplane/ipvs/plane.h",
    "announce/presence.h", "control/director.h",
}


def problems(name, *lines):
    return [problem.message for problem in check_includes.check_file(name, "\n".join(lines), KNOWN)]


@pytest.mark.parametrize("name, line", [
    ("core/desired.cc", '#include "core/model.h"'),
    ("core/desired.cc", '#include "base/result.h"'),
    ("core/desired.cc", "#include <vector>"),
    ("base/time.cc", "#include <ctime>"),
    ("control/director.cc", '#include "probe/prober.h"'),
    ("control/director.cc", '#include "dataplane/xdp/plane.h"'),
    ("control/director.cc", "#include <boost/beast.hpp>"),
    ("cli/main.cc", "#include <CLI/CLI.hpp>"),
    ("netlink/links.cc", "#include <netlink/route/link.h>"),
    ("netlink/links.cc", "#include <netlink/netlink.h>"),
    ("netlink/links.cc", '#include "netlink/netlink.h"'),
    ("dataplane/ipvs/plane.cc", "#include <netlink/genl/genl.h>"),
    ("dataplane/xdp/plane.cc", "#include <bpf/libbpf.h>"),
    ("dataplane/xdp/plane.cc", '#include "director.skel.h"'),
    ("dataplane/xdp/plane.cc", '#include "dataplane/dataplane.h"'),
    ("dataplane/xdp/plane.cc", '#include "netlink/netlink.h"'),
    ("dns/reply.cc", "#include <ldns/ldns.h>"),
    ("core/desired.cc", '// #include "cli/main.h"'),
    ("core/desired.cc", "// the time() of steady_clock::now() is not asked for"),
    ("core/desired.cc", 'auto text = "time(now)";'),
    ("core/desired.cc", "health.time(3); next_time(4); separator = 1'000'000;"),
])
def test_what_the_rule_allows_passes(name, line):
    assert problems(name, line) == []


@pytest.mark.parametrize("name, line, said", [
    ("core/desired.cc", '#include "config/config.h"', "config stands left of core"),
    ("base/result.cc", '#include "core/model.h"', "core stands left of base"),
    ("probe/prober.cc", '#include "dataplane/dataplane.h"', "neighbours"),
    ("netlink/links.cc", '#include "dns/reply.h"', "neighbours"),
    ("config/parser.cc", '#include "dns/reply.h"', "neighbours"),
    ("dataplane/xdp/plane.cc", '#include "dataplane/ipvs/plane.h"', "neighbours"),
    ("dataplane/dataplane.cc", '#include "dataplane/xdp/plane.h"', "have in common"),
    ("probe/prober.cc", '#include "control/director.h"', "control stands left of probe"),
    ("control/director.cc", "#include <bpf/libbpf.h>", "libbpf"),
    ("control/director.cc", '#include "abi.h"', "libbpf"),
    ("dataplane/ipvs/plane.cc", "#include <bpf/bpf.h>", "libbpf"),
    ("announce/presence.cc", "#include <netlink/route/addr.h>", "libnl"),
    ("probe/prober.cc", "#include <netlink/netlink.h>", "libnl"),
    ("probe/prober.cc", "#include <ldns/ldns.h>", "ldns"),
    ("control/director.cc", "#include <CLI/CLI.hpp>", "CLI11"),
    ("core/desired.cc", "#include <sys/socket.h>", "core does no I/O"),
    ("core/desired.cc", "#include <fstream>", "core does no I/O"),
    ("core/desired.cc", "#include <boost/asio.hpp>", "core does no I/O"),
    ("base/result.cc", "#include <fstream>", "base does no I/O"),
    ("core/desired.cc", "auto t = std::chrono::steady_clock::now();", "names a clock"),
    ("core/desired.cc", "auto t = Clock::now();", "reads a clock"),
    ("core/desired.cc", "auto t = std::time(nullptr);", "reads a clock"),
    ("core/desired.cc", "auto t = time(nullptr);", "reads a clock"),
    ("core/desired.cc", "std::random_device seed;", "more than its arguments"),
    ("core/desired.cc", '#include "model.h"', "relative to src/"),
    ("core/desired.cc", "#include <core/model.h>", 'write "core/model.h"'),
    ("misc/thing.cc", "", "no place in the include rule"),
])
def test_a_breach_is_found(name, line, said):
    found = problems(name, line)
    assert len(found) >= 1
    assert any(said in message for message in found), found


def test_a_breach_is_reported_with_its_line():
    found = check_includes.check_file(
        "core/desired.cc", '#include <vector>\n\n#include "cli/main.h"\n', KNOWN | {"cli/main.h"})
    assert [(problem.path, problem.line) for problem in found] == [("src/core/desired.cc", 3)]


def test_includes_in_block_comments_do_not_count():
    assert problems("core/desired.cc", "/* once:", '#include "config/config.h"', "*/") == []


def test_the_tree_itself_holds_the_rule():
    assert check_includes.check(check_includes.Path(check_includes.__file__).parents[1]) == []
