// SPDX-License-Identifier: Apache-2.0
#include "announce/bgp_groups.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dnsdirector::announce {

std::string_view word_of(Family family) {
    return family == Family::ipv4 ? "ipv4" : "ipv6";
}

std::string_view default_route(Family family) {
    return family == Family::ipv4 ? "0.0.0.0/0" : "::/0";
}

std::vector<BgpGroup> groups_of(const core::Bgp& bgp, Family family) {
    std::vector<BgpGroup> groups;
    using Key =
        std::pair<std::uint32_t, std::array<core::RouteAttributes, core::route_states.size()>>;
    std::map<Key, std::size_t> known;
    for (const core::BgpAnnouncement& each : bgp.announcements) {
        if (each.service_ip.family() != family) continue;
        const auto [at, fresh] =
            known.emplace(Key{each.local_preference, each.states}, groups.size());
        if (fresh) groups.push_back({{}, each.local_preference, each.states});
        groups[at->second].service_ips.push_back(each.service_ip);
    }
    return groups;
}

bool announces(const core::Bgp& bgp, Family family) {
    return std::any_of(bgp.announcements.begin(), bgp.announcements.end(),
                       [&](const auto& each) { return each.service_ip.family() == family; });
}

bool accepts_default(const core::Bgp& bgp, Family family) {
    return std::any_of(bgp.neighbors.begin(), bgp.neighbors.end(), [&](const auto& each) {
        return each.accept_default && each.carries(family);
    });
}

bool uses_bfd(const core::Bgp& bgp) {
    return std::any_of(bgp.neighbors.begin(), bgp.neighbors.end(),
                       [](const auto& each) { return each.bfd.has_value(); });
}

}  // namespace dnsdirector::announce
