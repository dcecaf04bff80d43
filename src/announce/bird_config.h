// SPDX-License-Identifier: Apache-2.0
//
// The configuration of BIRD 2 (2.0.8 and later) that announces the service IPs: a pure function
// of the bgp block. BIRD learns the director's routes from the kernel, by their protocol number
// and exact prefix, and a filter turns the metric into what neighbours are told.
#pragma once

#include <string>

#include "core/bgp.h"

namespace dnsdirector::announce {

/// For RoutingDaemon::bird the whole of bird.conf; else the part that an existing bird.conf
/// includes, with what must be done in the rest of it as comments.
[[nodiscard]] std::string bird_config(const core::Bgp& bgp);

/// The names that the configuration gives: "dnsdirector_learn_ipv4", "dnsdirector_tell_ipv6".
[[nodiscard]] std::string bird_filter(std::string_view what, Family family);
/// "dnsdirector_198_51_100_253": by the address, so that a line that moves restarts nothing.
[[nodiscard]] std::string bird_protocol(const core::BgpNeighbor& neighbor);

}  // namespace dnsdirector::announce
