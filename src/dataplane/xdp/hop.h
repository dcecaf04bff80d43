// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/model.h"
#include "dataplane/xdp/port.h"
#include "dataplane/xdp/program.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

/// A server, and how packets are handed to it: the same machine may be reached
/// directly for one service and by a tunnel for another.
struct Target {
    IpAddress address;
    bool tunnel = false;

    Target(const IpAddress& server, core::ForwardingMethod method)
        : address(server), tunnel(method == core::ForwardingMethod::tun) {}

    friend auto operator<=>(const Target&, const Target&) = default;
    friend bool operator==(const Target&, const Target&) = default;
};

/// The outer header of a tunnel.
struct Tunnel {
    IpAddress source;           ///< with zeros where `entropy` has ones
    IpAddress server;           ///< of the same family
    std::uint32_t entropy = 0;  ///< bits of the source's last four bytes that follow the flow
    std::uint32_t mtu = 0;      ///< bytes: the largest packet, outer header included

    friend bool operator==(const Tunnel&, const Tunnel&) = default;
};

/// How a packet reaches a server.
struct Hop {
    std::uint32_t ifindex = 0;  ///< of the port, below all VLAN devices
    netlink::Mac server{};      ///< or of the router that leads to it
    netlink::Mac own{};         ///< of the interface it is routed to
    Tags tags{};
    bool local = false;  ///< this machine's own stack
    std::optional<Tunnel> tunnel = {};

    friend bool operator==(const Hop&, const Hop&) = default;
};

/// `outer` stands beside `record` and counts where that says WAY_TUNNEL.
[[nodiscard]] Hop hop_of(const abi::destination& record, const abi::tunnel& outer);
/// A frame with this IP packet in it, as the kernel program would send it there; of
/// a tunnel's source the first address is taken. Not for a local one.
[[nodiscard]] std::vector<std::uint8_t> frame_to(const Hop& hop, Family family,
                                                 std::span<const std::uint8_t> packet);
[[nodiscard]] abi::destination record_of(const Hop& hop, std::uint32_t counter);
[[nodiscard]] abi::tunnel outer_of(const Hop& hop);

/// Tags as a frame has them, protocol and control information; 0 for none.
using TagWords = std::array<std::uint32_t, 2>;
[[nodiscard]] TagWords words_of(const Tags& tags);
[[nodiscard]] Tags tags_of(const std::uint32_t (&words)[2]);

}  // namespace dnsdirector::dataplane::xdp
