// SPDX-License-Identifier: Apache-2.0
//
// The sorry server, weights by checks and notices through the whole engine: over
// reloads, restarts and errors of the kernel.
#include <gtest/gtest.h>

#include <random>

#include "sim/simulation.h"

namespace dnsdirector::sim {
namespace {

const std::string a = "203.0.113.11";
const std::string b = "203.0.113.12";
const std::string sorry = "203.0.113.200";

core::Configuration with_sorry(std::uint64_t quorum = 1, bool inhibit = false) {
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    core::Service& service = configuration.services[0];
    service.on_all_down = core::OnAllDown::empty;
    service.quorum.required = quorum;
    service.sorry_server = core::SorryServer{endpoint(sorry), inhibit};
    return configuration;
}

/// What was told, as "203.0.113.11- quorum+".
struct Listener {
    explicit Listener(Simulation& sim) {
        sim.engine.on_notice = [this](const core::Service&, const core::Notice& notice) {
            text += text.empty() ? "" : " ";
            text += notice.server ? notice.server->address.to_string() : "quorum";
            text += notice.up ? "+" : "-";
        };
    }
    std::string take() { return std::exchange(text, ""); }
    std::string text;
};

TEST(SorryServerOfTheEngine, ComesAndGoesWithTheQuorum) {
    Simulation sim;
    sim.engine.configure(with_sorry(2));
    EXPECT_EQ(sim.weight(sorry), 1U) << "nobody is tested yet";
    sim.pass(a, 2);
    EXPECT_EQ(sim.weight(sorry), 1U);
    EXPECT_FALSE(sim.weight(a));
    sim.pass(b, 2);
    EXPECT_FALSE(sim.weight(sorry));
    EXPECT_EQ(sim.weight(a), 1U);
    sim.fail(b, 2);
    EXPECT_EQ(sim.weight(sorry), 1U);
    EXPECT_FALSE(sim.weight(a));
    EXPECT_TRUE(sim.engine.services()[0].sorry->decision.in_use);
}

TEST(SorryServerOfTheEngine, SurvivesARestartInUse) {
    Simulation before;
    before.engine.configure(with_sorry());
    before.pass(a, 2);
    before.pass(b, 2);
    before.fail(a, 2);
    before.fail(b, 2);
    ASSERT_EQ(before.weight(sorry), 1U);

    Simulation after(before.plane.forwarding());
    Listener listener(after);
    after.engine.configure(with_sorry());
    EXPECT_TRUE(after.plane.applied().empty()) << "nothing may blip at a start";
    EXPECT_EQ(listener.take(), "") << "whoever had to know was told before";
    after.pass(a, 2);
    EXPECT_FALSE(after.weight(sorry));
    EXPECT_EQ(after.weight(a), 1U);
    EXPECT_NE(listener.take().find("quorum+"), std::string::npos);
}

TEST(SorryServerOfTheEngine, StaysOutOverARestartWhileServersWork) {
    Simulation before;
    before.engine.configure(with_sorry(2, true));
    before.pass(a, 2);
    before.pass(b, 2);
    ASSERT_EQ(before.weight(sorry), 0U);
    Simulation after(before.plane.forwarding());
    Listener listener(after);
    after.engine.configure(with_sorry(2, true));
    EXPECT_TRUE(after.plane.applied().empty());
    EXPECT_EQ(listener.take(), "");
    after.fail(a, 2);
    EXPECT_EQ(after.weight(sorry), 1U);
    EXPECT_EQ(listener.take(), a + "- quorum-");
}

TEST(SorryServerOfTheEngine, HysteresisIsRememberedOverARestart) {
    core::Configuration configuration = with_sorry(2);
    configuration.services[0].quorum.hysteresis = 1;
    core::ServiceForwarding left;
    left.key = service_key();
    left.destinations = {{endpoint(a), 1}, {endpoint(b), 1}};
    Simulation sim({{left.key, left}});
    sim.engine.configure(configuration);
    EXPECT_TRUE(sim.plane.applied().empty()) << "2 is not 2 + 1, but it was met before";
}

TEST(SorryServerOfTheEngine, DoesNotStepInWhileAReloadsNewServersAreTested) {
    Simulation sim;
    sim.engine.configure(with_sorry());
    sim.pass(a, 2);
    core::Configuration next = cluster({{"203.0.113.21", 1}});
    next.services[0].sorry_server = core::SorryServer{endpoint(sorry), false};
    sim.engine.configure(next);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_FALSE(sim.weight(sorry));
    sim.fail("203.0.113.21", 2);
    EXPECT_FALSE(sim.weight(a));
    EXPECT_EQ(sim.weight(sorry), 1U);
}

TEST(SorryServerOfTheEngine, IsUsedAsSoonAsItCanBeReached) {
    Simulation sim;
    sim.unreachable(sorry, "no route to 203.0.113.200");
    sim.engine.configure(with_sorry());
    EXPECT_FALSE(sim.weight(sorry));
    EXPECT_EQ(sim.engine.services()[0].sorry->decision.reason, "no route to 203.0.113.200");
    sim.unreachable(sorry, "");
    EXPECT_EQ(sim.weight(sorry), 1U);
}

TEST(SorryServerOfTheEngine, DrainsAreNotForIt) {
    Simulation sim;
    sim.engine.configure(with_sorry());
    sim.pass(a, 2);
    core::Overrides overrides;
    for (const std::string& server : {a, b, sorry})
        overrides.drained.insert({"resolvers", endpoint(server), Protocol::udp});
    sim.engine.set_overrides(overrides);
    EXPECT_EQ(sim.weight(sorry), 1U);
    EXPECT_EQ(sim.weight(a), 0U) << "its TCP flows go on";
}

// ---- inhibit_on_failure and weights over a restart -------------------------------------

TEST(EngineAdoption, WhoWasKeptWithWeightZeroByFailureMustPassFirst) {
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    for (core::RealServer& server : configuration.services[0].real_servers)
        server.inhibit_on_failure = true;
    core::ServiceForwarding left;
    left.key = service_key();
    left.destinations = {{endpoint(a), 0}, {endpoint(b), 1}};
    Simulation sim({{left.key, left}});
    Listener listener(sim);
    sim.engine.configure(configuration);
    EXPECT_TRUE(sim.plane.applied().empty());
    EXPECT_EQ(sim.weight(a), 0U);
    sim.fail(a, 2);
    EXPECT_EQ(listener.take(), "") << "told before the restart";
    sim.pass(a, 2);
    EXPECT_EQ(sim.weight(a), 1U);
    EXPECT_EQ(listener.take(), a + "+");
}

TEST(EngineAdoption, AWeightByMiscDynamicHoldsUntilTheNextVerdict) {
    core::Configuration configuration = cluster({{a, 5}, {b, 5}});
    core::ScriptCheck script;
    script.arguments = {"/bin/check"};
    script.dynamic = true;
    for (core::Check& check : configuration.checks)
        check.what = script;
    core::ServiceForwarding left;
    left.key = service_key();
    left.destinations = {{endpoint(a), 0}, {endpoint(b), 9}};
    Simulation sim({{left.key, left}});
    sim.engine.configure(configuration);
    EXPECT_TRUE(sim.plane.applied().empty());
    EXPECT_EQ(sim.engine.services()[0].servers[1].decision.reason, "weight 9 by misc_dynamic");
    sim.pass(a);  // exit status 0: the configured weight
    sim.pass(b);
    EXPECT_EQ(sim.weight(a), 5U);
    EXPECT_EQ(sim.weight(b), 5U);
}

TEST(EngineAdoption, TheZeroOfADrainIsNotTakenForTheScripts) {
    core::Configuration configuration = cluster({{a, 5}, {b, 5}});
    core::FileCheck file;
    file.path = "/run/weight";
    for (core::Check& check : configuration.checks)
        check.what = file;
    core::ServiceForwarding left;
    left.key = service_key();
    left.destinations = {{endpoint(a), 0}, {endpoint(b), 7}};
    Simulation sim({{left.key, left}});
    core::Overrides overrides;
    overrides.drained.insert({"resolvers", endpoint(a), Protocol::udp});
    sim.engine.set_overrides(overrides);
    sim.engine.configure(configuration);
    EXPECT_TRUE(sim.plane.applied().empty());
    sim.engine.set_overrides({});
    EXPECT_EQ(sim.weight(a), 5U);
    EXPECT_EQ(sim.weight(b), 7U);
}

// ---- notices ----------------------------------------------------------------------------

TEST(EngineNotices, AReloadTellsThoseThatItRemoves) {
    Simulation sim;
    Listener listener(sim);
    core::Configuration both = cluster({{a, 1}, {b, 1}});
    for (core::RealServer& server : both.services[0].real_servers)
        server.notify_down = core::Command{{"/bin/down"}, ""};
    both.services[0].quorum_down = core::Command{{"/bin/lost"}, ""};
    sim.engine.configure(both);
    sim.pass(a, 2);
    sim.pass(b, 2);
    EXPECT_EQ(listener.take(), a + "+ quorum+ " + b + "+");
    core::Configuration one = both;
    one.services[0].real_servers.pop_back();
    sim.engine.configure(one);
    EXPECT_EQ(listener.take(), b + "-");
    one.services.clear();
    one.checks.clear();
    sim.engine.configure(one);
    EXPECT_EQ(listener.take(), a + "- quorum-");
}

TEST(EngineNotices, AReloadThatChangesNothingTellsNobody) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.fail(b, 2);
    Listener listener(sim);
    sim.engine.configure(cluster({{a, 2}, {b, 1}}));
    EXPECT_EQ(listener.take(), "");
}

TEST(EngineNotices, OnlyOmegaSaysFarewell) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}});
    sim.engine.configure(configuration);
    sim.pass(a, 2);
    Listener listener(sim);
    sim.engine.say_farewell();
    EXPECT_EQ(listener.take(), "");
    configuration.services[0].omega = true;
    sim.engine.configure(configuration);
    sim.engine.say_farewell();
    EXPECT_EQ(listener.take(), a + "- quorum-");
}

/// A predecessor's table, of a service without sorry server.
Simulation left_by_predecessor(std::vector<core::Destination> destinations) {
    core::ServiceForwarding left;
    left.key = service_key();
    left.destinations = std::move(destinations);
    return Simulation({{left.key, left}});
}

core::Configuration with_quorum(std::uint64_t required, std::uint64_t hysteresis = 0) {
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    configuration.services[0].quorum.required = required;
    configuration.services[0].quorum.hysteresis = hysteresis;
    return configuration;
}

TEST(EngineNotices, ARestartBelowTheQuorumTellsNobodyAgain) {
    for (const std::uint64_t hysteresis : {0U, 1U}) {
        auto sim = left_by_predecessor({{endpoint(a), 1}});
        Listener listener(sim);
        sim.engine.configure(with_quorum(2 + hysteresis, hysteresis));
        sim.pass(a, 3);
        EXPECT_EQ(listener.take(), "") << "whoever had to know was told before";
        EXPECT_FALSE(sim.engine.services()[0].quorum.met);
        sim.fail(a, 2);
        EXPECT_EQ(listener.take(), a + "-") << "the quorum was lost before";
    }
}

TEST(EngineNotices, AQuorumThatIsMetAfterTheRestartIsToldOnce) {
    auto sim = left_by_predecessor({{endpoint(a), 1}});
    Listener listener(sim);
    sim.engine.configure(with_quorum(2));
    sim.pass(b, 2);
    EXPECT_NE(listener.take().find("quorum+"), std::string::npos);
    sim.pass(a, 3);
    sim.pass(b, 3);
    sim.engine.configure(with_quorum(2));
    EXPECT_EQ(listener.take(), "");
}

TEST(EngineNotices, AQuorumThatWasMetBeforeTheRestartIsNotToldAgain) {
    auto sim = left_by_predecessor({{endpoint(a), 1}, {endpoint(b), 1}});
    Listener listener(sim);
    sim.engine.configure(with_quorum(2));
    sim.pass(a, 3);
    sim.pass(b, 3);
    EXPECT_EQ(listener.take(), "");
    sim.fail(b, 2);
    EXPECT_EQ(listener.take(), b + "- quorum-");
}

TEST(EngineNotices, WeightsThatSlowStartScaledAreNotTakenForTheQuorum) {
    auto sim = left_by_predecessor({{endpoint(a), 5}});  // step 5 of 20
    Listener listener(sim);
    core::Configuration configuration = with_quorum(2);
    configuration.services[0].slow_start = Seconds{60};
    sim.engine.configure(configuration);
    EXPECT_EQ(listener.take(), "") << "it was not met, and nobody is told that it is lost";
}

TEST(EngineAdoption, WhoWasOutMustPassAlsoWhereUntestedServersAreIn) {
    // Its first failure is not the first failure of a server that was taken in.
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    for (core::Check& check : configuration.checks)
        check.untested = core::Untested::in;
    Simulation sim;
    sim.engine.configure(configuration);
    sim.fail(a, 1);
    ASSERT_FALSE(sim.weight(a));
    core::Configuration next = configuration;
    next.checks[0].what = core::TcpCheck{};
    sim.engine.configure(next);
    EXPECT_FALSE(sim.weight(a)) << "it was out for a reason";
    sim.pass(a, 1);
    EXPECT_FALSE(sim.weight(a)) << "rise 2: one pass does not bring it in";
    sim.pass(a, 1);
    EXPECT_EQ(sim.weight(a), 1U);
}

TEST(EngineNotices, FollowEachOtherInTurnWhateverHappens) {
    // Verdicts, reloads and drains at random: each subject hears up and down in turn.
    std::mt19937 random(20240509);
    Simulation sim;
    std::map<std::string, bool> last;
    sim.engine.on_notice = [&](const core::Service&, const core::Notice& notice) {
        const std::string who = notice.server ? notice.server->to_string() : "quorum";
        const auto [at, first] = last.try_emplace(who, notice.up);
        if (!first) {
            EXPECT_NE(at->second, notice.up) << who;
        }
        at->second = notice.up;
    };
    core::Configuration configuration = with_sorry(2);
    sim.engine.configure(configuration);
    for (int step = 0; step < 2000; ++step) {
        const std::string& who = random() % 2 == 0 ? a : b;
        switch (random() % 8) {
            case 0: sim.engine.configure(configuration); break;
            case 1: {
                core::Overrides overrides;
                if (random() % 2 == 0)
                    overrides.drained.insert({"resolvers", endpoint(who), Protocol::udp});
                sim.engine.set_overrides(overrides);
                break;
            }
            case 2: sim.advance(Seconds(1)); break;
            case 3:
            case 4: sim.fail(who, 1 + static_cast<int>(random() % 2)); break;
            default: sim.pass(who, 1 + static_cast<int>(random() % 2)); break;
        }
        const bool used = sim.engine.services()[0].sorry->decision.in_use;
        EXPECT_EQ(used, !sim.engine.services()[0].quorum.met);
        EXPECT_EQ(sim.weight(sorry).value_or(0), used ? 1U : 0U);
        if (used) {
            EXPECT_EQ(sim.weight(a).value_or(0), 0U);
            EXPECT_EQ(sim.weight(b).value_or(0), 0U);
        }
    }
    EXPECT_EQ(last.size(), 3U);
}

// ---- merged checks ------------------------------------------------------------------------

TEST(MergedChecks, TenThousandServersInTwoServicesAreTenThousandChecks) {
    std::vector<std::pair<std::string, core::Weight>> servers;
    for (int i = 0; i < 10'000; ++i)
        servers.emplace_back("10." + std::to_string(i / 65536) + "." +
                                 std::to_string(i / 256 % 256) + "." + std::to_string(i % 256),
                             1);
    core::Configuration configuration = cluster(servers);
    core::Service second = configuration.services[0];
    second.key.address = *IpAddress::parse("192.0.2.54");
    configuration.services.push_back(second);
    Simulation sim;
    sim.engine.configure(configuration);
    EXPECT_EQ(sim.prober.running.size(), 10'000U);
    const auto running = sim.prober.running;
    for (int round = 0; round < 2; ++round)
        for (const auto& [id, check] : running)
            sim.prober.on_verdict(id, core::Verdict{});
    sim.settle();
    for (const auto& [key, service] : sim.plane.forwarding())
        EXPECT_EQ(service.destinations.size(), 10'000U) << key.to_string();
}

}  // namespace
}  // namespace dnsdirector::sim
