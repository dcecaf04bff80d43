// SPDX-License-Identifier: Apache-2.0
#include "bench/ecmp.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>

#include "bench/ecmp_flows.h"
#include "core/table.h"
#include "unit/core/support.h"

namespace dnsdirector::ecmp {
namespace {

constexpr Hashing modulo{Hashing::Kind::modulo};
constexpr Hashing threshold{Hashing::Kind::threshold};
constexpr Hashing resilient{Hashing::Kind::resilient, 120};
constexpr Hashing all_hashings[] = {modulo, threshold, resilient};

std::vector<Member> members(std::uint32_t count) {
    std::vector<Member> list(count);
    for (std::uint32_t i = 0; i < count; ++i)
        list[i] = i;
    return list;
}

/// Share of hashes that two groups give to different members; hashes spread evenly.
double moved_share(const Group& before, const Group& after) {
    constexpr std::uint32_t step = 65521;
    std::size_t moved = 0;
    std::size_t all = 0;
    for (std::uint64_t hash = 0; hash < std::uint64_t{1} << 32; hash += step, ++all)
        moved += before.choose(static_cast<std::uint32_t>(hash)) !=
                         after.choose(static_cast<std::uint32_t>(hash))
                     ? 1
                     : 0;
    return static_cast<double>(moved) / static_cast<double>(all);
}

double moved_when_one_leaves(Hashing hashing, std::uint32_t count, Member who) {
    const Group before(hashing, members(count));
    Group after = before;
    after.remove(who);
    return moved_share(before, after);
}

std::map<Member, std::uint32_t> buckets_of(const Group& group, std::uint32_t buckets) {
    std::map<Member, std::uint32_t> counts;
    for (std::uint32_t bucket = 0; bucket < buckets; ++bucket)
        ++counts[group.choose(bucket)];
    return counts;
}

TEST(EcmpGroup, ThresholdMovesWhatRfc2992Says) {
    // Section 3: a half where the first or last one leaves, and 1/4 + 1/(4N) in the middle.
    EXPECT_NEAR(moved_when_one_leaves(threshold, 5, 0), 0.5, 0.001);
    EXPECT_NEAR(moved_when_one_leaves(threshold, 5, 4), 0.5, 0.001);
    EXPECT_NEAR(moved_when_one_leaves(threshold, 5, 2), 0.25 + 1 / 20.0, 0.001);
    EXPECT_NEAR(moved_when_one_leaves(threshold, 99, 49), 0.25 + 1 / 396.0, 0.001);
}

TEST(EcmpGroup, ModuloMovesNearlyAll) {
    // Who stays has the same remainder by 8 and by 7: 7 of 56.
    EXPECT_NEAR(moved_when_one_leaves(modulo, 8, 7), 1 - 1 / 8.0, 0.01);
}

TEST(EcmpGroup, ResilientMovesOnlyTheFlowsOfWhoLeaves) {
    for (const Member who : members(8)) {
        const Group before(resilient, members(8));
        Group after = before;
        after.remove(who);
        for (std::uint32_t hash = 0; hash < 1000; ++hash)
            if (before.choose(hash) != who) {
                EXPECT_EQ(before.choose(hash), after.choose(hash));
            }
    }
}

TEST(EcmpGroup, ResilientMovesToWhoJoinsOnly) {
    const Group before(resilient, members(5));  // 24 buckets each, then 20
    Group after = before;
    after.add(5);
    EXPECT_EQ(buckets_of(after, 120)[5], 20U);
    for (std::uint32_t bucket = 0; bucket < 120; ++bucket)
        if (after.choose(bucket) != 5) {
            EXPECT_EQ(before.choose(bucket), after.choose(bucket));
        }
}

/// "7x18 6x19 …": who has the buckets in order, and how many in a row.
std::string runs(const Group& group, std::uint32_t buckets) {
    std::string text;
    for (std::uint32_t bucket = 0, from = 0; bucket < buckets; ++bucket) {
        if (bucket + 1 < buckets && group.choose(bucket + 1) == group.choose(bucket)) continue;
        text +=
            std::to_string(group.choose(bucket)) + "x" + std::to_string(bucket + 1 - from) + " ";
        from = bucket + 1;
    }
    return text;
}

TEST(EcmpGroup, ResilientIsWhatTheKernelMakes) {
    // Of `ip nexthop bucket show` on Linux 6.18; group 1/…/7, buckets 128, both timers 1 s.
    const std::vector<Member> seven{1, 2, 3, 4, 5, 6, 7};
    Group group({Hashing::Kind::resilient, 128}, seven);
    EXPECT_EQ(runs(group, 128), "7x18 6x19 5x18 4x18 3x18 2x19 1x18 ");
    group.remove(4);
    EXPECT_EQ(runs(group, 128), "7x18 6x19 5x18 7x3 6x3 5x3 3x3 2x3 1x3 3x18 2x19 1x18 ");
    group.add(4);
    EXPECT_EQ(runs(group, 128), "4x3 7x15 4x3 6x16 4x3 5x15 7x3 6x3 5x3 4x9 3x18 2x19 1x18 ");
}

TEST(EcmpGroup, ResilientStaysEvenWhateverComesAndGoes) {
    core::expect_always("buckets are shared evenly", [] {
        Group group({Hashing::Kind::resilient, 128}, members(4));
        const auto steps = *rc::gen::container<std::vector<Member>>(rc::gen::inRange(0U, 40U));
        for (const Member who : steps) {
            const auto& now = group.members();
            if (std::find(now.begin(), now.end(), who) == now.end())
                group.add(who);
            else if (now.size() > 1)
                group.remove(who);
            const auto count = static_cast<std::uint32_t>(now.size());
            const auto counts = buckets_of(group, 128);
            RC_ASSERT(counts.size() == count);
            for (const auto& [member, buckets] : counts)
                RC_ASSERT(buckets >= 128 / count && buckets <= 128 / count + 1);
        }
    });
}

// ---- flows ------------------------------------------------------------------------

const std::vector<Flow>& flows() {
    static const std::vector<Flow> all = random_flows(20'000, 7);
    return all;
}

Past past(const std::string& name, std::uint32_t servers = 20) {
    for (Past& one : pasts(servers))
        if (one.name == name) return one;
    ADD_FAILURE() << "no such past: " << name;
    return {};
}

/// Percent of living flows that break.
double broken(const std::string& name, Hashing hashing, Event event,
              Choosing choosing = Choosing::maglev) {
    const Outcome result =
        outcome(flows(), ways(flows(), hashing, 8, event, 3), Directors(choosing, past(name)));
    return 100.0 * static_cast<double>(result.broken) / static_cast<double>(result.living);
}

double moved_percent(Hashing hashing, Event event) {
    return 100.0 * static_cast<double>(ways(flows(), hashing, 8, event, 3).moved.size()) /
           static_cast<double>(flows().size());
}

TEST(EcmpTable, IsTheDirectorsOwn) {
    std::vector<core::Destination> destinations;
    for (const unsigned server : {0U, 1U, 2U, 5U})
        destinations.push_back({core::server_v6(server), 1});
    const core::Table real = core::maglev_table(destinations);
    const Table table(Choosing::maglev, {0, 1, 2, 5});
    for (const Flow& flow : flows()) {
        const std::uint64_t slot = std::uint64_t{flow.director_hash} * real.slots.size() >> 32;
        const unsigned expected[] = {0, 1, 2, 5};
        ASSERT_EQ(table.of(flow.director_hash, 9), expected[real.slots[slot]]);
    }
}

TEST(EcmpFlows, NothingBreaksWhereDirectorsAgree) {
    for (const Hashing& hashing : all_hashings)
        for (const Event event : events) {
            EXPECT_GT(moved_percent(hashing, event), 5) << hashing.name() << " " << name(event);
            EXPECT_EQ(broken("nothing changed", hashing, event), 0);
            EXPECT_EQ(broken("nothing changed", hashing, event, Choosing::modulo), 0);
        }
    // The yardstick without agreement: all that move, but for one in 20 by luck.
    EXPECT_NEAR(broken("nothing changed", threshold, Event::leave, Choosing::own),
                moved_percent(threshold, Event::leave) * 0.95, 0.5);
}

TEST(EcmpFlows, AfterADrainThoseBreakThatTheirDirectorAloneRemembers) {
    // One server of 20 has 5% of the flows; Maglev moves a little more.
    const double moved = moved_percent(threshold, Event::leave);
    const double lost = broken("1 server drained", threshold, Event::leave);
    EXPECT_GT(lost, moved * 0.04);
    EXPECT_LT(lost, moved * 0.08);
    EXPECT_NEAR(broken("1 server drained", threshold, Event::leave, Choosing::modulo), moved * 0.95,
                0.5);
    // All of them where the table has another size.
    EXPECT_GT(broken("table size changed", threshold, Event::leave), moved * 0.9);
}

TEST(EcmpFlows, ForAMinuteOldFlowsGoByTheTableBeforeButNotAtADirectorThatJustStarted) {
    EXPECT_EQ(broken("drained < 60 s ago, flows older", threshold, Event::leave), 0);
    EXPECT_GT(broken("drained < 60 s ago, flows older", threshold, Event::join), 0.3);
    // Younger flows are taken for old ones; a fresh director knows the present table only.
    EXPECT_GT(broken("drained < 60 s ago, flows since", threshold, Event::leave), 1);
    EXPECT_EQ(broken("drained < 60 s ago, flows since", resilient, Event::join), 0);
}

TEST(EcmpFlows, OfADeadServerAreNotCounted) {
    const Directors directors(Choosing::maglev, past("5 servers died"));
    const Outcome result =
        outcome(flows(), ways(flows(), threshold, 8, Event::leave, 3), directors);
    EXPECT_NEAR(static_cast<double>(result.living), 0.75 * static_cast<double>(flows().size()),
                400);
    EXPECT_GT(result.broken, 0U);  // moved by Maglev without need
}

TEST(EcmpFlows, OfADeadServerGoByTheNewTableAtOnce) {
    Past died = past("1 server died");
    died.within_a_minute = true;
    const Directors directors(Choosing::maglev, died);
    for (const Flow& flow : flows()) {
        const Server server = directors.takes(flow, 2, false);
        ASSERT_FALSE(directors.is_dead(server));
        const Server home = directors.home(flow, 2);
        ASSERT_TRUE(directors.is_dead(home) || server == home);
    }
}

TEST(EcmpFlows, GoBackToADirectorThatRemembersThemAfterAFlap) {
    // By threshold each flow comes back to where it was, so it breaks on the way or never.
    EXPECT_EQ(broken("1 server drained", threshold, Event::flap),
              broken("1 server drained", threshold, Event::leave));
    // A resilient table gives who came back other buckets.
    EXPECT_GT(broken("1 server drained", resilient, Event::flap),
              broken("1 server drained", resilient, Event::leave));
}

TEST(EcmpFlows, ADrainMovesWhatADeathMovesAndCutsNobodyOff) {
    for (const Hashing& hashing : all_hashings) {
        const Ways drain = ways(flows(), hashing, 8, Event::drain, 3);
        const Ways leave = ways(flows(), hashing, 8, Event::leave, 3);
        ASSERT_EQ(drain.moments.size(), 3U);
        EXPECT_EQ(drain.moments[1], drain.moments[2]);  // the withdrawal moves nothing more
        EXPECT_EQ(drain.moved, leave.moved);
        EXPECT_EQ(drain.cut_off, 0U);
        EXPECT_NEAR(static_cast<double>(leave.cut_off), static_cast<double>(flows().size()) / 8,
                    300);
    }
}

TEST(EcmpFlows, BreakBetweenDirectorsThatSeeDifferentServers) {
    // Threshold moves to neighbours, whose view is the other one: the server's share breaks.
    const double lost = broken("1 server unseen by half", threshold, Event::leave);
    EXPECT_GT(lost, moved_percent(threshold, Event::leave) * 0.04);
}

TEST(EcmpFlows, AreTheSameForTheSameSeed) {
    EXPECT_EQ(random_flows(3, 7)[2].director_hash, flows()[2].director_hash);
    EXPECT_NE(random_flows(3, 8)[2].director_hash, flows()[2].director_hash);
}

}  // namespace
}  // namespace dnsdirector::ecmp
