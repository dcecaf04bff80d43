// SPDX-License-Identifier: Apache-2.0
//
// How servers are reached, by their numbers, and what a frame looks like that is
// handed to one of them: written from the documents (IEEE 802.1Q; RFC 1141, 2003,
// 2473, 6040), next to bpf/vlan.h and bpf/tunnel.h.
#pragma once

#include <initializer_list>

#include "dataplane/xdp/hop.h"
#include "packets/notation.h"

namespace dnsdirector::packets {

inline constexpr std::initializer_list<int> special_servers{71, 72, 73, 74, 75};
/// 71: in VLAN 105; 72: behind two tags; 73: by a tunnel; 74: by a tunnel in VLAN
/// 105 whose source follows the flow; 75: this machine. The others: as notation.h
/// says. `near` and `far`: interface indices.
[[nodiscard]] dataplane::xdp::Hop way_to(Family family, int number, std::uint32_t near,
                                         std::uint32_t far);

/// The largest packet that a tunnel takes, outer header included.
inline constexpr std::size_t tunnel_mtu = 1500;

/// The frame as a server gets it. The packet in it is sound and fits the way.
[[nodiscard]] Frame handed_to(int number, const Frame& frame);

/// Offset of the IP header: behind at most two tags.
[[nodiscard]] std::size_t network_at(const Frame& frame);

}  // namespace dnsdirector::packets
