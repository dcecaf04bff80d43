// SPDX-License-Identifier: Apache-2.0
//
// Weights as numbers of slots.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dnsdirector::core {

struct TurnCounts {
    std::vector<std::uint32_t> turns;  ///< slots of each, in the order of the weights
    std::uint32_t total = 0;
    bool exact = true;
};

/// The greatest common divisor of those above 0; 1 when there is none.
[[nodiscard]] std::uint32_t common_divisor(std::span<const std::uint32_t> weights);

/// Weights divided by their greatest common divisor, or, where their sum exceeds
/// `most`, slots by largest remainder (ties: who stands first) that sum up to
/// `most`. Every weight above 0 gets at least one, which takes more than
/// `most` only when there are more servers than that.
[[nodiscard]] TurnCounts turn_counts(std::span<const std::uint32_t> weights, std::uint32_t most);

}  // namespace dnsdirector::core
