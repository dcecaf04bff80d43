// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <map>
#include <random>

#include "core/table.h"
#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

using Destinations = std::vector<Destination>;

Destinations equal_servers(unsigned count, std::uint32_t weight = 1) {
    Destinations list;
    for (unsigned i = 0; i < count; ++i)
        list.push_back({server_v6(i), weight});
    return list;
}

/// The table as servers instead of positions, to compare lists in other orders.
std::vector<Endpoint> servers_of(const Destinations& list) {
    std::vector<Endpoint> servers;
    for (const std::uint32_t slot : maglev_table(list).slots)
        servers.push_back(list.at(slot).server);
    return servers;
}

std::map<Endpoint, double> shares_of(const std::vector<Endpoint>& slots) {
    std::map<Endpoint, double> shares;
    for (const Endpoint& slot : slots)
        shares[slot] += 1.0 / static_cast<double>(slots.size());
    return shares;
}

/// Share of slots that differ although neither table gives them to `about`.
double needless_moves(const std::vector<Endpoint>& before, const std::vector<Endpoint>& after,
                      const Endpoint& about) {
    EXPECT_EQ(before.size(), after.size());
    std::size_t moved = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i] != after[i] && before[i] != about && after[i] != about) ++moved;
    return static_cast<double>(moved) / static_cast<double>(before.size());
}

Destinations any_destinations() {
    auto list = *generate::destinations(12);
    for (Destination& destination : list)
        if (*generate::one_of<int>({0, 1, 2, 3}) == 0) destination.server.port = 853;
    return list;
}

bool any_work(const Destinations& list) {
    return std::any_of(list.begin(), list.end(),
                       [](const Destination& d) { return d.weight != 0; });
}

TEST(MaglevTable, IsEmptyWithoutWork) {
    EXPECT_TRUE(maglev_table({}).slots.empty());
    EXPECT_TRUE(maglev_table(equal_servers(3, 0)).slots.empty());
}

TEST(MaglevTable, OneServerHasAllSlots) {
    const Table table = maglev_table(equal_servers(1));
    EXPECT_EQ(table.slots, std::vector<std::uint32_t>(1021, 0));
}

// Directors of different versions share flows only while this holds: change it
// knowingly, and say so in the release notes.
TEST(MaglevTable, IsTheSameOnEveryDirectorAndInEveryVersion) {
    const Destinations list{{endpoint("203.0.113.11"), 2},
                            {endpoint("203.0.113.12"), 1},
                            {endpoint("[2001:db8:1::1]:853"), 1}};
    std::uint64_t digest = 0xcbf29ce484222325ULL;  // FNV-1a
    for (const std::uint32_t slot : maglev_table(list).slots)
        digest = (digest ^ slot) * 0x100000001b3ULL;
    EXPECT_EQ(digest, 15417620091729699042ULL);
}

TEST(MaglevTable, SizesArePrimesAndGrow) {
    std::uint32_t last = 0;
    for (const std::size_t servers : {1, 12, 13, 60, 61, 240, 241, 1100, 1101, 22000, 22001}) {
        const std::uint32_t size = maglev_size(servers);
        EXPECT_GE(size, last);
        EXPECT_LE(size, max_slots_per_table);
        last = size;
        for (std::uint32_t divisor = 2; divisor * divisor <= size; ++divisor)
            ASSERT_NE(size % divisor, 0U) << size;
    }
    EXPECT_EQ(maglev_size(0), 0U);
}

TEST(MaglevTable, ALargeClusterIsSharedEvenly) {
    const auto shares = shares_of(servers_of(equal_servers(10'000)));
    ASSERT_EQ(shares.size(), 10'000U);
    for (const auto& [who, share] : shares)
        ASSERT_NEAR(share * 10'000, 1.0, 0.04);
}

TEST(MaglevTable, ACanaryOfTinyWeightHasASlot) {
    Destinations list = equal_servers(40, 65535);
    list[7].weight = 1;
    EXPECT_TRUE(shares_of(servers_of(list)).contains(list[7].server));
}

TEST(MaglevTable, FewSlotsMoveNeedlesslyWhenOneLeavesOrEnters) {
    for (const unsigned count : {2U, 4U, 11U, 44U, 59U, 200U, 1000U}) {
        const Destinations all = equal_servers(count);
        Destinations others = all;
        others.erase(others.begin() + count / 2);
        const auto with = servers_of(all);
        const auto without = servers_of(others);
        if (with.size() != without.size()) continue;
        EXPECT_LT(needless_moves(with, without, all[count / 2].server), 0.04) << count;
    }
}

// Single unlucky pairs of servers (nearly the same walk) move more; see the property below.
TEST(MaglevTable, OnAverageUnderThreePercentMoveNeedlesslyInSmallClustersOfAnyWeights) {
    std::mt19937 random(1);
    const auto draw = [&](std::uint32_t below) {
        return static_cast<std::uint32_t>(random()) % below;
    };
    constexpr int rounds = 500;
    double moves = 0;
    for (int round = 0; round < rounds; ++round) {
        Destinations list;
        const unsigned first = draw(1000);
        const unsigned count = 2 + draw(11);
        for (unsigned i = 0; i < count; ++i)
            list.push_back({server_v6(first + i), 1 + draw(4)});
        Destinations others = list;
        const unsigned leaving = draw(count);
        others[leaving].weight = 0;
        moves += needless_moves(servers_of(list), servers_of(others), list[leaving].server);
    }
    EXPECT_LT(moves / rounds, 0.03);
}

TEST(MaglevTable, FewSlotsMoveNeedlesslyAtAStepOfSlowStart) {
    Destinations list = equal_servers(44, 20);
    for (std::uint32_t step = 1; step < 20; ++step) {
        list[9].weight = step;
        const auto before = servers_of(list);
        list[9].weight = step + 1;
        EXPECT_LT(needless_moves(before, servers_of(list), list[9].server), 0.01) << step;
    }
}

TEST(MaglevTableProperty, DoesNotDependOnTheOrderOfServers) {
    expect_always("shuffled destinations give the same table", [] {
        const Destinations list = any_destinations();
        Destinations shuffled = list;
        std::shuffle(shuffled.begin(), shuffled.end(),
                     std::mt19937(*rc::gen::arbitrary<std::uint32_t>()));
        RC_ASSERT(servers_of(list) == servers_of(shuffled));
    });
}

TEST(MaglevTableProperty, DependsOnTheRatioOfWeightsOnly) {
    expect_always("all weights times a number give the same table", [] {
        const Destinations list = any_destinations();
        Destinations scaled = list;
        const auto factor = *generate::one_of<std::uint32_t>({2, 3, 20, 1000});
        for (Destination& destination : scaled)
            destination.weight *= factor;
        RC_ASSERT(servers_of(list) == servers_of(scaled));
    });
}

TEST(MaglevTableProperty, ServersWithoutWorkMakeNoDifference) {
    expect_always("weight 0 is as not listed", [] {
        const Destinations list = any_destinations();
        Destinations working;
        for (const Destination& destination : list)
            if (destination.weight != 0) working.push_back(destination);
        RC_ASSERT(servers_of(list) == servers_of(working));
    });
}

TEST(MaglevTableProperty, SharesAreWithinOneSlotOfTheWeights) {
    expect_always("few servers, weights of the same order", [] {
        const Destinations list = any_destinations();
        RC_PRE(any_work(list));
        double total = 0;
        for (const Destination& destination : list)
            total += destination.weight;
        const auto slots = servers_of(list);
        auto shares = shares_of(slots);
        for (const Destination& destination : list) {
            const double wanted = destination.weight / total;
            const double off = std::abs(shares[destination.server] - wanted);
            RC_ASSERT(off * static_cast<double>(slots.size()) < 1.5);
        }
    });
}

TEST(MaglevTableProperty, MovesFewSlotsNeedlesslyWhenOneLeaves) {
    expect_always("a server leaves: at worst 15% of the others' slots move", [] {
        const Destinations list = any_destinations();
        const auto leaving = *rc::gen::resize(
            100, rc::gen::inRange(std::size_t{0}, std::max<std::size_t>(list.size(), 1)));
        Destinations others = list;
        if (!others.empty()) others.erase(others.begin() + static_cast<std::ptrdiff_t>(leaving));
        RC_PRE(any_work(others));
        RC_ASSERT(needless_moves(servers_of(list), servers_of(others), list[leaving].server) <
                  0.15);
    });
}

}  // namespace
}  // namespace dnsdirector::core
