// SPDX-License-Identifier: Apache-2.0
#include "core/table_weights.h"

#include <algorithm>
#include <numeric>

namespace dnsdirector::core {
namespace {

/// Gives one slot to each whose share would be less, until all the others'
/// shares of what is left are at least one. Returns the slots left.
std::uint64_t favour_the_light(std::span<const std::uint32_t> weights, std::uint64_t slots,
                               std::uint64_t& sum, std::vector<std::uint32_t>& turns) {
    for (bool changed = true; changed;) {
        changed = false;
        const std::uint64_t slots_now = slots;
        const std::uint64_t sum_now = sum;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            if (weights[i] == 0 || turns[i] != 0 || weights[i] * slots_now >= sum_now) continue;
            turns[i] = 1;
            slots -= slots != 0 ? 1 : 0;
            sum -= weights[i];
            changed = true;
        }
    }
    return slots;
}

TurnCounts by_largest_remainder(std::span<const std::uint32_t> weights, std::uint64_t sum,
                                std::uint32_t most) {
    TurnCounts counts{std::vector<std::uint32_t>(weights.size()), 0, false};
    const std::uint64_t slots = favour_the_light(weights, most, sum, counts.turns);
    std::vector<std::pair<std::uint64_t, std::size_t>> remainders;
    std::uint64_t left = slots;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] == 0 || counts.turns[i] != 0) continue;
        counts.turns[i] = static_cast<std::uint32_t>(weights[i] * slots / sum);
        left -= counts.turns[i];
        remainders.emplace_back(weights[i] * slots % sum, i);
    }
    std::stable_sort(remainders.begin(), remainders.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (std::size_t i = 0; i < remainders.size() && i < left; ++i)
        ++counts.turns[remainders[i].second];
    counts.total = std::accumulate(counts.turns.begin(), counts.turns.end(), 0U);
    return counts;
}

}  // namespace

std::uint32_t common_divisor(std::span<const std::uint32_t> weights) {
    std::uint32_t divisor = 0;
    for (const std::uint32_t weight : weights) {
        if (weight != 0) divisor = std::gcd(divisor, weight);
        if (divisor == 1) break;
    }
    return std::max(divisor, 1U);
}

TurnCounts turn_counts(std::span<const std::uint32_t> weights, std::uint32_t most) {
    const std::uint32_t divisor = common_divisor(weights);
    std::uint64_t sum = 0;
    for (const std::uint32_t weight : weights)
        sum += weight;
    if (sum / divisor > most) return by_largest_remainder(weights, sum, most);
    TurnCounts counts{std::vector<std::uint32_t>(weights.begin(), weights.end()),
                      static_cast<std::uint32_t>(sum / divisor), true};
    if (divisor != 1)
        for (std::uint32_t& turns : counts.turns)
            turns /= divisor;
    return counts;
}

}  // namespace dnsdirector::core
