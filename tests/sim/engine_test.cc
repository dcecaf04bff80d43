// SPDX-License-Identifier: Apache-2.0
#include "control/engine.h"

#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace dnsdirector::sim {
namespace {

const std::string a = "203.0.113.11";
const std::string b = "203.0.113.12";

core::Forwarding left_behind() {
    core::ServiceForwarding service;
    service.key = service_key();
    service.destinations = {{endpoint(a), 1}, {endpoint(b), 1}};
    return {{service.key, service}};
}

TEST(Engine, TakesServersInAfterRisePassesBackToBack) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 2}}));
    EXPECT_EQ(sim.prober.running.size(), 2U);
    EXPECT_TRUE(sim.prober.started_at_once.begin()->second);
    sim.pass(a);
    EXPECT_FALSE(sim.weight(a));
    EXPECT_EQ(sim.prober.hurried.size(), 1U);
    sim.pass(a);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_FALSE(sim.weight(b));
}

TEST(Engine, AdoptsWhatTheKernelForwardsToUntilFallFailures) {
    Simulation sim(left_behind());
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    EXPECT_TRUE(sim.plane.applied().empty()) << "nothing may blip at a start";
    EXPECT_FALSE(sim.prober.started_at_once.begin()->second);
    sim.fail(a);
    EXPECT_EQ(sim.weight(a), 1U);
    sim.fail(a);
    EXPECT_FALSE(sim.weight(a));
    EXPECT_EQ(sim.weight(b), 1U);
}

TEST(Engine, RetriesAFailedCheckSoonWhileItsServerIsStillIn) {
    Simulation sim(left_behind());
    core::Configuration wished = cluster({{a, 1}, {b, 1}});
    wished.checks[0].timing.retry_after = Milliseconds{700};
    sim.engine.configure(wished);
    sim.fail(a);
    sim.fail(b);
    ASSERT_EQ(sim.prober.retried.size(), 1U) << "b has no such wish";
    EXPECT_EQ(sim.prober.retried[0].second, Milliseconds{700});
    sim.fail(a);
    EXPECT_FALSE(sim.weight(a));
    EXPECT_EQ(sim.prober.retried.size(), 1U);
}

TEST(Engine, RemovesServicesThatAPredecessorLeftBehind) {
    core::Forwarding found = left_behind();
    core::ServiceForwarding stale = found.begin()->second;
    stale.key.port = 5353;
    found.emplace(stale.key, stale);
    Simulation sim(found);
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    EXPECT_EQ(sim.plane.forwarding().size(), 1U);
}

TEST(Engine, AReloadKeepsTheStateOfEqualChecks) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.pass(b, 2);
    const auto before = sim.prober.running;
    sim.plane.forget_applied();
    sim.engine.configure(cluster({{a, 3}, {b, 1}}));
    EXPECT_EQ(sim.prober.running, before) << "checks go on undisturbed";
    EXPECT_EQ(sim.weight(a), 3U);
    EXPECT_EQ(sim.plane.applied().size(), 1U) << "one weight changed, one change";
}

TEST(Engine, AReloadThatChangesACheckDoesNotTakeTheServerOut) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    sim.engine.configure(configuration);
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.plane.forget_applied();
    for (core::Check& check : configuration.checks)
        check.timing.every = Seconds(5);
    sim.engine.configure(configuration);
    EXPECT_TRUE(sim.plane.applied().empty());
    sim.fail(a, 2);
    EXPECT_FALSE(sim.weight(a));
}

TEST(Engine, AReloadAddsAndRemovesServers) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}}));
    sim.pass(a, 2);
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    EXPECT_EQ(sim.prober.running.size(), 2U);
    EXPECT_FALSE(sim.weight(b));
    sim.pass(b, 2);
    EXPECT_EQ(sim.weight(b), 1U);
    sim.engine.configure(cluster({{b, 1}}));
    EXPECT_EQ(sim.prober.running.size(), 1U);
    EXPECT_FALSE(sim.weight(a));
}

TEST(Engine, AReloadThatReplacesEveryServerKeepsTheOldOnesUntilANewOneIsJudged) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}}));
    sim.pass(a, 2);
    sim.engine.configure(cluster({{b, 1}}));
    EXPECT_EQ(sim.weight(a), 1U);
    ASSERT_TRUE(sim.engine.repair());
    EXPECT_EQ(sim.weight(a), 1U) << "a repair wishes the same";
    sim.pass(b, 2);
    EXPECT_EQ(sim.weight(b), 1U);
    EXPECT_FALSE(sim.weight(a));

    sim.engine.configure(cluster({{a, 1}}));
    sim.fail(a, 2);
    EXPECT_FALSE(sim.weight(b)) << "judged, and down: the old set is not for ever";
}

TEST(Engine, AServerThatIsDownStaysOutWhenAReloadChangesItsCheck) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    for (core::Check& check : configuration.checks)
        check.untested = core::Untested::in;
    sim.engine.configure(configuration);
    sim.pass(b);
    sim.fail(a);
    ASSERT_FALSE(sim.weight(a));
    for (core::Check& check : configuration.checks)
        check.timing.every = Seconds(7);
    sim.engine.configure(configuration);
    EXPECT_FALSE(sim.weight(a)) << "the same question at other times: the state stays";
    for (core::Check& check : configuration.checks)
        std::get<core::DnsCheck>(check.what).type = 1;
    sim.engine.configure(configuration);
    EXPECT_FALSE(sim.weight(a)) << "another question: it has to pass first";
    sim.pass(a, 2);
    EXPECT_EQ(sim.weight(a), 1U);
}

TEST(Engine, AStartKeepsOutWhatThePredecessorHadTakenOut) {
    core::Forwarding found = left_behind();
    found.begin()->second.destinations.pop_back();
    Simulation sim(found);
    dataplane::Counters counters;
    counters.servers[{service_key(), endpoint(a)}] = {10, 1000};
    counters.servers[{service_key(), endpoint(b)}] = {10, 1000};
    sim.plane.set_counters(counters);
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    for (core::Check& check : configuration.checks)
        check.untested = core::Untested::in;
    sim.engine.configure(configuration);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_FALSE(sim.weight(b));
}

TEST(Engine, ADrainHoldsWhileANewServerWaitsForItsVerdict) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}}));
    sim.pass(a, 2);
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    core::Overrides overrides;
    overrides.drained.insert({"resolvers", endpoint(a), Protocol::udp});
    sim.engine.set_overrides(overrides);
    EXPECT_EQ(sim.weight(a), 0U);
}

TEST(Engine, SaysWhatThePlaneCouldNotDo) {
    Simulation sim;
    sim.plane.fail_change(1, "no room");
    const auto configured = sim.engine.configure(cluster({{a, 1}}));
    ASSERT_FALSE(configured);
    EXPECT_EQ(configured.error().message, "no room");
}

TEST(Engine, ADrainTakesEffectAndIsTakenBack) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.pass(b, 2);
    core::Overrides overrides;
    overrides.drained.insert({"resolvers", endpoint(a), Protocol::udp});
    sim.engine.set_overrides(overrides);
    EXPECT_EQ(sim.weight(a), 0U) << "stays known, for the flows that it has";
    sim.engine.set_overrides({});
    EXPECT_EQ(sim.weight(a), 1U);
}

TEST(Engine, AServerThatCannotBeReachedIsOutUntilItCan) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.unreachable(a, "no ARP answer");
    EXPECT_FALSE(sim.weight(a));
    EXPECT_EQ(sim.engine.services()[0].servers[0].decision.reason, "no ARP answer");
    sim.unreachable(a, "");
    EXPECT_EQ(sim.weight(a), 1U);
}

TEST(Engine, ARefusedChangeIsTriedAgainAndReported) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.plane.fail_change(1, "no space");
    sim.pass(a, 2);
    EXPECT_FALSE(sim.weight(a));
    ASSERT_EQ(sim.errors.size(), 1U);
    sim.advance(Seconds(2));
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_FALSE(sim.engine.deadline());
}

TEST(Engine, RepairsWhatSomebodyElseChanged) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.plane.disturb("flushed", [](core::Forwarding& forwarding) { forwarding.clear(); });
    const auto repaired = sim.engine.repair();
    ASSERT_TRUE(repaired);
    EXPECT_EQ(repaired->size(), 3U);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_TRUE(sim.engine.repair()->empty());
}

TEST(Engine, SlowStartRaisesTheWeightStepByStep) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    configuration.services[0].slow_start = Seconds(60);
    sim.engine.configure(configuration);
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.fail(a, 2);
    sim.pass(a, 2);
    ASSERT_TRUE(sim.weight(a));
    double last = 0;
    for (int i = 0; i < 6; ++i) {
        const double ratio = static_cast<double>(*sim.weight(a)) / *sim.weight(b);
        EXPECT_GT(ratio, last);
        EXPECT_LT(ratio, 1.0);
        last = ratio;
        sim.advance(Seconds(9));
    }
    sim.advance(Seconds(60));
    EXPECT_EQ(*sim.weight(a), *sim.weight(b));
    EXPECT_FALSE(sim.engine.deadline()) << "nothing left to wait for";
}

TEST(Engine, OneCheckServesAllServicesThatListIt) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    core::Service second = configuration.services[0];
    second.key.address = *IpAddress::parse("192.0.2.54");
    configuration.services.push_back(second);
    sim.engine.configure(configuration);
    EXPECT_EQ(sim.prober.running.size(), 2U);
    sim.pass(a, 2);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_EQ(sim.weight(a, second.key), 1U);
    EXPECT_EQ(sim.engine.services()[0].servers[0].checks[0].shared_by, 2U);
}

TEST(Engine, ManyVerdictsAtOnceCostOneChangeOfTheTable) {
    Simulation sim;
    std::vector<std::pair<std::string, core::Weight>> servers;
    for (int i = 1; i <= 100; ++i)
        servers.emplace_back("203.0.113." + std::to_string(i), 1);
    sim.engine.configure(cluster(servers));
    const std::size_t calls = sim.plane.apply_calls();
    const auto running = sim.prober.running;
    for (int round = 0; round < 2; ++round)
        for (const auto& [id, check] : running)
            sim.prober.on_verdict(id, core::Verdict{});
    sim.settle();
    EXPECT_EQ(sim.plane.apply_calls(), calls + 1);
    EXPECT_EQ(sim.plane.forwarding().begin()->second.destinations.size(), 100U);
}

TEST(Engine, TellsOfAChangedServerOnceTheKernelKnows) {
    Simulation sim;
    std::vector<std::string> told;
    sim.engine.on_server_changed = [&](const core::Service&, const core::RealServer& server,
                                       const core::ServerDecision&,
                                       const core::ServerDecision& after) {
        told.push_back(server.name + " " + std::string(to_string(after.state)));
        EXPECT_EQ(sim.weight(a).has_value(), after.state == core::ServerState::up);
    };
    sim.engine.configure(cluster({{a, 1}}));
    told.clear();
    sim.pass(a, 2);
    sim.engine.configure(cluster({{a, 1}}));
    EXPECT_EQ(told, std::vector<std::string>{"ns1 up"});
}

}  // namespace
}  // namespace dnsdirector::sim
