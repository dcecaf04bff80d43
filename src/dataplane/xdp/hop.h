// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/xdp/program.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

/// How a frame reaches a server that is on the same network.
struct Hop {
    std::uint32_t ifindex = 0;
    netlink::Mac server{};
    netlink::Mac own{};  ///< of that interface

    friend bool operator==(const Hop&, const Hop&) = default;
};

[[nodiscard]] Hop hop_of(const abi::destination& record);
/// A frame with this IP packet in it, as the kernel program would send it there.
[[nodiscard]] std::vector<std::uint8_t> frame_to(const Hop& hop, Family family,
                                                 std::span<const std::uint8_t> packet);
[[nodiscard]] abi::destination record_of(const Hop& hop, std::uint32_t counter);

}  // namespace dnsdirector::dataplane::xdp
