// SPDX-License-Identifier: Apache-2.0
//
// What the announcer does where a routing daemon lost a withdrawal.
#include <gtest/gtest.h>

#include "control/announcer.h"
#include "simulation.h"

namespace dnsdirector::sim {
namespace {

using control::Announcer;
using core::RouteState;
using Routes = std::map<IpAddress, RouteState>;

struct WithdrawAgain : ::testing::Test {
    WithdrawAgain()
        : announcer(simulation.engine,
                    [this] { return control::Now{simulation.now, WallTime{}}; }) {
        announcer.hold = [this](const Routes& routes) {
            held.push_back(routes);
            return true;
        };
        core::Configuration configuration = cluster({{"203.0.113.11", 1}});
        configuration.bgp.emplace();
        configuration.bgp->announcements.emplace_back().service_ip = service_ip;
        EXPECT_TRUE(simulation.engine.configure(std::move(configuration)));
        for (int round = 0; round < 2; ++round)
            simulation.verdict("203.0.113.11");
        operators_word(true);
    }
    void operators_word(bool withdrawn) {
        core::Overrides overrides;
        if (withdrawn) overrides.withdrawn.insert(service_ip);
        simulation.engine.set_overrides(overrides);
    }
    /// Lets the time of announcer's next deadline come.
    void pass() {
        simulation.now = *announcer.deadline();
        announcer.tick();
    }

    const IpAddress service_ip = service_key().address;
    Simulation simulation;
    std::vector<Routes> held;
    Announcer announcer;
};

TEST_F(WithdrawAgain, IsDrainingForAMomentAndThenWithdrawn) {
    ASSERT_TRUE(announcer.routes().empty());
    const TimePoint begun = simulation.now;
    ASSERT_TRUE(announcer.withdraw_again(service_ip));
    EXPECT_EQ(held.back(), (Routes{{service_ip, RouteState::draining}}));
    pass();
    EXPECT_EQ(simulation.now - begun, Announcer::again_for);
    EXPECT_TRUE(held.back().empty());
    EXPECT_EQ(announcer.deadline(), std::nullopt);
}

TEST_F(WithdrawAgain, IsDoneSoOftenAndNoOftenerForOneWithdrawal) {
    for (std::uint32_t time = 0; time < Announcer::most_again; ++time) {
        ASSERT_TRUE(announcer.withdraw_again(service_ip));
        EXPECT_FALSE(announcer.withdraw_again(service_ip)) << "too soon";
        pass();
        EXPECT_FALSE(announcer.withdraw_again(service_ip)) << "too soon";
        simulation.now += Announcer::again_after;
    }
    EXPECT_FALSE(announcer.withdraw_again(service_ip));
    operators_word(false);
    EXPECT_EQ(held.back(), (Routes{{service_ip, RouteState::announced}}));
    operators_word(true);
    EXPECT_TRUE(announcer.withdraw_again(service_ip)) << "another withdrawal";
}

TEST_F(WithdrawAgain, IsNothingForWhatIsAnnouncedOrUnknown) {
    operators_word(false);
    EXPECT_FALSE(announcer.withdraw_again(service_ip));
    EXPECT_FALSE(announcer.withdraw_again(*IpAddress::parse("192.0.2.99")));
}

TEST_F(WithdrawAgain, GivesWayToAnAnnouncement) {
    ASSERT_TRUE(announcer.withdraw_again(service_ip));
    operators_word(false);
    EXPECT_EQ(held.back(), (Routes{{service_ip, RouteState::announced}}));
    pass();
    EXPECT_EQ(held.back(), (Routes{{service_ip, RouteState::announced}}));
}

}  // namespace
}  // namespace dnsdirector::sim
