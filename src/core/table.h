// SPDX-License-Identifier: Apache-2.0
//
// Scheduling tables: arrays of slots, each naming a destination by its position
// in the list given. Built in user space, walked or indexed by the data plane.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/forwarding.h"

namespace dnsdirector::core {

/// A table with more slots than this is refused by nothing: weights are then
/// rounded by largest remainder to fit.
inline constexpr std::uint32_t max_slots_per_table = 1U << 20;

struct Table {
    std::vector<std::uint32_t> slots;  ///< positions in the list of destinations
    bool exact = true;                 ///< false: weights were rounded to fit
};

/// Weighted round robin, interleaved: destination i stands in weight[i]/gcd
/// slots, spread evenly, so that consecutive packets go to different servers.
/// Weight 0 gets no slot; no weight above 0 gives an empty table.
[[nodiscard]] Table interleaved_table(std::span<const std::uint32_t> weights);

/// Weighted Maglev (Eisenbud et al., NSDI 2016, section 3.4; weights as turns
/// per round, as in Linux' ip_vs_mh): a lookup table of prime size in which a change of one
/// server moves few other slots. Depends on the servers' addresses, ports and
/// weights only, not on their order, names or indices: every director builds the same.
[[nodiscard]] Table maglev_table(std::span<const Destination> destinations);

/// Slots of a table for the service as forwarded by the XDP plane: per-packet
/// UDP (wrr, rr) interleaved, everything else Maglev. rr counts each weight above 0 as 1.
[[nodiscard]] Table build_table(const ServiceForwarding& service);

/// Whether packets choose by a cursor (per packet) or by a hash of the flow.
[[nodiscard]] bool per_packet(const ServiceForwarding& service);

}  // namespace dnsdirector::core
