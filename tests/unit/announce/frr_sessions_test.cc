// SPDX-License-Identifier: Apache-2.0
#include "announce/frr_sessions.h"

#include <gtest/gtest.h>

#include "unit/announce/replies.h"

namespace dnsdirector::announce {
namespace {

using replies::parsed;
using replies::reply;

TEST(FrrSessions, ASessionThatIsUp) {
    const auto report = frr_neighbor(reply("frr_neighbor"), parsed("203.0.113.251"));
    ASSERT_TRUE(report);
    EXPECT_TRUE(report->known);
    EXPECT_EQ(report->session, "established");
    EXPECT_TRUE(report->age);
    EXPECT_EQ(*report->age % Seconds{1}, Nanoseconds{0});
    EXPECT_EQ(report->lost, 0U);
    EXPECT_EQ(report->accepted, 0U);
    EXPECT_EQ(report->told, 2U);
    EXPECT_EQ(report->bfd, "up");
    EXPECT_NE(report->mark, "");
}

TEST(FrrSessions, ASessionThatIsShutDown) {
    const auto report = frr_neighbor(reply("frr_neighbor_shut"), parsed("203.0.113.252"));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->session, "down");
    EXPECT_EQ(report->last_error, "shut down by FRR's configuration");
    EXPECT_EQ(report->lost, 1U);
    EXPECT_EQ(report->age, std::nullopt);
    EXPECT_EQ(report->told, std::nullopt);
}

TEST(FrrSessions, ANeighborThatIsNotThere) {
    for (const char* said : {"{}", "{\n  \"bgpNoSuchNeighbor\":true\n}\n"}) {
        const auto report = frr_neighbor(said, parsed("203.0.113.251"));
        ASSERT_TRUE(report);
        EXPECT_FALSE(report->known);
    }
}

TEST(FrrSessions, WhatANeighborWasTold) {
    ToldReport report;
    ASSERT_TRUE(frr_told(reply("frr_told"), report));
    ASSERT_TRUE(frr_told(reply("frr_told6"), report));
    ASSERT_EQ(report.routes.size(), 3U);
    EXPECT_EQ(report.routes[0].prefix, parsed("192.0.2.53"));
    EXPECT_EQ(report.routes[0].med, 0U);
    EXPECT_EQ(report.routes[1].med, 1001U);
    EXPECT_EQ(report.routes[2].prefix, parsed("2001:db8::53"));
    EXPECT_EQ(report.routes[2].med, 9U);
    EXPECT_EQ(report.routes[2].communities, std::nullopt);

    ToldReport other;
    EXPECT_TRUE(frr_told("{ \"warning\": \"No such neighbor or address family\" }", other));
    EXPECT_TRUE(frr_told(R"({"advertisedRoutes":{"10.0.0.0/8":{},"192.0.2.53/32":{"metric":"1"}}})",
                         other));
    EXPECT_EQ(other.strangers, std::vector<std::string>{"10.0.0.0/8"});
    ASSERT_EQ(other.routes.size(), 1U);
    EXPECT_EQ(other.routes[0].med, std::nullopt);
}

TEST(FrrSessions, ZebraWithoutBgpd) {
    const std::string clients = reply("zebra_clients");
    EXPECT_EQ(zebra_problem(clients), "");
    std::string without = clients;
    without.replace(without.find("\nbgp "), 5, "\nrip ");
    EXPECT_NE(zebra_problem(without), "");
    EXPECT_NE(zebra_problem(""), "");
}

TEST(FrrSessions, WhateverIsSaidDoesNoHarm) {
    for (const char* name : {"frr_neighbor", "frr_told"})
        replies::with_damaged(reply(name), [](const std::string& text) {
            (void)frr_neighbor(text, parsed("203.0.113.251"));
            ToldReport report;
            (void)frr_told(text, report);
            EXPECT_LE(report.routes.size(), text.size());
            (void)zebra_problem(text);
        });
    // Of every type where another one is right.
    for (const char* value : {"null", "true", "-1", "1e300", "\"x\"", "[]", "{}", "[{\"a\":1}]"}) {
        const std::string v = value;
        EXPECT_TRUE(frr_neighbor("{\"203.0.113.251\":" + v + "}", parsed("203.0.113.251")));
        for (const char* key : {"bgpState", "bgpTimerUpMsec", "connectionsDropped", "peerBfdInfo",
                                "lastResetDueTo", "messageStats", "addressFamilyInfo"})
            EXPECT_TRUE(frr_neighbor("{\"203.0.113.251\":{\"" + std::string(key) + "\":" + v + "}}",
                                     parsed("203.0.113.251")));
        ToldReport report;
        EXPECT_TRUE(frr_told("{\"advertisedRoutes\":" + v + "}", report));
        EXPECT_TRUE(frr_told("{\"advertisedRoutes\":{\"192.0.2.53/32\":" + v + "}}", report));
    }
    EXPECT_FALSE(frr_neighbor("", parsed("203.0.113.251")));
    EXPECT_FALSE(frr_neighbor("[]", parsed("203.0.113.251")));
    EXPECT_FALSE(frr_neighbor("% [BGP] Unknown command: show", parsed("203.0.113.251")));
    EXPECT_FALSE(frr_neighbor(std::string(1000000, '['), parsed("203.0.113.251")));
    EXPECT_FALSE(frr_neighbor("{\"a\":" + std::string(1000000, '['), parsed("203.0.113.251")));
}

}  // namespace
}  // namespace dnsdirector::announce
