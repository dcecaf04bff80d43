// SPDX-License-Identifier: Apache-2.0
//
// What `nft -j list …` prints, read. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "realserver/translation.h"

namespace dnsdirector::realserver {

struct RuleCounter {
    std::string process;
    Protocol protocol = Protocol::udp;
    Way way = Way::queries;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;

    friend bool operator==(const RuleCounter&, const RuleCounter&) = default;
};

struct Counters {
    std::vector<RuleCounter> processes;  ///< in the order of the listing
    std::uint64_t refused_tunnels = 0;   ///< packets
};

/// A listed table without what changes by itself: handles, counts, elements that rules put into
/// sets. One line an object; equal texts are equal tables.
[[nodiscard]] Result<std::string> comparable(std::string_view listing);

/// The counters that ruleset_of() names; others are passed over.
[[nodiscard]] Result<Counters> counters_in(std::string_view listing);

/// Whether our table is among those of `nft -j list tables`.
[[nodiscard]] Result<bool> lists_our_table(std::string_view listing);

}  // namespace dnsdirector::realserver
