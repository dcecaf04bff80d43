// SPDX-License-Identifier: Apache-2.0
#include "core/table.h"

#include <numeric>

#include "core/desired.h"
#include "core/table_weights.h"
#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

using Weights = std::vector<std::uint32_t>;

std::vector<std::uint64_t> count(const Table& table, std::size_t servers) {
    std::vector<std::uint64_t> counts(servers, 0);
    for (const std::uint32_t slot : table.slots)
        ++counts.at(slot);
    return counts;
}

std::uint64_t sum(const Weights& weights) {
    return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
}

/// Weights of all kinds: small ones, equal ones, large ones, none.
Weights any_weights(std::uint32_t most = 200) {
    const auto kind = *generate::one_of<int>({0, 1, 2});
    auto one = kind == 0   ? generate::one_of<std::uint32_t>({0, 1, 2, 3, 4})
               : kind == 1 ? generate::one_of<std::uint32_t>({0, 20, 60, 3})
                           : rc::gen::resize(100, rc::gen::inRange(0U, most));
    return *rc::gen::resize(30, rc::gen::container<Weights>(std::move(one)));
}

ServiceForwarding forwarding(const Weights& weights, Protocol protocol, Scheduler scheduler) {
    ServiceForwarding service{
        service_key("192.0.2.53", protocol), scheduler, ForwardingMethod::dr, {}};
    for (unsigned i = 0; i < weights.size(); ++i)
        service.destinations.push_back({server(i), weights[i]});
    return service;
}

TEST(InterleavedTable, SpreadsTheHeavyBetweenTheLight) {
    EXPECT_EQ(interleaved_table(Weights{3, 1}).slots, (Weights{0, 0, 0, 1}));
    EXPECT_EQ(interleaved_table(Weights{4, 1, 1, 1, 1}).slots, (Weights{0, 1, 0, 2, 0, 3, 0, 4}));
}

TEST(InterleavedTable, EqualWeightsTakeTurns) {
    EXPECT_EQ(interleaved_table(Weights{5, 5, 5}).slots, (Weights{0, 1, 2}));
}

TEST(InterleavedTable, WeightZeroGetsNoSlot) {
    EXPECT_EQ(interleaved_table(Weights{0, 2, 0, 2}).slots, (Weights{1, 3}));
}

TEST(InterleavedTable, IsEmptyWithoutWeights) {
    EXPECT_TRUE(interleaved_table(Weights{}).slots.empty());
    EXPECT_TRUE(interleaved_table(Weights{0, 0}).slots.empty());
}

TEST(InterleavedTable, HoldsTheLargestWeightsExactly) {
    const Weights weights{65535, 65534, 1};
    const Table table = interleaved_table(weights);
    EXPECT_TRUE(table.exact);
    EXPECT_EQ(count(table, 3), (std::vector<std::uint64_t>{65535, 65534, 1}));
}

TEST(InterleavedTable, RoundsOnlyWhatDoesNotFit) {
    const Weights weights{65535U * 20, 65534U * 20 + 1, 1};
    const Table table = interleaved_table(weights);
    EXPECT_FALSE(table.exact);
    EXPECT_EQ(table.slots.size(), max_slots_per_table);
    const auto counts = count(table, 3);
    EXPECT_NEAR(static_cast<double>(counts[0]), max_slots_per_table / 2.0, 20);
    EXPECT_EQ(counts[2], 1U);
}

TEST(InterleavedTableProperty, HoldsTheWeightsExactly) {
    expect_always("slots of each are its weight by the common divisor", [] {
        const Weights weights = any_weights(5000);
        const Table table = interleaved_table(weights);
        const auto counts = count(table, weights.size());
        const std::uint32_t divisor = common_divisor(weights);
        RC_ASSERT(table.exact);
        RC_ASSERT(table.slots.size() * divisor == sum(weights));
        for (std::size_t i = 0; i < weights.size(); ++i)
            RC_ASSERT(counts[i] * divisor == weights[i]);
    });
}

TEST(InterleavedTableProperty, NoPrefixIsATurnAwayFromAnyShare) {
    expect_always("|count in the first p - p * share| < 1", [] {
        const Weights weights = any_weights();
        const Table table = interleaved_table(weights);
        const auto total = static_cast<std::int64_t>(sum(weights));
        std::vector<std::int64_t> counts(weights.size(), 0);
        for (std::size_t p = 1; p <= table.slots.size(); ++p) {
            ++counts.at(table.slots[p - 1]);
            for (std::size_t i = 0; i < weights.size(); ++i) {
                const std::int64_t off =
                    counts[i] * total - static_cast<std::int64_t>(p) * weights[i];
                RC_ASSERT(off < total && -off < total);
            }
        }
    });
}

TEST(InterleavedTableProperty, NoWindowOfTheRingIsTwoTurnsAwayFromAnyShare) {
    expect_always("|count in a window - its share| < 2, across the end too", [] {
        const Weights weights = any_weights(40);
        const Table table = interleaved_table(weights);
        RC_PRE(!table.slots.empty());
        const std::size_t size = table.slots.size();
        const auto total = static_cast<std::int64_t>(sum(weights));
        const auto start = *rc::gen::resize(100, rc::gen::inRange(std::size_t{0}, size));
        std::vector<std::int64_t> counts(weights.size(), 0);
        for (std::size_t length = 1; length <= size; ++length) {
            ++counts.at(table.slots[(start + length - 1) % size]);
            for (std::size_t i = 0; i < weights.size(); ++i) {
                const std::int64_t off =
                    counts[i] * total - static_cast<std::int64_t>(length) * weights[i];
                RC_ASSERT(off < 2 * total && -off < 2 * total);
            }
        }
    });
}

TEST(TurnCountsProperty, FitTheTableAndForgetNobody) {
    expect_always("slots sum up to the table, none is without, heavier has no less", [] {
        const Weights weights = any_weights(5000);
        const auto most = static_cast<std::uint32_t>(weights.size()) +
                          *rc::gen::resize(100, rc::gen::inRange(0U, 300U));
        const TurnCounts counts = turn_counts(weights, most);
        RC_ASSERT(sum(counts.turns) == counts.total);
        if (counts.exact)
            RC_ASSERT(counts.total * std::uint64_t{common_divisor(weights)} == sum(weights));
        else
            RC_ASSERT(counts.total == most);
        for (std::size_t i = 0; i < weights.size(); ++i) {
            RC_ASSERT((counts.turns[i] == 0) == (weights[i] == 0));
            for (std::size_t j = 0; j < weights.size(); ++j)
                if (weights[i] > weights[j]) RC_ASSERT(counts.turns[i] >= counts.turns[j]);
        }
    });
}

TEST(TurnCountsProperty, AreWithinOneSlotOfTheShareWhereEverybodyHasOne) {
    expect_always("largest remainder", [] {
        Weights weights = any_weights(50);
        for (std::uint32_t& weight : weights)
            weight += 50;
        RC_PRE(!weights.empty());
        const std::uint32_t most = 4 * static_cast<std::uint32_t>(weights.size());
        const TurnCounts counts = turn_counts(weights, most);
        RC_PRE(!counts.exact);
        const auto total = static_cast<std::int64_t>(sum(weights));
        for (std::size_t i = 0; i < weights.size(); ++i) {
            const std::int64_t off = counts.turns[i] * total - std::int64_t{most} * weights[i];
            RC_ASSERT(off < total && -off < total);
        }
    });
}

TEST(TurnCounts, MoreServersThanSlotsStillGetOneEach) {
    EXPECT_EQ(turn_counts(Weights{7, 1, 3}, 2).turns, (Weights{1, 1, 1}));
}

TEST(BuildTable, UdpRoundRobinIsPerPacketAllElseByFlow) {
    for (const Scheduler scheduler : {Scheduler::wrr, Scheduler::rr})
        EXPECT_TRUE(per_packet(forwarding({1}, Protocol::udp, scheduler)));
    for (const Scheduler scheduler : {Scheduler::mh, Scheduler::sh})
        EXPECT_FALSE(per_packet(forwarding({1}, Protocol::udp, scheduler)));
    EXPECT_FALSE(per_packet(forwarding({1}, Protocol::tcp, Scheduler::wrr)));
}

TEST(BuildTable, RoundRobinKnowsWithAndWithoutOnly) {
    EXPECT_EQ(build_table(forwarding({3, 0, 7}, Protocol::udp, Scheduler::rr)).slots,
              (Weights{0, 2}));
    EXPECT_EQ(build_table(forwarding({3, 0, 7}, Protocol::tcp, Scheduler::rr)).slots,
              build_table(forwarding({1, 0, 1}, Protocol::tcp, Scheduler::wrr)).slots);
}

TEST(BuildTable, SourceHashAndMaglevAreOneTable) {
    EXPECT_EQ(build_table(forwarding({3, 0, 7}, Protocol::udp, Scheduler::sh)).slots,
              build_table(forwarding({3, 0, 7}, Protocol::tcp, Scheduler::mh)).slots);
}

TEST(SlotsNeededProperty, AreTheSlotsThatAreBuilt) {
    expect_always("slots_needed is the size of the table", [] {
        const Weights weights = any_weights(1000);
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
            for (const Scheduler scheduler : {Scheduler::wrr, Scheduler::rr, Scheduler::mh})
                RC_ASSERT(slots_needed(protocol, scheduler, weights) ==
                          build_table(forwarding(weights, protocol, scheduler)).slots.size());
    });
}

TEST(RoundingProperty, IsSaidExactlyWhereTheTableIsRounded) {
    expect_always("rounding_of agrees with the table that is built", [] {
        // Up to 40 servers of up to 65535: about half of the tables do not fit.
        Weights weights = *rc::gen::resize(
            40, rc::gen::container<Weights>(rc::gen::resize(100, rc::gen::inRange(0U, 65536U))));
        if (*rc::gen::arbitrary<bool>())  // heavier: beyond what fits
            for (std::uint32_t& weight : weights)
                weight = 65535 - weight % 64;
        Service service;
        service.key.protocol = *generate::one_of<Protocol>({Protocol::udp, Protocol::tcp});
        service.scheduler =
            *generate::one_of<Scheduler>({Scheduler::wrr, Scheduler::rr, Scheduler::mh});
        for (unsigned i = 0; i < weights.size(); ++i)
            service.real_servers.push_back({"", server(i), weights[i], {}});
        const auto rounding = rounding_of(service);
        const Table table =
            build_table(forwarding(weights, service.key.protocol, service.scheduler));
        RC_ASSERT(rounding.has_value() != table.exact);
        if (!rounding) return;
        RC_ASSERT(rounding->exact_slots > max_slots_per_table);
        const auto counts = count(table, weights.size());
        const auto rounded =
            static_cast<double>(counts[rounding->server]) / static_cast<double>(table.slots.size());
        RC_ASSERT(rounded == rounding->rounded);
        const auto factor = [&](std::size_t i, double as) {
            const double share =
                static_cast<double>(weights[i]) / static_cast<double>(sum(weights));
            return std::max(share / as, as / share);
        };
        for (std::size_t i = 0; i < weights.size(); ++i)
            if (weights[i] != 0)
                RC_ASSERT(factor(i, static_cast<double>(counts[i]) /
                                        static_cast<double>(table.slots.size())) <=
                          factor(rounding->server, rounding->rounded) * 1.000001);
    });
}

TEST(SlotsNeededProperty, OfAServiceCoverOutagesAndSlowStart) {
    expect_always("no state of the service needs more", [] {
        const Weights weights = any_weights();
        Service service;
        service.key.protocol = *generate::one_of<Protocol>({Protocol::udp, Protocol::tcp});
        service.scheduler =
            *generate::one_of<Scheduler>({Scheduler::wrr, Scheduler::rr, Scheduler::mh});
        if (*rc::gen::arbitrary<bool>()) service.slow_start = Seconds{60};
        for (unsigned i = 0; i < weights.size(); ++i)
            service.real_servers.push_back({"", server(i), weights[i], {}});
        Weights now = weights;
        const bool starting = service.slow_start > Nanoseconds{0} && *rc::gen::arbitrary<bool>();
        for (std::uint32_t& weight : now) {
            if (*generate::one_of<int>({0, 1, 2}) == 0) weight = 0;
            if (starting)
                weight *= *generate::one_of<std::uint32_t>({1, 7, 19, 20, slow_start_steps});
        }
        RC_ASSERT(
            build_table(forwarding(now, service.key.protocol, service.scheduler)).slots.size() <=
            slots_needed(service));
    });
}

}  // namespace
}  // namespace dnsdirector::core
