// SPDX-License-Identifier: Apache-2.0
#include "announce/session_book.h"

#include <gtest/gtest.h>

#include "unit/announce/replies.h"

namespace dnsdirector::announce {
namespace {

using core::RouteState;
using replies::parsed;

class SessionBookTest : public testing::Test {
protected:
    SessionBookTest() { book.configure(bgp, "BIRD", "/run/dnsdirector/bird.ctl", now()); }

    Moment now() const {
        return {TimePoint{time},
                WallTime{std::chrono::duration_cast<Microseconds>(Seconds{1'800'000'000} + time)}};
    }
    void pass(Nanoseconds more) { time += more; }

    static NeighborReport up(Nanoseconds age, std::uint64_t told = 0) {
        NeighborReport report;
        report.known = true;
        report.session = "established";
        report.age = age;
        report.told = told;
        return report;
    }
    static NeighborReport lost(const char* why) {
        NeighborReport report;
        report.known = true;
        report.session = "idle";
        report.last_error = why;
        return report;
    }
    static ToldReport told(std::initializer_list<std::pair<const char*, std::uint32_t>> routes) {
        ToldReport report;
        for (const auto& [prefix, med] : routes)
            report.routes.push_back({parsed(prefix), med, std::nullopt, std::nullopt});
        return report;
    }
    /// Both neighbours are up, and were told of what is expected; the start is over.
    void begin() {
        book.expect({{parsed("192.0.2.53"), RouteState::announced}}, now().time);
        book.answers(now());
        for (std::size_t i : {0U, 1U})
            book.seen(i, up(Seconds{60}, 1), now());
        look({{"192.0.2.53", 0}});
        pass(Seconds{10});
        (void)book.take_events();
    }
    void look(std::initializer_list<std::pair<const char*, std::uint32_t>> routes) {
        for (std::size_t i : {0U, 1U}) {
            book.seen(i, up(Seconds{60} + time, routes.size()), now());
            book.told(i, told(routes), now().time, now());
        }
    }
    const NeighborSession& neighbor(std::size_t i = 0) const { return book.state().neighbors[i]; }
    std::vector<std::string> events() {
        std::vector<std::string> texts;
        for (const SessionEvent& each : book.take_events())
            texts.push_back((each.is_bad ? "! " : "") + each.text);
        return texts;
    }
    using Lines = std::vector<std::string>;

    core::Bgp bgp = replies::block();
    SessionBook book;
    Nanoseconds time{Seconds{100}};
};

TEST_F(SessionBookTest, ASessionComesAndGoes) {
    EXPECT_FALSE(book.state().answering);
    EXPECT_EQ(book.state().problem, "not asked yet");
    book.answers(now());
    EXPECT_EQ(events(), Lines{"BIRD answers at /run/dnsdirector/bird.ctl"});
    book.seen(0, lost(""), now());
    EXPECT_EQ(events(), Lines{"! neighbor 203.0.113.251 (core1): session is not established"});
    pass(Seconds{1});
    book.seen(0, up(Milliseconds{200}), now());
    EXPECT_EQ(events(), Lines{"neighbor 203.0.113.251 (core1): session established"});
    EXPECT_EQ(neighbor().since, now().wall - Milliseconds{200});
    const auto since = neighbor().since;
    pass(Seconds{1});
    // The daemon's clock is not ours to the microsecond.
    book.seen(0, up(Milliseconds{1201}), now());
    EXPECT_EQ(neighbor().since, since);
    EXPECT_EQ(events(), Lines{});
    book.seen(0, lost("Hold timer expired\x1b[0m"), now());
    EXPECT_EQ(neighbor().session, "idle");
    EXPECT_EQ(neighbor().flaps, 1U);
    EXPECT_EQ(neighbor().last_error, "Hold timer expired?[0m");
    EXPECT_EQ(events(), Lines{"! neighbor 203.0.113.251 (core1): session lost: Hold timer "
                              "expired?[0m"});
}

TEST_F(SessionBookTest, AFlapBetweenTwoLooksIsSeenByItsAge) {
    begin();
    pass(Seconds{10});
    book.seen(0, up(Seconds{1}), now());
    EXPECT_EQ(neighbor().flaps, 1U);
    EXPECT_EQ(events(), Lines{"! neighbor 203.0.113.251 (core1): session was lost, and is "
                              "established again"});
    EXPECT_TRUE(neighbor().told.empty());
}

TEST_F(SessionBookTest, AFlapIsSeenByTheDaemonsOwnCount) {
    book.answers(now());
    auto report = up(Seconds{1});
    report.lost = 0;
    book.seen(0, report, now());
    report.lost = 1;
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().flaps, 1U);
}

TEST_F(SessionBookTest, ASilentDaemonKnowsNothing) {
    begin();
    book.silent("BIRD does not answer", now());
    EXPECT_FALSE(book.state().answering);
    EXPECT_EQ(book.state().since, now().wall);
    EXPECT_EQ(neighbor().session, "unknown");
    EXPECT_TRUE(neighbor().told.empty());
    EXPECT_EQ(events(), Lines{"! BIRD does not answer"});
    const WallTime since = book.state().since;
    pass(Milliseconds{1500});
    book.silent("BIRD does not run", now());
    EXPECT_EQ(book.state().problem, "BIRD does not run");
    EXPECT_EQ(book.state().since, since);
    EXPECT_EQ(events(), Lines{});
    book.answers(now());
    EXPECT_EQ(events(), Lines{"BIRD answers again, after 1.5 s"});
    // The same session as before: it was never lost, and told what it was told.
    book.seen(0, up(Seconds{60} + time), now());
    EXPECT_EQ(neighbor().flaps, 0U);
    EXPECT_EQ(neighbor().session, "established");
    book.told(0, told({{"192.0.2.53", 0}}), now().time, now());
    EXPECT_LT(neighbor().told.at(0).since, since);
}

TEST_F(SessionBookTest, APartThatAils) {
    begin();
    book.ails("zebra", "zebra does not answer", now());
    EXPECT_TRUE(book.state().answering);
    EXPECT_EQ(book.state().problem, "zebra does not answer");
    book.ails("zebra", "", now());
    EXPECT_EQ(events(), (Lines{"! zebra does not answer", "BIRD is well again"}));
}

TEST_F(SessionBookTest, APartIsNotTheWhole) {
    book.ails("zebra", "zebra does not run", now());
    EXPECT_FALSE(book.state().answering);
    EXPECT_EQ(events(), Lines{});
    book.answers(now());
    EXPECT_EQ(book.state().problem, "zebra does not run");
    EXPECT_EQ(events(),
              (Lines{"! zebra does not run", "BIRD answers at /run/dnsdirector/bird.ctl"}));
}

TEST_F(SessionBookTest, WhatIsNotToldIsAProblem) {
    begin();
    look({});
    EXPECT_EQ(neighbor().problems, Lines{"it is not told of 192.0.2.53, though announced"});
    EXPECT_EQ(events(),
              (Lines{"! neighbor 203.0.113.251 (core1): it is not told of 192.0.2.53, though "
                     "announced",
                     "! neighbor 203.0.113.252: it is not told of 192.0.2.53, though announced"}));
    EXPECT_TRUE(book.is_due(0, now().time));
    look({{"192.0.2.53", 0}});
    EXPECT_EQ(events(), (Lines{"neighbor 203.0.113.251 (core1): all is as it should be again",
                               "neighbor 203.0.113.252: all is as it should be again"}));
    EXPECT_FALSE(book.is_due(0, now().time));
}

TEST_F(SessionBookTest, AChangeHasItsTime) {
    begin();
    book.expect({{parsed("192.0.2.53"), RouteState::degraded},
                 {parsed("192.0.2.54"), RouteState::announced}},
                now().time);
    EXPECT_TRUE(book.is_due(0, now().time));
    look({{"192.0.2.53", 0}});
    EXPECT_EQ(neighbor().problems, Lines{});
    EXPECT_TRUE(book.is_due(0, now().time));  // it is too early, but look again
    pass(SessionBook::patience_after_change);
    look({{"192.0.2.53", 0}});
    EXPECT_EQ(neighbor().problems, (Lines{"it is not told of 192.0.2.54, though announced",
                                          "it is told of 192.0.2.53 with MED 0 instead of 1000"}));
    look({{"192.0.2.53", 1000}, {"192.0.2.54", 1}});
    EXPECT_EQ(neighbor().problems, Lines{});
    EXPECT_EQ(neighbor().told.at(0).since, now().wall);
}

TEST_F(SessionBookTest, WhatIsWithdrawnMustNotBeTold) {
    begin();
    book.expect({}, now().time);
    pass(Seconds{2});
    look({{"192.0.2.53", 0}});
    EXPECT_EQ(neighbor().problems, Lines{"it is told of 192.0.2.53, though withdrawn"});
}

TEST_F(SessionBookTest, WhatIsNoServiceIpMustNotBeTold) {
    begin();
    ToldReport report = told({{"192.0.2.53", 0}, {"192.0.2.99", 0}});
    report.strangers = {"0.0.0.0/0"};
    book.told(0, report, now().time, now());
    ASSERT_FALSE(neighbor().problems.empty());
    EXPECT_EQ(neighbor().problems[0], "it is told of 0.0.0.0/0 and 1 more, no service IP of ours");
}

TEST_F(SessionBookTest, ItsFamiliesAreAsked) {
    begin();
    // Only the second neighbour has a next hop for IPv6.
    book.expect({{parsed("192.0.2.53"), RouteState::announced},
                 {parsed("2001:db8::53"), RouteState::announced}},
                now().time);
    pass(Seconds{2});
    look({{"192.0.2.53", 0}});
    EXPECT_EQ(neighbor(0).problems, Lines{});
    EXPECT_EQ(neighbor(1).problems, Lines{"it is not told of 2001:db8::53, though announced"});
}

TEST_F(SessionBookTest, ASessionThatIsNewHasItsTime) {
    book.expect({{parsed("192.0.2.53"), RouteState::announced}}, now().time);
    pass(Seconds{60});
    book.answers(now());
    book.seen(0, up(Milliseconds{100}), now());
    book.told(0, told({}), now().time, now());
    EXPECT_EQ(neighbor().problems, Lines{});
    pass(Seconds{2});
    book.told(0, told({}), now().time, now());
    EXPECT_EQ(neighbor().problems.size(), 1U);
}

TEST_F(SessionBookTest, WhatWentOutIsCountedToo) {
    begin();
    book.seen(0, up(Seconds{60} + time, 3), now());
    book.told(0, told({{"192.0.2.53", 0}}), now().time, now());
    EXPECT_EQ(neighbor().problems, Lines{});  // it may have changed between the two answers
    book.told(0, told({{"192.0.2.53", 0}}), now().time, now());
    EXPECT_EQ(neighbor().problems,
              Lines{"BIRD counts 3 prefixes that it was told, and its filters let 1 pass"});
}

TEST_F(SessionBookTest, NothingMayBeAccepted) {
    begin();
    auto report = up(Seconds{60} + time);
    report.accepted = 1;
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().problems, Lines{"prefixes are accepted from it, and none should be"});
    bgp.neighbors[0].accept_default = true;
    book.configure(bgp, "BIRD", "/run/dnsdirector/bird.ctl", now());
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().problems, Lines{});
    report.accepted = 2;
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().problems, Lines{"more is accepted from it than a default route"});
}

TEST_F(SessionBookTest, ANeighborThatTheDaemonDoesNotKnow) {
    begin();
    book.seen(0, {}, now());
    EXPECT_EQ(neighbor().session, "missing");
    ASSERT_EQ(neighbor().problems.size(), 1U);
    EXPECT_EQ(neighbor().problems[0].find("BIRD has no such neighbor"), 0U);
}

TEST_F(SessionBookTest, BfdThatIsNotUp) {
    bgp.neighbors[0].bfd = core::Bfd{Milliseconds{100}, 3};
    book.configure(bgp, "BIRD", "/run/dnsdirector/bird.ctl", now());
    book.answers(now());
    auto report = up(Seconds{9});
    report.bfd = "down";
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().problems, Lines{});
    pass(Seconds{1});
    report.age = Seconds{10};
    book.seen(0, report, now());
    EXPECT_EQ(neighbor().problems, Lines{"BFD is down while the session is established; is it "
                                         "configured at the neighbor?"});
}

TEST_F(SessionBookTest, LooksAreRareWhereTheyAreCostly) {
    begin();
    EXPECT_TRUE(book.is_due(0, now().time));  // after 10 s
    const TimePoint asked = now().time;
    pass(Milliseconds{200});
    book.told(0, told({{"192.0.2.53", 0}}), asked, now());
    pass(Seconds{19});  // there are two neighbours
    EXPECT_FALSE(book.is_due(0, now().time));
    pass(Seconds{1});
    EXPECT_TRUE(book.is_due(0, now().time));
    book.told(0, told({{"192.0.2.53", 0}}), now().time - Milliseconds{200}, now());
    book.expect({}, now().time);
    EXPECT_FALSE(book.is_due(0, now().time + Seconds{3}));
    EXPECT_TRUE(book.is_due(0, now().time + Seconds{4}));
}

TEST_F(SessionBookTest, NeighborsThatStayKeepTheirHistoryOverAReload) {
    begin();
    book.seen(0, lost("Hold timer expired"), now());
    std::swap(bgp.neighbors[0], bgp.neighbors[1]);
    bgp.neighbors[0].address = parsed("203.0.113.253");
    book.configure(bgp, "BIRD", "/run/dnsdirector/bird.ctl", now());
    EXPECT_EQ(neighbor(0).address, parsed("203.0.113.253"));
    EXPECT_EQ(neighbor(0).session, "unknown");
    EXPECT_EQ(neighbor(1).flaps, 1U);
    EXPECT_EQ(neighbor(1).session, "idle");
    EXPECT_TRUE(book.state().answering);
    book.configure(bgp, "FRR", "/run/frr", now());
    EXPECT_FALSE(book.state().answering);
    EXPECT_EQ(neighbor(1).flaps, 0U);
}

}  // namespace
}  // namespace dnsdirector::announce
