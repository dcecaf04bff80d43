// SPDX-License-Identifier: Apache-2.0
//
// Weighted Maglev. Every server walks through all slots in an order of its own
// (offset and skip from a hash of its address and port) and takes, at each of
// its turns, the first slot that is free. Whose turn it is: the j-th turn
// (from 0) of weight w comes at the virtual time (2j+1)/w, the first one of
// everybody before all others; at one time by address. So turns depend on the
// server's own weight alone, and who leaves does not reorder the rest. The
// number of turns is that of Sainte-Lague's method: unbiased, and next to
// everybody's quota.
#include <algorithm>
#include <array>
#include <numeric>

#include "core/table.h"
#include "core/table_weights.h"

namespace dnsdirector::core {
namespace {

struct Size {
    std::size_t servers;  ///< up to so many
    std::uint32_t slots;  ///< a prime
};
// Shares are a slot exact: with 80 slots a server, one percent. The steps are
// wide and lie beside round numbers, because all flows move at a step. Filling
// takes slots * ln(slots), which is what keeps tables of thousands smaller.
constexpr std::array<Size, 6> sizes{{{12, 1021},
                                     {60, 5003},
                                     {240, 20011},
                                     {1100, 80021},
                                     {22000, 320009},
                                     {~std::size_t{0}, 1048573}}};

// ---- the order of a server's slots ----------------------------------------------

/// The finalizer of splitmix64 (Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014).
std::uint64_t mix(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

std::uint64_t big_endian(const std::uint8_t* bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
        value = (value << 8) | bytes[i];
    return value;
}

/// Part of the format: two directors share flows only if they agree on it.
std::uint64_t hash(const Endpoint& server, std::uint64_t seed) {
    const std::uint8_t* bytes = server.address.bytes().data();
    const std::uint64_t tail =
        (std::uint64_t{server.port} << 8) | static_cast<std::uint64_t>(server.address.family());
    std::uint64_t state = mix(seed + big_endian(bytes));
    state = mix(state + 0x9e3779b97f4a7c15ULL + big_endian(bytes + 8));
    return mix(state + 0x9e3779b97f4a7c15ULL + tail);
}

constexpr std::uint64_t offset_seed = 0x646e736469726563ULL;  // "dnsdirec"
constexpr std::uint64_t skip_seed = 0x746f722d6d61676cULL;    // "tor-magl"

struct Walk {
    std::uint32_t at;    ///< the slot it looks at next
    std::uint32_t skip;  ///< 1 to size-1, so that it visits all slots
    std::uint32_t destination;
};

Walk walk_of(const Endpoint& server, std::uint32_t destination, std::uint32_t size) {
    return {static_cast<std::uint32_t>(hash(server, offset_seed) % size),
            static_cast<std::uint32_t>(1 + hash(server, skip_seed) % (size - 1)), destination};
}

// ---- whose turn -------------------------------------------------------------------

struct Turn {
    std::uint64_t time;  ///< (2j+1)/w in units of 2^-41: tells apart any two fractions
                         ///< whose weights' product is below 2^41
    std::uint32_t walk;

    friend auto operator<=>(const Turn&, const Turn&) = default;
};

/// The turns of the first rounds, in order: of one whole period (each server
/// `weight` times), or of enough to fill `size` slots where a period is longer.
std::vector<Turn> turns_in_order(std::span<const std::uint32_t> weights, std::uint32_t size) {
    std::uint64_t period = 0;
    for (const std::uint32_t weight : weights)
        period += weight;
    std::uint64_t end = std::uint64_t{2} << 41;
    if (period > size)
        end = static_cast<std::uint64_t>(static_cast<double>(end) *
                                         (static_cast<double>(size) + 2.0 * weights.size()) /
                                         static_cast<double>(period));
    std::vector<Turn> turns;
    turns.reserve(std::min<std::uint64_t>(period, size + 4 * weights.size()));
    for (std::uint32_t walk = 0; walk < weights.size(); ++walk)
        for (std::uint64_t j = 0; j < weights[walk]; ++j) {
            const std::uint64_t time = ((2 * j + 1) << 41) / weights[walk];
            if (time >= end && j != 0) break;
            turns.push_back({time, walk});
        }
    std::sort(turns.begin(), turns.end());
    return turns;
}

// ---- filling ------------------------------------------------------------------------

constexpr std::uint32_t is_free = ~std::uint32_t{0};

class Filling {
public:
    Filling(std::vector<Walk> walks, std::uint32_t size)
        : walks_(std::move(walks)), slots_(size, is_free), left_(size) {}

    void take(std::uint32_t index) {
        Walk& walk = walks_[index];
        const auto size = static_cast<std::uint32_t>(slots_.size());
        std::uint32_t at = walk.at;
        while (slots_[at] != is_free) {
            at += walk.skip;
            if (at >= size) at -= size;
        }
        slots_[at] = walk.destination;
        walk.at = at;
        --left_;
    }
    [[nodiscard]] bool full() const { return left_ == 0; }
    std::vector<std::uint32_t> slots() && { return std::move(slots_); }

private:
    std::vector<Walk> walks_;
    std::vector<std::uint32_t> slots_;
    std::uint32_t left_;
};

std::vector<std::uint32_t> fill(std::vector<Walk> walks, std::span<const std::uint32_t> weights,
                                std::uint32_t size) {
    const std::vector<Turn> turns = turns_in_order(weights, size);
    std::vector<bool> had_first(walks.size(), false);
    const auto servers = static_cast<std::uint32_t>(walks.size());
    Filling filling(std::move(walks), size);
    for (std::uint32_t walk = 0; walk < servers && !filling.full(); ++walk)
        filling.take(walk);
    for (const Turn& turn : turns) {  // the first period, without what was taken in advance
        if (filling.full()) break;
        if (had_first[turn.walk])
            filling.take(turn.walk);
        else
            had_first[turn.walk] = true;
    }
    while (!filling.full())
        for (const Turn& turn : turns) {
            if (filling.full()) break;
            filling.take(turn.walk);
        }
    return std::move(filling).slots();
}

}  // namespace

std::uint32_t maglev_size(std::size_t servers) {
    if (servers == 0) return 0;
    return std::find_if(sizes.begin(), sizes.end(),
                        [&](const Size& size) { return servers <= size.servers; })
        ->slots;
}

Table maglev_table(std::span<const Destination> destinations) {
    std::vector<std::uint32_t> working;
    for (std::uint32_t i = 0; i < destinations.size(); ++i)
        if (destinations[i].weight != 0) working.push_back(i);
    if (working.empty()) return {};
    const auto before = [&](std::uint32_t left, std::uint32_t right) {
        return destinations[left].server < destinations[right].server;
    };
    if (!std::is_sorted(working.begin(), working.end(), before))
        std::sort(working.begin(), working.end(), before);

    const std::uint32_t size = maglev_size(working.size());
    std::vector<Walk> walks;
    std::vector<std::uint32_t> weights;
    walks.reserve(working.size());
    weights.reserve(working.size());
    for (const std::uint32_t i : working) {
        walks.push_back(walk_of(destinations[i].server, i, size));
        weights.push_back(destinations[i].weight);
    }
    const std::uint32_t divisor = common_divisor(weights);
    for (std::uint32_t& weight : weights)
        weight /= divisor;
    return {fill(std::move(walks), weights, size), true};
}

}  // namespace dnsdirector::core
