// SPDX-License-Identifier: Apache-2.0
#include "core/notices.h"

#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

/// "0+ 1- quorum-": what a decision has to tell since the one before.
std::string told(Cluster& cluster) {
    const ServiceMemory before = cluster.decision.memory;
    cluster.decide();
    std::string text;
    for (const Notice& notice : notices(before, cluster.decision.memory)) {
        text += text.empty() ? "" : " ";
        text += notice.server ? std::to_string(notice.server->address.bytes()[3]) : "quorum";
        text += notice.up ? "+" : "-";
    }
    return text;
}

TEST(Notices, AtTheStartOfTheQuorumOnly) {
    Cluster cluster({1, 1});
    cluster.unknown(0, Untested::in);
    EXPECT_EQ(told(cluster), "quorum+");
    cluster.up(0);
    EXPECT_EQ(told(cluster), "");
}

TEST(Notices, OfAServerThatWaitsForItsChecksHoweverTheyEnd) {
    Cluster cluster({1, 1});
    cluster.unknown(0, Untested::out);
    cluster.unknown(1, Untested::out);
    EXPECT_EQ(told(cluster), "");
    cluster.up(0);
    EXPECT_EQ(told(cluster), "0+ quorum+");
    cluster.down(1);
    EXPECT_EQ(told(cluster), "1-");
}

TEST(Notices, OfEveryChangeOnce) {
    Cluster cluster({1, 1});
    told(cluster);
    cluster.down(0);
    EXPECT_EQ(told(cluster), "0-");
    EXPECT_EQ(told(cluster), "");
    cluster.down(1);
    EXPECT_EQ(told(cluster), "1- quorum-");
    cluster.up(0);
    EXPECT_EQ(told(cluster), "0+ quorum+");
}

TEST(Notices, DrainsAndHoldsAreNoChange) {
    Cluster cluster({1, 1});
    told(cluster);
    cluster.drain(0);
    EXPECT_EQ(told(cluster), "");
    cluster.service.max_out_percent = 0;
    cluster.servfail(1);  // held, and down all the same
    EXPECT_EQ(told(cluster), "1- quorum-");
}

TEST(Notices, StartingBelowTheQuorumIsToldOfWhereASorryServerStepsIn) {
    Cluster cluster({1});
    cluster.unknown(0, Untested::out);
    EXPECT_EQ(told(cluster), "");
    Cluster other({1});
    other.service.sorry_server = SorryServer{server(9), false};
    other.unknown(0, Untested::out);
    EXPECT_EQ(told(other), "quorum-");
}

TEST(Notices, ServersThatAReloadAddsAreInFromTheStart) {
    Cluster cluster({1});
    told(cluster);
    cluster.checks.push_back(cluster.checks[0]);
    cluster.service.real_servers.push_back({"new", server(7), 1, {1}});
    EXPECT_EQ(told(cluster), "");
    cluster.service.real_servers.push_back({"newer", server(8), 1, {2}});
    cluster.checks.push_back(cluster.checks[0]);
    cluster.down(2);
    EXPECT_EQ(told(cluster), "8-");
}

TEST(Notices, FarewellIsSaidToAllThatWereToldThatTheyAreUp) {
    Cluster cluster({1, 1});
    cluster.decide();
    cluster.down(1);
    cluster.decide();
    const std::vector<Notice> expected = {{server(0), false}, {std::nullopt, false}};
    EXPECT_EQ(farewell(cluster.decision.memory), expected);
    cluster.down(0);
    cluster.decide();
    EXPECT_TRUE(farewell(cluster.decision.memory).empty());
}

TEST(Notices, RunTheCommandOfTheServerOrTheService) {
    Cluster cluster({1});
    cluster.service.quorum_down = Command{{"/bin/qd"}, ""};
    cluster.service.real_servers[0].notify_up = Command{{"/bin/up", "1"}, "nobody"};
    EXPECT_EQ(*command_for(cluster.service, {server(0), true}),
              *cluster.service.real_servers[0].notify_up);
    EXPECT_EQ(*command_for(cluster.service, {std::nullopt, false}), *cluster.service.quorum_down);
    EXPECT_EQ(command_for(cluster.service, {server(0), false}), nullptr);
    EXPECT_EQ(command_for(cluster.service, {server(5), true}), nullptr);
    EXPECT_EQ(command_for(cluster.service, {std::nullopt, true}), nullptr);
}

}  // namespace
}  // namespace dnsdirector::core
