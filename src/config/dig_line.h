// SPDX-License-Identifier: Apache-2.0
//
// dig's command line, as far as it can be run without dig.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::config {

/// What a dig line asks, and how often. As dig 9.18 has it: `timeout` is for one
/// try (one wait for a reply over UDP; one connection and as much again for its
/// reply over TCP), 5 s where +time is not given, and 10 s over TCP
/// (DigCheck::tcp_timeout); `tries` is 3 where neither +tries nor +retry is.
struct DigLine {
    Endpoint server;
    core::DigCheck check;
    Nanoseconds timeout;
    std::uint32_t tries;  ///< 1 to 100
};

/// Understands a command line, program included, whose program is called dig,
/// by the rules of dig 9.18: options may be shortened, type, class and name come
/// in any order, the last of two options counts. Taken are -4 -6 -b -c -p -q -t
/// -x, @ADDRESS, a name, a type, a class, +time +tries +retry +tcp +vc +fail
/// +recurse +dnssec +bufsize +short +ignore and their +no forms.
///
/// Errors say in a few words why the line cannot be run without dig: an option
/// that is not taken, what dig itself would refuse, and what depends on the
/// machine (no @server, a server by name) or on the user (a source port below 1024).
[[nodiscard]] Result<DigLine> parse_dig_line(std::span<const std::string> arguments);

}  // namespace dnsdirector::config
