// SPDX-License-Identifier: Apache-2.0
//
// What the engine remembers for `why`.
#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace dnsdirector::sim {
namespace {

using core::Rule;

const std::string a = "203.0.113.11";
const std::string b = "203.0.113.12";

control::ServerStanding standing(const Simulation& sim, const std::string& name) {
    const auto found = sim.engine.standings(*control::parse_target(name));
    EXPECT_EQ(found.size(), 1U);
    return found.empty() ? control::ServerStanding{} : found.front();
}

std::vector<Rule> rules(const control::ServerStanding& standing) {
    std::vector<Rule> list;
    for (const core::PastDecision& decision : standing.decisions)
        list.push_back(decision.rule);
    return list;
}

TEST(EngineHistory, TellsTheRuleAndWhatTheKernelWasTold) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 2}}));
    EXPECT_EQ(standing(sim, "ns1").rule, Rule::waiting);
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.fail(b, 2);
    const auto out = standing(sim, "ns2");
    EXPECT_EQ(out.rule, Rule::fall);
    ASSERT_EQ(rules(out), (std::vector{Rule::waiting, Rule::rise, Rule::fall}));
    EXPECT_EQ(out.decisions[0].written, "");
    EXPECT_NE(out.decisions[1].written.find("203.0.113.12:53"), std::string::npos);
    EXPECT_NE(out.decisions[2].written.find("removed"), std::string::npos);
    ASSERT_EQ(out.checks.size(), 1U);
    EXPECT_EQ(out.check, 0U);
    EXPECT_EQ(out.checks[0].verdicts.size(), 4U);
    EXPECT_EQ(standing(sim, "ns1").share, 1.0);
}

TEST(EngineHistory, OutlivesAReloadForWhatStaysEqualAndForNewTimes) {
    Simulation sim;
    core::Configuration configuration = cluster({{a, 1}, {b, 1}});
    sim.engine.configure(configuration);
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.engine.configure(configuration);
    EXPECT_EQ(rules(standing(sim, "ns1")), (std::vector{Rule::waiting, Rule::rise}));
    configuration.checks[0].timing.every = Seconds{5};
    sim.engine.configure(configuration);
    EXPECT_EQ(standing(sim, "ns1").checks[0].verdicts.size(), 2U);
    EXPECT_EQ(standing(sim, "ns2").checks[0].verdicts.size(), 2U);
    EXPECT_EQ(rules(standing(sim, "ns1")).size(), 2U);
}

TEST(EngineHistory, ForgetsWhatTheConfigurationDoesNotKnowAnyMore) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.pass(b, 2);
    sim.engine.configure(cluster({{a, 1}}));
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    EXPECT_TRUE(standing(sim, "ns2").checks[0].verdicts.empty());
    EXPECT_EQ(standing(sim, "ns1").checks[0].verdicts.size(), 2U);
}

TEST(EngineHistory, SaysWhatTheDataPlaneRefused) {
    Simulation sim;
    sim.engine.configure(cluster({{a, 1}, {b, 1}}));
    sim.pass(a, 2);
    sim.plane.fail_change(1, "no room");
    sim.pass(b, 2);
    EXPECT_TRUE(standing(sim, "ns2").decisions.back().refused);
    sim.advance(Seconds{2});
    const auto mended = standing(sim, "ns2");
    EXPECT_FALSE(mended.decisions.back().refused);
    EXPECT_EQ(mended.decisions.back().rule, Rule::repair);
    EXPECT_EQ(mended.rule, Rule::rise);
}

}  // namespace
}  // namespace dnsdirector::sim
