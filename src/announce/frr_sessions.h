// SPDX-License-Identifier: Apache-2.0
//
// What FRR 8 and later say of their sessions. Pure functions over replies without their frame
// (control_protocol.h); of what is no JSON, or other JSON, they say so.
#pragma once

#include <string>
#include <string_view>

#include "announce/session_state.h"
#include "base/result.h"

namespace dnsdirector::announce {

/// `show bgp neighbors ADDRESS json`. A neighbour that bgpd does not know is not known.
[[nodiscard]] Result<NeighborReport> frr_neighbor(std::string_view reply, const IpAddress& address);

/// `show bgp FAMILY unicast neighbors ADDRESS advertised-routes json`, added to `report`.
[[nodiscard]] Result<void> frr_told(std::string_view reply, ToldReport& report);

/// `show zebra client summary`: what is wrong with zebra and bgpd as a pair; "": nothing.
[[nodiscard]] std::string zebra_problem(std::string_view reply);

}  // namespace dnsdirector::announce
