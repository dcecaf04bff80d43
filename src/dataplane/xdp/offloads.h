// SPDX-License-Identifier: Apache-2.0
//
// Receive offloads (netdev features, linux/ethtool.h) that hide from the program
// what it works on. A card, or a veth, may take VLAN tags off frames before any
// XDP program sees them; in generic mode the kernel merges packets before it, and
// the program would forward a frame that no link takes.
#pragma once

#include <bitset>
#include <string>

#include "base/result.h"

namespace dnsdirector::dataplane::xdp {

struct Offload {
    enum : std::size_t {
        gro,
        lro,
        vlan,          ///< of 802.1Q tags
        service_vlan,  ///< of 802.1ad tags
        number
    };
};
using Offloads = std::bitset<Offload::number>;
inline const Offloads merging_offloads{1U << Offload::gro | 1U << Offload::lro};
inline const Offloads vlan_offloads{1U << Offload::vlan | 1U << Offload::service_vlan};

struct TurnedOff {
    Offloads were_on;     ///< and are off now
    std::string trouble;  ///< what could not be turned off, what that means, the mend; or ""
};

/// In the network namespace of the calling thread.
[[nodiscard]] TurnedOff turn_off(const std::string& interface, Offloads offloads);
/// Turns on again what is set.
Result<void> turn_on(const std::string& interface, Offloads offloads);

}  // namespace dnsdirector::dataplane::xdp
