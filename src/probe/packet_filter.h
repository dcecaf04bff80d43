// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "base/address.h"

namespace dnsdirector::probe {

/// `count` ports from `first` on; `count` is a power of two and divides `first`, so that one
/// comparison tells whether a port is among them.
struct PortRange {
    std::uint16_t first = 0;
    std::uint16_t count = 0;

    [[nodiscard]] bool has(std::uint16_t port) const {
        return port - first < count && port >= first;
    }
    [[nodiscard]] std::uint32_t mask() const { return 0xFFFFU & ~(count - 1U); }
};

/// The program (packet(7), SO_ATTACH_FILTER) that the kernel runs for each packet of a family
/// that comes to this machine. It lets through what is sent to these ports by UDP or TCP,
/// without later fragments, and ICMP errors that quote a packet from one of them. Clients'
/// packets are out after some five instructions.
[[nodiscard]] std::vector<sock_filter> packet_filter(Family family, const PortRange& ports);

}  // namespace dnsdirector::probe
