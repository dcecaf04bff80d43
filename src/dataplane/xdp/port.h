// SPDX-License-Identifier: Apache-2.0
//
// VLAN devices are views of an interface: the program sits on the one below them
// all, sees every tag, and writes them itself.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

/// One VLAN tag; no tag at all where the protocol is 0.
struct Tag {
    std::uint16_t protocol = 0;  ///< 0x8100 (802.1Q), 0x88a8 (802.1ad)
    std::uint16_t id = 0;        ///< 0 to 4095; priority 0

    friend bool operator==(const Tag&, const Tag&) = default;
};

/// The outermost first; the program takes two.
using Tags = std::array<Tag, 2>;
[[nodiscard]] std::uint32_t count(const Tags& tags);

using Links = std::map<int, netlink::Link>;  ///< by their index

/// What a packet that is routed to an interface leaves by.
struct Port {
    int index = 0;
    Tags tags;
};

/// Errors: more than two tags, a device in another network namespace.
[[nodiscard]] Result<Port> port_below(const Links& links, int interface);

/// Why the program can't do its work on this interface, and what would be right;
/// "" where it can.
[[nodiscard]] std::string unfit(const Links& links, const netlink::Link& link);

}  // namespace dnsdirector::dataplane::xdp
