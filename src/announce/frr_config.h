// SPDX-License-Identifier: Apache-2.0
//
// The part of FRR's configuration (8.4 and later) that announces the service IPs: a pure function
// of the bgp block. FRR cannot tell the director's routes from other routes that programs put
// into the kernel by their protocol number, but by prefix and metric; a route map gives those a
// tag, and what has no tag is told to no neighbour of ours.
#pragma once

#include <string>
#include <vector>

#include "core/bgp.h"

namespace dnsdirector::announce {

/// One command, or a block of them, as FRR nests them.
struct FrrStatement {
    std::string text;
    std::vector<FrrStatement> inner = {};
    std::string_view end = {};              ///< what closes the block: "exit", …; "" of a command
    std::vector<std::string> comment = {};  ///< before it
    /// `show running-config` leaves it out, since it is FRR's default.
    bool silent = false;
};

[[nodiscard]] std::vector<FrrStatement> frr_statements(const core::Bgp& bgp);

/// As text for frr.conf or `vtysh -f`, commented.
[[nodiscard]] std::string frr_config(const core::Bgp& bgp);

/// Begins every name that our part gives to lists, maps and profiles.
inline constexpr std::string_view frr_prefix = "dnsdirector-";

}  // namespace dnsdirector::announce
