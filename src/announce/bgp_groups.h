// SPDX-License-Identifier: Apache-2.0
//
// What the configurations of both routing daemons are made from.
#pragma once

#include <array>
#include <string_view>
#include <vector>

#include "core/bgp.h"

namespace dnsdirector::announce {

inline constexpr std::array families = {Family::ipv4, Family::ipv6};

/// "ipv4", "ipv6": how the daemons, and the names that we give in them, call a family.
[[nodiscard]] std::string_view word_of(Family family);

/// Service IPs of one family that are announced in the same way in every state.
struct BgpGroup {
    std::vector<IpAddress> service_ips;  ///< in the order of the file
    std::uint32_t local_preference = core::default_local_preference;
    std::array<core::RouteAttributes, core::route_states.size()> states;  ///< by RouteState
};

/// In the order of the file, by the first service IP of each.
[[nodiscard]] std::vector<BgpGroup> groups_of(const core::Bgp& bgp, Family family);

/// Any service IP of that family.
[[nodiscard]] bool announces(const core::Bgp& bgp, Family family);
/// Any neighbour that a default route is taken from which may be of that family.
[[nodiscard]] bool accepts_default(const core::Bgp& bgp, Family family);
/// Any neighbour that is watched by BFD.
[[nodiscard]] bool uses_bfd(const core::Bgp& bgp);

/// The default route of a family.
[[nodiscard]] std::string_view default_route(Family family);

}  // namespace dnsdirector::announce
