// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_sessions.h"

#include <gtest/gtest.h>

#include "announce/control_protocol.h"
#include "unit/announce/replies.h"

namespace dnsdirector::announce {
namespace {

using replies::parsed;

std::string said_by_bird(const std::string& name) {
    return bird_reply(replies::reply(name))->text;
}

Nanoseconds at(int hours, int minutes, int seconds, int microseconds) {
    using namespace std::chrono;
    return sys_days{2026y / 11 / 29}.time_since_epoch() + std::chrono::hours{hours} +
           std::chrono::minutes{minutes} + std::chrono::seconds{seconds} +
           std::chrono::microseconds{microseconds};
}

TEST(BirdSessions, Status) {
    const BirdStatus status = bird_status(said_by_bird("bird_status"));
    EXPECT_EQ(status.problem, "");
    EXPECT_EQ(status.time, at(5, 10, 54, 344154));
    EXPECT_EQ(bird_status("BIRD 2.0.12\nShutdown in progress\n").problem,
              "BIRD says of itself: Shutdown in progress");
    EXPECT_EQ(bird_status("Current server time is 1970-99-01 1:2\n").time, std::nullopt);
}

TEST(BirdSessions, SessionsThatAreUp) {
    const auto now = at(5, 15, 2, 0);
    const auto neighbors = bird_neighbors(said_by_bird("bird_protocols"), now);
    ASSERT_EQ(neighbors.size(), 3U);
    const NeighborReport& core1 = neighbors.at("dnsdirector_203_0_113_251");
    EXPECT_TRUE(core1.known);
    EXPECT_EQ(core1.session, "established");
    EXPECT_EQ(core1.age, now - at(5, 15, 0, 1617));
    EXPECT_EQ(core1.accepted, 0U);
    EXPECT_EQ(core1.told, 2U);
    EXPECT_EQ(core1.mark, "2 0 ");
    EXPECT_EQ(core1.last_error, "");
    // Both families in one session: 2 and 1.
    EXPECT_EQ(neighbors.at("dnsdirector_203_0_113_252").told, 3U);
}

TEST(BirdSessions, SessionsThatWereLost) {
    const auto neighbors = bird_neighbors(said_by_bird("bird_protocols_lost"), std::nullopt);
    const NeighborReport& core1 = neighbors.at("dnsdirector_203_0_113_251");
    EXPECT_EQ(core1.session, "connect");
    EXPECT_EQ(core1.last_error, "Socket: Connection closed");
    EXPECT_EQ(core1.told, std::nullopt);
    EXPECT_EQ(core1.age, std::nullopt);
    EXPECT_EQ(neighbors.at("dnsdirector_2001_db8_1__fb").session, "active");
    EXPECT_EQ(neighbors.at("dnsdirector_203_0_113_252").session, "established");
}

/// `timeformat protocol` of an existing BIRD, where it was not set: of today without a date.
TEST(BirdSessions, TimesInBirdsDefaultFormat) {
    const auto age_when = [](const char* since) {
        return bird_neighbors(std::string("core BGP --- up ") + since + " Established\n",
                              at(5, 0, 0, 0))
            .at("core")
            .age;
    };
    EXPECT_EQ(age_when("04:59:58.500"), Milliseconds{1500});
    EXPECT_EQ(age_when("23:00:00.000"), std::chrono::hours{6});
    EXPECT_EQ(age_when("2026-11-27"), std::nullopt);
    EXPECT_EQ(age_when("05:00:00.100"), Nanoseconds{0});
}

TEST(BirdSessions, AcceptedPrefixesAreCounted) {
    const auto neighbors = bird_neighbors(
        "core BGP --- up 2026-11-29 Established\n"
        "  BGP state:          Established\n"
        "  Channel ipv4\n"
        "    Routes:         12 imported, 3 filtered, 2 exported, 0 preferred\n"
        "  Channel ipv6\n"
        "    Routes:         1 imported, 0 exported, 0 preferred\n",
        std::nullopt);
    EXPECT_EQ(neighbors.at("core").accepted, 13U);
    EXPECT_EQ(neighbors.at("core").told, 2U);
}

TEST(BirdSessions, Bfd) {
    const auto states = bird_bfd(said_by_bird("bird_bfd"));
    EXPECT_EQ(states, (std::map<IpAddress, std::string>{{parsed("203.0.113.251"), "up"},
                                                        {parsed("203.0.113.252"), "down"},
                                                        {parsed("2001:db8:1::fb"), "up"}}));
}

TEST(BirdSessions, WhatANeighborWasTold) {
    ToldReport report;
    bird_told(said_by_bird("bird_told"), at(5, 10, 54, 344154), report);
    ASSERT_EQ(report.routes.size(), 3U);
    EXPECT_EQ(report.strangers, std::vector<std::string>{});
    EXPECT_EQ(report.routes[0].prefix, parsed("192.0.2.54"));
    EXPECT_EQ(report.routes[0].med, 1001U);
    EXPECT_EQ(report.routes[0].communities, core::Communities{});
    EXPECT_EQ(report.routes[0].age, Microseconds{344154 - 222604});
    EXPECT_EQ(report.routes[1].med, 0U);
    EXPECT_EQ(report.routes[1].communities->to_string(), "64512:1 64512:1:1");
    EXPECT_EQ(report.routes[2].prefix, parsed("2001:db8::53"));
    EXPECT_EQ(report.routes[2].med, 9U);
    EXPECT_EQ(report.routes[2].communities->to_string(), "65535:0");

    ToldReport other;
    bird_told(
        "Table master4:\n10.0.0.0/8  unicast [static1 05:00:00.000] * (200)\n"
        "                     unicast [static2 05:00:00.000] (100)\n"
        "\tBGP.med: 5\n192.0.2.53/32 blackhole\n",
        std::nullopt, other);
    EXPECT_EQ(other.strangers, std::vector<std::string>{"10.0.0.0/8"});
    ASSERT_EQ(other.routes.size(), 1U);
    EXPECT_EQ(other.routes[0].med, std::nullopt);
}

TEST(BirdSessions, WhateverIsSaidDoesNoHarm) {
    for (const char* name : {"bird_status", "bird_protocols", "bird_bfd", "bird_told"})
        replies::with_damaged(said_by_bird(name), [](const std::string& text) {
            const BirdStatus status = bird_status(text);
            EXPECT_LE(bird_neighbors(text, status.time).size(), text.size());
            EXPECT_LE(bird_bfd(text).size(), text.size());
            ToldReport report;
            bird_told(text, status.time, report);
            EXPECT_LE(report.routes.size(), text.size());
        });
    std::string many;
    for (int i = 0; i < 50000; ++i)
        many += "192.0.2.53/32 blackhole\n10.0.0.0/8 blackhole\n";
    ToldReport report;
    bird_told(many, std::nullopt, report);
    EXPECT_EQ(report.routes.size() + report.strangers.size(), 10000U);
}

}  // namespace
}  // namespace dnsdirector::announce
