// SPDX-License-Identifier: Apache-2.0
//
// Scheduling tables: arrays of slots, each naming a destination by its position
// in the list given. Built in user space, walked or indexed by the data plane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/forwarding.h"

namespace dnsdirector::core {

/// A table that would need more slots than this is not refused: its weights are
/// rounded by largest remainder to fit. Whoever has a weight keeps a slot.
inline constexpr std::uint32_t max_slots_per_table = 1U << 20;

struct Table {
    std::vector<std::uint32_t> slots;  ///< positions in the list of destinations
    bool exact = true;                 ///< false: weights were rounded to fit
};

/// Weighted round robin, interleaved: destination i stands in weight[i]/gcd
/// slots, spread evenly, so that consecutive packets go to different servers:
/// in any run of slots, taken as a ring or not, it stands less than two times
/// more or less often than its share (Tijdeman, "The chairman assignment
/// problem", 1980: in any prefix less than one).
/// Weight 0 gets no slot; no weight above 0 gives an empty table.
[[nodiscard]] Table interleaved_table(std::span<const std::uint32_t> weights);

/// Weighted Maglev (Eisenbud et al., NSDI 2016, section 3.4; weights as turns
/// per round, as in Linux' ip_vs_mh): a lookup table of prime size in which a
/// change of one server moves few other slots. Depends on the servers' addresses,
/// ports and ratio of weights only, not on their order, names or indices: every
/// director builds the same. Each server stands in at least one slot, and as
/// often as its weight says by the method of Sainte-Lague: within a slot of its
/// share, but where a heavy server stands among many light ones whose shares
/// all round the same way.
[[nodiscard]] Table maglev_table(std::span<const Destination> destinations);

/// Slots of a table for the service as forwarded by the XDP plane: per-packet
/// UDP (wrr, rr) interleaved, everything else Maglev. rr counts each weight above 0 as 1.
[[nodiscard]] Table build_table(const ServiceForwarding& service);

/// Slots of a Maglev table for so many servers with work, a prime: about 80 to
/// 1000 for each up to 1,000 servers, fewer beyond. Few sizes, since all slots
/// move when the size changes.
[[nodiscard]] std::uint32_t maglev_size(std::size_t servers);

/// The most slots that tables of this service need, whoever is up, and while
/// servers start slowly: for the limit that check-config holds against.
[[nodiscard]] std::uint32_t slots_needed(const Service& service);

/// Slots of the table that build_table makes of exactly these weights.
[[nodiscard]] std::uint32_t slots_needed(Protocol protocol, Scheduler scheduler,
                                         std::span<const std::uint32_t> weights);

/// What fitting into max_slots_per_table does to the shares of a service.
struct Rounding {
    std::uint64_t exact_slots = 0;  ///< that its weights ask for by their common divisor
    std::size_t server = 0;         ///< in real_servers: whose share is off by the largest factor
    double share = 0;               ///< of that server by its weight, 0 to 1
    double rounded = 0;             ///< as it stands in the table
};

/// Of the table with all servers up and none starting slowly; nothing where it is exact
/// (up to 2^20 slots), and where packets go by Maglev, whose size does not depend on weights.
[[nodiscard]] std::optional<Rounding> rounding_of(const Service& service);

/// Whether packets choose by a cursor (per packet) or by a hash of the flow.
[[nodiscard]] bool per_packet(const ServiceForwarding& service);
[[nodiscard]] bool per_packet(Protocol protocol, Scheduler scheduler);

}  // namespace dnsdirector::core
