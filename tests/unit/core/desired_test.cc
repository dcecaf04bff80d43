// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

// ---- health, drains, weights ----------------------------------------------------

TEST(Decide, ForwardsToWhoIsUpWithConfiguredWeights) {
    Cluster cluster({2, 1, 1});
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "0=2 2=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::up);
    EXPECT_EQ(cluster.decision.servers[0].reason, "");
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 2U);
    EXPECT_EQ(cluster.decision.servers[1].state, ServerState::down);
    EXPECT_EQ(cluster.decision.servers[1].reason, "timeout");
    EXPECT_EQ(cluster.decision.servers[1].effective_weight, 0U);
    EXPECT_EQ(cluster.decision.servers[1].configured_weight, 1U);
}

TEST(Decide, ListsDestinationsSortedWhateverTheOrderOfTheFile) {
    Cluster cluster({1, 2, 3});
    std::swap(cluster.service.real_servers[0], cluster.service.real_servers[2]);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=2 2=3");
    EXPECT_EQ(cluster.decision.servers[0].configured_weight, 3U);  // in the order of the file
}

TEST(Decide, AServerWithoutChecksIsAlwaysUp) {
    Cluster cluster({1});
    cluster.service.real_servers[0].checks.clear();
    EXPECT_EQ(cluster.forwarded(), "0=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::up);
}

TEST(Decide, AllChecksOfAServerMustPass) {
    Cluster cluster({1, 1});
    cluster.service.real_servers[0].checks = {0, 1};
    cluster.service.real_servers[1].checks = {};
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "1=1");
    cluster.servfail(0);
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].reason, "SERVFAIL; timeout");
}

TEST(Decide, ADrainedServerKeepsItsFlowsAndGetsNoWork) {
    Cluster cluster({1, 1});
    cluster.drain(0);
    EXPECT_EQ(cluster.forwarded(), "0=0 1=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::drained);
    EXPECT_EQ(cluster.decision.servers[0].health, Health::up);
    EXPECT_EQ(cluster.decision.servers[0].reason, "drained by the operator");
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "1=1");
    EXPECT_EQ(cluster.decision.servers[0].reason, "drained by the operator; timeout");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::drained);
}

TEST(Decide, ADrainIsOfOneClusterAndProtocol) {
    Cluster cluster({1, 1});
    cluster.overrides.drained.insert({"others", server(0), Protocol::udp});
    cluster.overrides.drained.insert({"resolvers", server(1), Protocol::tcp});
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
}

TEST(Decide, DrainingTheDirectorChangesNoForwarding) {
    Cluster cluster({1, 1});
    cluster.overrides.all_drained = true;
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
}

TEST(Decide, WeightZeroIsListedWhileWellAndGetsNoWork) {
    Cluster cluster({0, 1});
    EXPECT_EQ(cluster.forwarded(), "0=0 1=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::up);
    EXPECT_EQ(cluster.decision.servers[0].reason, "weight 0: no new work");
    EXPECT_EQ(cluster.decision.quorum.servers_up, 1U);
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "1=1");
}

TEST(Decide, AnUnreachableServerIsOutAndSaysWhy) {
    Cluster cluster({1, 1});
    cluster.unreachable[server(0)] = "203.0.113.0 does not answer ARP on eth0";
    EXPECT_EQ(cluster.forwarded(), "1=1");
    const ServerDecision& out = cluster.decision.servers[0];
    EXPECT_FALSE(out.reachable);
    EXPECT_EQ(out.state, ServerState::down);
    EXPECT_EQ(out.health, Health::up);
    EXPECT_EQ(out.reason, "203.0.113.0 does not answer ARP on eth0");
    EXPECT_EQ(out.transitions, 0U);
    EXPECT_EQ(cluster.decision.quorum.up, 1U);
}

// ---- start ------------------------------------------------------------------------

TEST(Decide, AnUntestedServerOfTheNativeFormIsOut) {
    Cluster cluster({1, 1});
    cluster.unknown(0, Untested::out);
    EXPECT_EQ(cluster.forwarded(), "1=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::unknown);
    EXPECT_EQ(cluster.decision.servers[0].reason, "not tested yet");
}

TEST(Decide, AnUntestedServerOfTheCompatibleFormIsIn) {
    Cluster cluster({1, 1});
    cluster.unknown(0, Untested::in);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::unknown);
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 1U);
    EXPECT_EQ(cluster.decision.quorum.up, 2U);
}

TEST(Decide, TheFirstVerdictIsNoTransition) {
    Cluster cluster({1, 1});
    cluster.unknown(0, Untested::out);
    cluster.decide();
    cluster.up(0);
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].transitions, 0U);
    cluster.now += Seconds{5};
    cluster.down(0);
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].transitions, 1U);
    EXPECT_EQ(cluster.decision.servers[0].since, cluster.now);
    const TimePoint went_down = cluster.now;
    cluster.now += Seconds{5};
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].since, went_down);
}

TEST(Decide, ServersThatAReloadAddsAndRemovesComeAndGo) {
    Cluster cluster({1, 1, 1});
    cluster.down(1);
    cluster.decide();
    cluster.service.real_servers.erase(cluster.service.real_servers.begin());
    EXPECT_EQ(cluster.forwarded(), "2=1");
    EXPECT_EQ(cluster.decision.memory.servers.size(), 2U);
    EXPECT_EQ(cluster.decision.servers[0].health, Health::down);
    cluster.service.real_servers.push_back({"new", server(9), 4, {}});
    EXPECT_EQ(cluster.forwarded(), "2=1 9=4");
}

// ---- max_out ------------------------------------------------------------------------

TEST(MaxOut, HoldsWhoeverFailsByAnswerBeyondTheLimit) {
    Cluster cluster({1, 1, 1, 1});
    cluster.service.max_out_percent = 50;
    for (const unsigned number : {3U, 2U, 0U}) {
        cluster.now += Seconds{1};
        cluster.servfail(number);
    }
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");  // 3 and 2 went first
    EXPECT_TRUE(cluster.decision.servers[0].held);
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::down);
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 1U);
    EXPECT_EQ(cluster.decision.servers[0].reason, "SERVFAIL; held by max_out 50%");
    EXPECT_FALSE(cluster.decision.servers[3].held);
    EXPECT_EQ(cluster.decision.quorum.up, 1U);  // held is not up
}

TEST(MaxOut, GoesByPositionAmongThoseThatFailedTogether) {
    Cluster cluster({1, 1, 1, 1});
    cluster.service.max_out_percent = 50;
    for (const unsigned number : {3U, 1U, 2U, 0U})
        cluster.servfail(number);
    EXPECT_EQ(cluster.forwarded(), "2=1 3=1");
}

TEST(MaxOut, DoesNotLimitSilenceAndRefusal) {
    Cluster cluster({1, 1, 1, 1});
    cluster.service.max_out_percent = 25;
    cluster.down(0, Failure::silence);
    cluster.down(1, Failure::refused, "port unreachable");
    cluster.down(2, Failure::local, "no route");
    cluster.servfail(3);
    cluster.service.on_all_down = OnAllDown::empty;
    EXPECT_EQ(cluster.forwarded(), "");
}

TEST(MaxOut, AServerWithOneSilentCheckIsNotHeld) {
    Cluster cluster({1, 1});
    cluster.service.max_out_percent = 0;
    cluster.service.real_servers[0].checks = {0, 1};
    cluster.service.real_servers[1].checks = {};
    cluster.servfail(0);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "1=1");
    cluster.service.real_servers[0].checks = {1, 0};
    EXPECT_EQ(cluster.forwarded(), "1=1");
}

TEST(MaxOut, IsAShareOfTheWeightThatIsNotDrained) {
    Cluster cluster({1, 1, 1, 1});
    cluster.service.max_out_percent = 50;
    cluster.drain(0);
    cluster.drain(1);
    cluster.servfail(2);
    cluster.servfail(3);
    EXPECT_EQ(cluster.forwarded(), "0=0 1=0 3=1");
}

TEST(MaxOut, ALighterServerGoesOutWhereAHeavierMustStay) {
    Cluster cluster({6, 1, 5});
    cluster.service.max_out_percent = 40;
    cluster.servfail(0);
    cluster.now += Seconds{1};
    cluster.servfail(1);
    EXPECT_EQ(cluster.forwarded(), "0=6 2=5");
}

// ---- all down -----------------------------------------------------------------------

TEST(OnAllDown, HoldKeepsTheLastSet) {
    Cluster cluster({1, 2, 1});
    cluster.down(2);
    cluster.decide();
    cluster.down(0);
    cluster.decide();
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "1=2");
    EXPECT_TRUE(cluster.decision.servers[1].held);
    EXPECT_EQ(cluster.decision.servers[1].reason, "timeout; held: no server is up");
    EXPECT_FALSE(cluster.decision.servers[0].held);
    EXPECT_FALSE(cluster.decision.quorum.met);
    EXPECT_EQ(cluster.decision.quorum.up, 0U);
}

TEST(OnAllDown, EmptyLeavesNobody) {
    Cluster cluster({1, 1});
    cluster.service.on_all_down = OnAllDown::empty;
    cluster.decide();
    cluster.down(0);
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "");
    EXPECT_FALSE(cluster.decision.servers[0].held);
}

TEST(OnAllDown, NobodyIsHeldWhoIsDrainedRemovedUnreachableOrOfWeightZero) {
    Cluster cluster({1, 1, 1, 1, 1});
    cluster.decide();
    for (unsigned i = 0; i < 5; ++i)
        cluster.down(i);
    cluster.drain(0);
    cluster.unreachable[server(1)] = "no route to 203.0.113.1";
    cluster.service.real_servers[2].weight = 0;
    cluster.service.real_servers.pop_back();
    EXPECT_EQ(cluster.forwarded(), "3=1");
    cluster.undrain(0);
    EXPECT_EQ(cluster.forwarded(), "0=1 3=1");
}

TEST(OnAllDown, HoldEndsWithTheFirstServerThatIsUp) {
    Cluster cluster({1, 1, 1});
    cluster.decide();
    for (unsigned i = 0; i < 3; ++i)
        cluster.down(i);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1 2=1");
    cluster.up(1);
    EXPECT_EQ(cluster.forwarded(), "1=1");
}

TEST(OnAllDown, AServiceThatNeverHadAnybodyIsEmpty) {
    Cluster cluster({1, 1});
    cluster.down(0);
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "");
}

// ---- quorum -------------------------------------------------------------------------

TEST(Quorum, SumsConfiguredWeightsOfWhoIsUpAndNotDrained) {
    Cluster cluster({3, 2, 4});
    cluster.service.quorum.required = 5;
    cluster.drain(2);
    cluster.decide();
    EXPECT_EQ(cluster.decision.quorum.up, 5U);
    EXPECT_EQ(cluster.decision.quorum.servers_up, 2U);
    EXPECT_EQ(cluster.decision.quorum.required, 5U);
    EXPECT_TRUE(cluster.decision.quorum.met);
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "0=3 2=0");  // forwarding goes on
    EXPECT_FALSE(cluster.decision.quorum.met);
}

TEST(Quorum, HysteresisWidensBothWays) {
    Cluster cluster({1, 1, 1, 1, 1});
    cluster.service.quorum = {3, 1};
    const auto met_with = [&](unsigned up) {
        for (unsigned i = 0; i < 5; ++i)
            i < up ? cluster.up(i) : cluster.down(i);
        return cluster.decide().quorum.met;
    };
    EXPECT_FALSE(met_with(3));
    EXPECT_TRUE(met_with(4));
    EXPECT_TRUE(met_with(3));
    EXPECT_TRUE(met_with(2));
    EXPECT_FALSE(met_with(1));
    EXPECT_FALSE(met_with(3));
}

TEST(Quorum, IsNeverMetWithNobodyUp) {
    Cluster cluster({1});
    cluster.service.quorum = {1, 5};
    cluster.up(0);
    cluster.decision.memory.quorum_met = true;
    EXPECT_TRUE(cluster.decide().quorum.met);
    cluster.down(0);
    EXPECT_FALSE(cluster.decide().quorum.met);
}

}  // namespace
}  // namespace dnsdirector::core
