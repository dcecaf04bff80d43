// SPDX-License-Identifier: Apache-2.0
//
// What checks say of weights, ranges of checks of which some must pass,
// inhibit_on_failure and the sorry server.
#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

const Endpoint sorry{*IpAddress::parse("203.0.113.200"), 53};

// ---- weights by checks ----------------------------------------------------------

struct WeightRow {
    const char* name;
    Weight configured;
    std::optional<Weight> script;
    std::int32_t file;
    Weight effective;
    const char* reason;
};

const WeightRow weight_rows[] = {
    {"no word", 5, {}, 0, 5, ""},
    {"misc_dynamic replaces", 5, 3, 0, 3, "weight 3 by misc_dynamic"},
    {"misc_dynamic may raise", 1, 253, 0, 253, "weight 253 by misc_dynamic"},
    {"misc_dynamic agrees", 5, 5, 0, 5, ""},
    {"misc_dynamic drains", 5, 0, 0, 0, "weight 0 by misc_dynamic: no new work"},
    {"FILE_CHECK adds", 5, {}, 7, 12, "weight 12 by FILE_CHECK"},
    {"FILE_CHECK takes", 5, {}, -3, 2, "weight 2 by FILE_CHECK"},
    {"never below 0", 5, {}, -200, 0, "weight 0 by FILE_CHECK: no new work"},
    {"never above 65535", 65535, {}, 254, 65535, ""},
    {"both", 5, 10, 2, 12, "weight 12 by misc_dynamic and FILE_CHECK"},
    {"gives work to weight 0", 0, 4, 0, 4, "weight 4 by misc_dynamic"},
    {"weight 0 stays", 0, {}, 0, 0, "weight 0: no new work"},
};

TEST(WeightByChecks, IsTheConfiguredOneUntilAChecksSaysOtherwise) {
    for (const WeightRow& row : weight_rows) {
        SCOPED_TRACE(row.name);
        Cluster cluster({row.configured, 1});
        cluster.checks.push_back(cluster.checks[0]);
        cluster.service.real_servers[0].checks = {0, 2};
        cluster.checks[0].weight = row.script;
        cluster.checks[2].weight_change = row.file;
        EXPECT_EQ(cluster.forwarded(), "0=" + std::to_string(row.effective) + " 1=1");
        const ServerDecision& server = cluster.decision.servers[0];
        EXPECT_EQ(server.configured_weight, row.configured);
        EXPECT_EQ(server.effective_weight, row.effective);
        EXPECT_EQ(server.state, ServerState::up);
        EXPECT_EQ(server.reason, row.reason);
        EXPECT_EQ(cluster.decision.quorum.up, 1U + row.effective);
        EXPECT_EQ(cluster.decision.quorum.servers_up, row.effective == 0 ? 1U : 2U);
    }
}

TEST(WeightByChecks, AChecksThatIsDownHasNoSay) {
    Cluster cluster({5});
    cluster.checks.push_back(cluster.checks[0]);
    cluster.service.real_servers[0].checks = {0, 1};
    cluster.service.real_servers[0].some_of = {{0, 2, 1}};
    cluster.checks[0].weight = 2;
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "0=5");
}

TEST(WeightByChecks, SlowStartLeadsToTheWeightByChecks) {
    Cluster cluster({5, 1});
    cluster.service.slow_start = Seconds{20};
    cluster.decide();
    cluster.down(0);
    cluster.decide();
    cluster.up(0);
    cluster.checks[0].weight = 40;
    EXPECT_EQ(cluster.forwarded(), "0=40 1=20");
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 2U);
    cluster.now += Seconds{25};
    EXPECT_EQ(cluster.forwarded(), "0=40 1=1");
}

TEST(WeightByChecks, MaxOutCountsThem) {
    Cluster cluster({1, 1});
    cluster.service.max_out_percent = 50;
    cluster.checks[0].weight = 9;
    cluster.servfail(1);
    EXPECT_EQ(cluster.forwarded(), "0=9");
    cluster.servfail(0);  // down checks have no say: 1 of 2 may go
    cluster.checks[0].since += Seconds{1};
    EXPECT_EQ(cluster.forwarded(), "0=1");
}

TEST(OtherHash, IsForSchedulersThatHaveTheChoice) {
    Cluster cluster({1});
    cluster.service.other_hash = true;
    for (const Scheduler scheduler :
         {Scheduler::sh, Scheduler::mh, Scheduler::wrr, Scheduler::rr}) {
        cluster.service.scheduler = scheduler;
        EXPECT_EQ(cluster.decide().forwarding.other_hash,
                  scheduler == Scheduler::sh || scheduler == Scheduler::mh);
    }
}

// ---- some of a range of checks --------------------------------------------------------

struct SomeRow {
    std::uint32_t required;
    const char* checks;  ///< u up, d down, ? unknown and out, i unknown and in
    Health health;
    bool works;
};

const SomeRow some_rows[] = {
    {1, "udd", Health::up, true},       {1, "ddd", Health::down, false},
    {1, "d?d", Health::unknown, false}, {1, "did", Health::unknown, true},
    {2, "uud", Health::up, true},       {2, "udd", Health::down, false},
    {2, "u?d", Health::unknown, false}, {2, "uid", Health::unknown, true},
    {2, "u?i", Health::unknown, true},  {2, "???", Health::unknown, false},
    {3, "uuu", Health::up, true},       {3, "uud", Health::down, false},
};

TEST(SomeOf, SoManyMustPass) {
    for (const SomeRow& row : some_rows) {
        SCOPED_TRACE(std::to_string(row.required) + " of " + row.checks);
        Cluster cluster({1, 1, 1});
        for (std::size_t i = 0; i < 3; ++i) {
            const char what = row.checks[i];
            if (what == 'd') cluster.servfail(i);
            if (what == '?' || what == 'i')
                cluster.unknown(i, what == 'i' ? Untested::in : Untested::out);
        }
        cluster.service.real_servers.resize(1);
        cluster.service.real_servers[0].checks = {0, 1, 2};
        cluster.service.real_servers[0].some_of = {{0, 3, row.required}};
        EXPECT_EQ(cluster.forwarded(), row.works ? "0=1" : "");
        EXPECT_EQ(cluster.decision.servers[0].health, row.health);
    }
}

TEST(SomeOf, ChecksOutsideTheRangeMustAllPass) {
    Cluster cluster({1, 1, 1, 1});
    cluster.service.real_servers.resize(1);
    cluster.service.real_servers[0].checks = {0, 1, 2, 3};
    cluster.service.real_servers[0].some_of = {{1, 2, 1}};
    cluster.service.on_all_down = OnAllDown::empty;
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "0=1");
    EXPECT_EQ(cluster.decision.servers[0].reason, "");
    cluster.down(3, Failure::refused, "refused");
    EXPECT_EQ(cluster.forwarded(), "");
    EXPECT_EQ(cluster.decision.servers[0].reason, "timeout; refused");
}

TEST(SomeOf, GoesDownWhenTheLastOneThatItNeededDid) {
    Cluster cluster({1, 1, 1});
    cluster.service.real_servers.resize(1);
    cluster.service.real_servers[0].checks = {0, 1, 2};
    cluster.service.real_servers[0].some_of = {{0, 3, 2}};
    cluster.down(2);
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].transitions, 0U);
    cluster.now += Seconds{10};
    cluster.down(0);
    cluster.decide();
    EXPECT_EQ(cluster.decision.servers[0].since, cluster.now);
    EXPECT_EQ(cluster.decision.servers[0].transitions, 1U);
}

TEST(SomeOf, IsHeldByMaxOutOnlyWhenAllThatFailFailByAnswers) {
    Cluster cluster({1, 1});
    cluster.service.max_out_percent = 0;
    cluster.service.real_servers[0].checks = {0, 1};
    cluster.service.real_servers[0].some_of = {{0, 2, 1}};
    cluster.service.real_servers[1].checks = {};
    cluster.servfail(0);
    cluster.servfail(1);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "1=1");
}

// ---- inhibit_on_failure -----------------------------------------------------------------

TEST(Inhibit, ADownServerStaysListedWithWeightZero) {
    Cluster cluster({2, 1});
    cluster.service.real_servers[0].inhibit_on_failure = true;
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "0=0 1=1");
    EXPECT_EQ(cluster.decision.servers[0].state, ServerState::down);
    EXPECT_EQ(cluster.decision.servers[0].effective_weight, 0U);
    EXPECT_EQ(cluster.decision.servers[0].reason, "timeout; kept with weight 0");
    EXPECT_FALSE(cluster.decision.servers[0].held);
    EXPECT_EQ(cluster.decision.quorum.up, 1U);
    cluster.up(0);
    EXPECT_EQ(cluster.forwarded(), "0=2 1=1");
}

TEST(Inhibit, AnUntestedOneIsListedFromTheStart) {
    Cluster cluster({1, 1});
    cluster.service.real_servers[0].inhibit_on_failure = true;
    cluster.unknown(0, Untested::out);
    EXPECT_EQ(cluster.forwarded(), "0=0 1=1");
}

TEST(Inhibit, HoldComesBeforeIt) {
    Cluster cluster({1, 1});
    cluster.service.real_servers[0].inhibit_on_failure = true;
    cluster.decide();
    cluster.down(0);
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1");
}

TEST(Inhibit, AnUnreachableServerGoes) {
    Cluster cluster({1, 1});
    cluster.service.real_servers[0].inhibit_on_failure = true;
    cluster.down(0);
    cluster.unreachable[server(0)] = "no route";
    EXPECT_EQ(cluster.forwarded(), "1=1");
}

// ---- sorry server ---------------------------------------------------------------------

Cluster with_sorry(const std::vector<Weight>& weights, bool inhibit = false) {
    Cluster cluster(weights);
    cluster.service.on_all_down = OnAllDown::empty;
    cluster.service.sorry_server = SorryServer{sorry, inhibit};
    return cluster;
}

TEST(SorryServer, IsUsedInsteadOfAllWhileTheQuorumIsNotMet) {
    Cluster cluster = with_sorry({1, 1, 1});
    cluster.service.quorum.required = 2;
    EXPECT_EQ(cluster.forwarded(), "0=1 1=1 2=1");
    EXPECT_FALSE(cluster.decision.sorry->in_use);
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "1=1 2=1");
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "200=1");
    EXPECT_TRUE(cluster.decision.sorry->in_use);
    EXPECT_EQ(cluster.decision.sorry->reason, "quorum not met, 1 of 2");
    const ServerDecision& up = cluster.decision.servers[2];
    EXPECT_EQ(up.state, ServerState::up);
    EXPECT_EQ(up.effective_weight, 0U);
    EXPECT_EQ(up.reason, "quorum not met: the sorry server is used");
    EXPECT_EQ(cluster.decision.quorum.up, 1U);  // still counted
    cluster.up(1);
    EXPECT_EQ(cluster.forwarded(), "1=1 2=1");
    EXPECT_EQ(cluster.decision.sorry->reason, "");
}

TEST(SorryServer, HysteresisDecidesWhenItComesAndGoes) {
    Cluster cluster = with_sorry({1, 1, 1, 1, 1});
    cluster.service.quorum = {3, 1};
    const auto used_with = [&](unsigned up) {
        for (unsigned i = 0; i < 5; ++i)
            i < up ? cluster.up(i) : cluster.down(i);
        return cluster.decide().sorry->in_use;
    };
    EXPECT_TRUE(used_with(3));  // keepalived, too, starts below required + hysteresis so
    EXPECT_FALSE(used_with(4));
    EXPECT_FALSE(used_with(2));
    EXPECT_TRUE(used_with(1));
    EXPECT_TRUE(used_with(3));
    EXPECT_FALSE(used_with(5));
}

TEST(SorryServer, WithInhibitStaysListedWhileItIsNotUsed) {
    Cluster cluster = with_sorry({1}, true);
    EXPECT_EQ(cluster.forwarded(), "0=1 200=0");
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "200=1");
}

TEST(SorryServer, LeavesThoseListedThatHaveInhibitOnFailure) {
    Cluster cluster = with_sorry({1, 1, 1});
    cluster.service.quorum.required = 3;
    cluster.service.real_servers[0].inhibit_on_failure = true;
    cluster.service.real_servers[1].inhibit_on_failure = true;
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "0=0 1=0 200=1");
}

TEST(SorryServer, ADrainedServersFlowsGoOnBesideIt) {
    Cluster cluster = with_sorry({1});
    cluster.drain(0);
    EXPECT_EQ(cluster.forwarded(), "0=0 200=1");
}

TEST(SorryServer, ComesBeforeHold) {
    Cluster cluster = with_sorry({1, 1});
    cluster.service.on_all_down = OnAllDown::hold;
    cluster.service.max_out_percent = 0;
    cluster.decide();
    cluster.down(0);
    cluster.servfail(1);
    EXPECT_EQ(cluster.forwarded(), "200=1");
    EXPECT_FALSE(cluster.decision.servers[0].held);
    EXPECT_FALSE(cluster.decision.servers[1].held);
}

TEST(SorryServer, ThatCannotBeReachedIsNotUsedAndSaysWhy) {
    Cluster cluster = with_sorry({1, 1});
    cluster.service.quorum.required = 2;
    cluster.down(0);
    cluster.unreachable[sorry] = "no route to 203.0.113.200";
    EXPECT_EQ(cluster.forwarded(), "1=1");
    EXPECT_FALSE(cluster.decision.sorry->in_use);
    EXPECT_FALSE(cluster.decision.sorry->reachable);
    EXPECT_EQ(cluster.decision.sorry->reason, "no route to 203.0.113.200");
}

TEST(SorryServer, MayBeARealServerToo) {
    Cluster cluster = with_sorry({2, 1});
    cluster.service.sorry_server->endpoint = server(0);
    EXPECT_EQ(cluster.forwarded(), "0=2 1=1");
    cluster.down(0);
    cluster.down(1);
    EXPECT_EQ(cluster.forwarded(), "0=1");
}

TEST(SorryServer, AfterItServersThatNeverWentDownHaveTheirWholeWeight) {
    Cluster cluster = with_sorry({1, 1});
    cluster.service.quorum.required = 2;
    cluster.service.slow_start = Seconds{20};
    cluster.decide();
    cluster.down(0);
    EXPECT_EQ(cluster.forwarded(), "200=1");
    cluster.up(0);
    EXPECT_EQ(cluster.forwarded(), "0=1 1=20");
}

}  // namespace
}  // namespace dnsdirector::core
