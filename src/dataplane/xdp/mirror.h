// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's tables hold, as user space remembers it: changes need no
// read-back. read_back() makes it anew from the maps alone.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "base/result.h"
#include "core/forwarding.h"
#include "core/table_cache.h"
#include "dataplane/xdp/directory.h"
#include "dataplane/xdp/maps.h"
#include "dataplane/xdp/ranges.h"

namespace dnsdirector::dataplane::xdp {

/// A server of a service.
struct Member {
    std::uint32_t counter = 0;
    std::uint32_t weight = 0;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
    bool forwarded = false;    ///< false: removed, but its counters are kept
    std::uint32_t record = 0;  ///< in the table in force; 0 while no way to it is known

    /// What its part of the table follows: without a next hop it can have none.
    [[nodiscard]] std::uint32_t table_weight() const {
        return forwarded && record != 0 ? weight : 0;
    }
};

struct MirrorService {
    std::uint32_t record = 0;
    core::Scheduler scheduler = core::Scheduler::wrr;
    core::ForwardingMethod method = core::ForwardingMethod::dr;
    bool other_hash = false;
    Range blocks;   ///< of slots
    Range records;  ///< one for each forwarded member, in their order
    /// Of the table before a recent change, for flows that are older (abi::service).
    Range previous_blocks;
    Range previous_records;
    std::map<Endpoint, Member> members;
};

using Mirror = std::map<core::ServiceKey, MirrorService>;

/// The input of core::build_table: every forwarded member, with its table_weight().
[[nodiscard]] core::ServiceForwarding forwarding_of_table(const core::ServiceKey& key,
                                                          const MirrorService& service);
/// As the engine knows it, with the weights wished for.
[[nodiscard]] core::ServiceForwarding forwarding_of(const core::ServiceKey& key,
                                                    const MirrorService& service);

/// Blocks that a table of so many slots takes.
[[nodiscard]] std::uint32_t blocks_for(std::uint32_t slots);

struct ReadBack {
    Mirror mirror;
    std::set<core::ServiceKey> broken;     ///< their tables don't hold what the weights say
    std::set<core::ServiceKey> in_ledger;  ///< with an entry of their own in it
    std::vector<std::uint32_t> address_records;
};

/// Reads and checks everything. Entries of `members` that belong to nothing are
/// removed; chains of the directory that lead astray are cut.
[[nodiscard]] Result<ReadBack> read_back(const Maps& maps, Directory& directory,
                                         core::TableCache& tables);

}  // namespace dnsdirector::dataplane::xdp
