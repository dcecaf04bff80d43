// SPDX-License-Identifier: Apache-2.0
#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

struct DecideSlowStart : testing::Test {
    DecideSlowStart() : cluster({3, 3}) {
        cluster.service.slow_start = Seconds{60};
        cluster.decide();
    }
    /// Server 1 fails and returns.
    void comes_back() {
        cluster.down(1);
        cluster.decide();
        cluster.now += Seconds{30};
        cluster.up(1);
    }
    Cluster cluster;
};

TEST_F(DecideSlowStart, AServerThatWasUpWhenFirstSeenHasItsFullWeight) {
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
    EXPECT_FALSE(cluster.decision.next_change);
}

TEST_F(DecideSlowStart, AServerThatIsTakenInForTheFirstTimeHasItsFullWeight) {
    cluster = Cluster({3, 3});
    cluster.service.slow_start = Seconds{60};
    cluster.unknown(1, Untested::out);
    cluster.decide();
    cluster.up(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
}

TEST_F(DecideSlowStart, ReturnsWithATwentiethAndGrowsStepByStep) {
    comes_back();
    EXPECT_EQ(cluster.forwarded(), "0=60 1=3");
    EXPECT_EQ(cluster.decision.servers[1].effective_weight, 1U);  // rounded up
    EXPECT_EQ(cluster.decision.servers[1].reason, "slow start, step 1 of 20");
    EXPECT_EQ(cluster.decision.servers[1].state, ServerState::up);
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 3U);
    const TimePoint returned = cluster.now;
    std::uint32_t last = 1;
    unsigned steps = 1;
    while (cluster.decision.next_change) {
        ASSERT_GT(*cluster.decision.next_change, cluster.now);
        cluster.now = *cluster.decision.next_change;
        const auto& list = cluster.decide().forwarding.destinations;
        ASSERT_EQ(list[0].weight == 60, list[1].weight != 3 * 20U && list[0].weight != 3);
        if (!cluster.decision.next_change) break;
        const std::uint32_t step = list[1].weight / 3;
        EXPECT_GE(step, last);
        steps += step - last;
        last = step;
    }
    EXPECT_EQ(steps, 19U);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
    EXPECT_LE(cluster.now - returned, Seconds{60});
    EXPECT_GE(cluster.now - returned, Seconds{57});
}

TEST_F(DecideSlowStart, TheQuorumCountsTheWholeWeight) {
    comes_back();
    EXPECT_EQ(cluster.decide().quorum.up, 6U);
}

TEST_F(DecideSlowStart, WaitsForTheEndOfADrain) {
    comes_back();
    cluster.drain(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=0");
    EXPECT_FALSE(cluster.decision.next_change);
    cluster.now += Seconds{600};
    cluster.undrain(1);
    EXPECT_EQ(cluster.forwarded(), "0=60 1=3");
}

TEST_F(DecideSlowStart, BeginsAnewAfterADrainThatCutItShort) {
    comes_back();
    cluster.decide();
    cluster.now += Seconds{30};
    cluster.drain(1);
    cluster.decide();
    cluster.undrain(1);
    EXPECT_EQ(cluster.forwarded(), "0=60 1=3");
}

TEST_F(DecideSlowStart, AWarmServerReturnsFromADrainWithItsFullWeight) {
    cluster.drain(1);
    cluster.decide();
    cluster.now += Seconds{5};
    cluster.undrain(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
}

TEST_F(DecideSlowStart, AServerThatMaxOutHeldIsWarm) {
    cluster.service.max_out_percent = 0;
    cluster.servfail(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
    cluster.now += Seconds{30};
    cluster.up(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
}

TEST_F(DecideSlowStart, ServersThatReturnFromAnOutageOfAllStartTogether) {
    cluster.down(0);
    cluster.down(1);
    cluster.decide();
    cluster.now += Seconds{30};
    cluster.up(0);
    EXPECT_EQ(cluster.forwarded(), "0=3");  // alone: its share is all
    cluster.up(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
}

TEST_F(DecideSlowStart, StepsOfManyServersFallTogether) {
    cluster = Cluster({1, 1, 1, 1});
    cluster.service.slow_start = Seconds{60};
    for (unsigned i = 1; i < 4; ++i)
        cluster.down(i);
    cluster.decide();
    for (unsigned i = 1; i < 4; ++i) {
        cluster.now += Milliseconds{150};
        cluster.up(i);
        cluster.decide();
    }
    unsigned decisions = 0;
    while (cluster.decision.next_change) {
        cluster.now = *cluster.decision.next_change;
        cluster.decide();
        ++decisions;
    }
    EXPECT_EQ(decisions, 20U);
}

TEST_F(DecideSlowStart, SwitchedOffByAReloadItEndsAtOnce) {
    comes_back();
    cluster.decide();
    cluster.service.slow_start = Nanoseconds{0};
    EXPECT_EQ(cluster.forwarded(), "0=3 1=3");
    EXPECT_FALSE(cluster.decision.next_change);
}

}  // namespace
}  // namespace dnsdirector::core
