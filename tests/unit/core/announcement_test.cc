// SPDX-License-Identifier: Apache-2.0
#include "core/announcement.h"

#include "unit/core/desired_fixture.h"

namespace dnsdirector::core {
namespace {

using namespace std::chrono_literals;
using enum AnnouncementState;

/// A service IP with a UDP and a TCP service of four servers each.
class Announced {
public:
    Announced() { tcp.service.key.protocol = Protocol::tcp; }

    AnnouncementState decide() {
        udp.now = tcp.now = now;
        udp.decide();
        tcp.decide();
        const AnnouncedService services[] = {{&udp.service, &udp.decision},
                                             {&tcp.service, &tcp.decision}};
        decision = core::decide({.service_ip = udp.service.key.address,
                                 .services = services,
                                 .policy = policy,
                                 .withdrawn_by_operator = withdrawn,
                                 .forwarding_refused = refused,
                                 .leaving = leaving,
                                 .draining_time = 1s,
                                 .before = decision,
                                 .now = now,
                                 .wall_now = udp.wall()});
        return decision.state;
    }
    AnnouncementState after(Nanoseconds time) {
        now += time;
        return decide();
    }
    void all_down(Cluster& cluster) {
        for (std::size_t i = 0; i < 4; ++i)
            cluster.down(i);
    }
    void all_up(Cluster& cluster) {
        for (std::size_t i = 0; i < 4; ++i)
            cluster.up(i);
    }

    Cluster udp{{1, 1, 1, 1}};
    Cluster tcp{{1, 1, 1, 1}};
    AnnouncementPolicy policy;
    bool withdrawn = false;
    bool refused = false;
    Leaving leaving = Leaving::no;
    TimePoint now = at(1000s);
    AnnouncementDecision decision;
};

TEST(Announcement, is_made_when_all_needed_services_have_their_quorum) {
    Announced it;
    EXPECT_EQ(it.decide(), announced);
    EXPECT_EQ(it.decision.reason, "");
    EXPECT_EQ(it.decision.transitions, 1U);
}

TEST(Announcement, goes_at_once_when_one_of_them_loses_it_and_says_which) {
    Announced it;
    it.decide();
    it.all_down(it.tcp);
    EXPECT_EQ(it.after(1ms), withdrawn);
    EXPECT_EQ(it.decision.reason, "192.0.2.53:53/tcp: quorum not met, 0 of 1");
    EXPECT_EQ(it.decision.since, it.now);
}

TEST(Announcement, does_not_mind_a_service_that_is_not_needed) {
    Announced it;
    it.policy.needs = {true, false};
    it.all_down(it.tcp);
    EXPECT_EQ(it.decide(), announced);
    it.all_down(it.udp);
    EXPECT_EQ(it.decide(), withdrawn);
}

TEST(Announcement, needs_what_there_is_where_nothing_is_there_of_what_it_needs) {
    Announced it;
    it.policy.needs = {true, false};
    it.udp.service.key.protocol = Protocol::tcp;
    it.all_down(it.udp);
    EXPECT_EQ(it.decide(), withdrawn);
}

TEST(Announcement, waits_for_the_first_verdict_about_each_server) {
    Announced it;
    it.udp.unknown(2, Untested::in);
    EXPECT_EQ(it.decide(), withdrawn);
    EXPECT_EQ(it.decision.reason, "ns2 of 192.0.2.53:53/udp was not judged yet");
    it.udp.down(2);
    EXPECT_EQ(it.after(1ms), announced);  // the first state is not damped
}

TEST(Announcement, does_not_wait_for_a_server_that_gets_no_work_anyway) {
    Announced it;
    it.udp.unknown(2, Untested::out);
    it.udp.drain(2);
    EXPECT_EQ(it.decide(), announced);
}

TEST(Announcement, stays_while_a_server_that_a_reload_added_is_not_judged_yet) {
    Announced it;
    it.decide();
    it.udp.unknown(2, Untested::out);
    EXPECT_EQ(it.after(1ms), announced);
    EXPECT_EQ(it.decision.transitions, 1U);
    EXPECT_EQ(it.decision.reason, "as before, since ns2 of 192.0.2.53:53/udp was not judged yet");
}

TEST(Announcement, that_a_predecessor_left_stays_until_all_is_known) {
    Announced it;
    it.decision = adopted(degraded, it.now, it.udp.wall());
    for (std::size_t i = 0; i < 4; ++i)
        it.udp.unknown(i, Untested::out);
    EXPECT_EQ(it.decide(), degraded);
    EXPECT_EQ(it.decision.transitions, 0U);
    it.all_up(it.udp);
    EXPECT_EQ(it.after(1ms), announced);
}

TEST(Announcement, that_a_predecessor_left_goes_when_nobody_is_well) {
    Announced it;
    it.decision = adopted(announced, it.now, it.udp.wall());
    it.all_down(it.udp);
    EXPECT_EQ(it.decide(), withdrawn);
    it.all_up(it.udp);
    EXPECT_EQ(it.after(1s), withdrawn);  // that was a change: damped
    EXPECT_EQ(it.after(4s), announced);
}

TEST(Announcement, comes_back_min_interval_after_the_last_change) {
    Announced it;
    it.decide();
    it.all_down(it.udp);
    it.after(10s);
    it.all_up(it.udp);
    EXPECT_EQ(it.after(2s), withdrawn);
    EXPECT_EQ(it.decision.reason,
              "well enough to be announced again, which waits for "
              "min_interval, 5s");
    ASSERT_TRUE(it.decision.next_change.has_value());
    EXPECT_EQ(*it.decision.next_change, it.now + 3s);
    EXPECT_EQ(it.after(3s - 1ns), withdrawn);
    EXPECT_EQ(it.after(1ns), announced);
    EXPECT_FALSE(it.decision.next_change.has_value());
}

TEST(Announcement, that_fails_again_while_it_waits_begins_no_new_wait) {
    Announced it;
    it.decide();
    it.all_down(it.udp);
    it.after(10s);
    it.all_up(it.udp);
    it.after(2s);
    it.all_down(it.udp);
    EXPECT_EQ(it.after(1s), withdrawn);
    EXPECT_EQ(it.decision.reason, "192.0.2.53:53/udp: quorum not met, 0 of 1");
    it.all_up(it.udp);
    EXPECT_EQ(it.after(2s), announced);
}

TEST(Announcement, is_degraded_between_low_and_high_water) {
    Announced it;
    it.policy.low_water = 50;
    it.policy.high_water = 75;
    it.policy.min_interval = 0s;
    it.decide();
    it.udp.down(0);
    it.udp.down(1);
    EXPECT_EQ(it.after(1s), announced);  // 50% is not below it
    it.udp.down(2);
    EXPECT_EQ(it.after(1s), degraded);
    EXPECT_EQ(it.decision.reason,
              "192.0.2.53:53/udp: 1 of the weight 4 is up, less than low_water 50%");
    it.udp.up(2);
    EXPECT_EQ(it.after(1s), degraded);
    EXPECT_EQ(it.decision.reason,
              "192.0.2.53:53/udp: 2 of the weight 4 is up, less than high_water 75%");
    it.udp.up(1);
    EXPECT_EQ(it.after(1s), announced);
}

TEST(Announcement, gets_no_better_while_the_data_plane_refuses) {
    Announced it;
    it.refused = true;
    EXPECT_EQ(it.decide(), withdrawn);
    EXPECT_TRUE(
        it.decision.reason.starts_with("well enough to be announced, which waits for the "
                                       "data plane"))
        << it.decision.reason;
    it.refused = false;
    EXPECT_EQ(it.after(1s), announced);
    it.refused = true;
    EXPECT_EQ(it.after(1s), announced);
    it.all_down(it.udp);
    EXPECT_EQ(it.after(1s), withdrawn);
}

TEST(Announcement, is_withdrawn_by_the_operator_and_back_at_once) {
    Announced it;
    it.decide();
    it.withdrawn = true;
    EXPECT_EQ(it.after(1ms), withdrawn);
    EXPECT_EQ(it.decision.reason,
              "withdrawn by the operator; `dnsdirector announce 192.0.2.53` takes it back");
    it.withdrawn = false;
    EXPECT_EQ(it.after(1ms), announced);
    EXPECT_EQ(it.decision.transitions, 3U);
}

TEST(Announcement, that_the_operator_gives_back_is_as_health_says) {
    Announced it;
    it.decide();
    it.withdrawn = true;
    it.after(1s);
    it.all_down(it.udp);
    it.after(1s);
    it.withdrawn = false;
    EXPECT_EQ(it.after(1s), withdrawn);
    EXPECT_EQ(it.decision.reason, "192.0.2.53:53/udp: quorum not met, 0 of 1");
}

TEST(Announcement, drains_before_it_goes_and_comes_back_at_once) {
    Announced it;
    it.decide();
    it.leaving = Leaving::drained;
    EXPECT_EQ(it.after(1s), draining);
    EXPECT_EQ(*it.decision.next_change, it.now + 1s);
    EXPECT_EQ(it.after(999ms), draining);
    EXPECT_EQ(it.after(1ms), withdrawn);
    EXPECT_EQ(it.decision.reason, "this director is drained by the operator");
    EXPECT_EQ(it.after(100s), withdrawn);
    it.leaving = Leaving::no;
    EXPECT_EQ(it.after(1ms), announced);
}

TEST(Announcement, that_drains_goes_at_once_when_nobody_is_well) {
    Announced it;
    it.decide();
    it.leaving = Leaving::stopping;
    it.decide();
    it.all_down(it.udp);
    EXPECT_EQ(it.after(1ms), withdrawn);
}

TEST(Announcement, that_was_withdrawn_is_not_told_of_again_by_draining) {
    Announced it;
    it.all_down(it.udp);
    it.decide();
    it.leaving = Leaving::drained;
    it.decide();
    it.all_up(it.udp);
    EXPECT_EQ(it.after(100s), withdrawn);
}

TEST(AnnouncementRoutes, stand_for_states) {
    const IpAddress a = address("192.0.2.53");
    const IpAddress b = address("2001:db8::53");
    EXPECT_EQ(states_of({{a, 1}, {a, 100}, {b, 2}, {b, 7}}),
              (std::map<IpAddress, AnnouncementState>{{a, announced}, {b, degraded}}));
}

TEST(AnnouncementRoutes, differ_by_additions_first) {
    const IpAddress a = address("192.0.2.53");
    const IpAddress b = address("2001:db8::53");
    const IpAddress c = address("192.0.2.54");
    const std::vector<RouteChange> changes =
        diff({{a, 1}, {c, 1}, {b, 7}}, {{a, RouteState::draining}, {b, RouteState::announced}});
    const std::vector<RouteChange> expected = {
        {true, {a, 100}}, {true, {b, 1}}, {false, {a, 1}}, {false, {c, 1}}, {false, {b, 7}}};
    EXPECT_EQ(changes, expected);
    EXPECT_TRUE(diff({{a, 2}}, {{a, RouteState::degraded}}).empty());
}

/// Whatever happens in whatever order: what a needed service without its quorum, the operator
/// and leaving ask for is done at once; and a better state by health never comes too early.
TEST(AnnouncementProperty, never_announces_what_must_not_be) {
    expect_always("announcements", [] {
        Announced it;
        it.policy.min_interval = Seconds{*rc::gen::inRange(0, 4)};
        it.policy.low_water = *rc::gen::inRange<std::uint32_t>(0, 101);
        it.policy.high_water = *rc::gen::inRange<std::uint32_t>(it.policy.low_water, 101);
        std::optional<TimePoint> worse_at;
        for (int step = 0; step < 40; ++step) {
            it.now += Milliseconds{*rc::gen::inRange(0, 1500)};
            Cluster& cluster = *rc::gen::arbitrary<bool>() ? it.udp : it.tcp;
            const auto server = *rc::gen::inRange<std::size_t>(0, 4);
            switch (*rc::gen::inRange(0, 6)) {
                case 0: it.all_down(cluster); break;
                case 1: it.all_up(cluster); break;
                case 2: cluster.down(server); break;
                case 3: cluster.up(server); break;
                case 4: it.withdrawn = *rc::gen::arbitrary<bool>(); break;
                default: it.leaving = *rc::gen::arbitrary<bool>() ? Leaving::no : Leaving::drained;
            }
            const AnnouncementDecision before = it.decision;
            const AnnouncementState state = it.decide();
            const bool quorum = it.udp.decision.quorum.met && it.tcp.decision.quorum.met;
            RC_ASSERT(state == withdrawn || quorum);
            RC_ASSERT(state == withdrawn || !it.withdrawn);
            RC_ASSERT(state == withdrawn || state == draining || it.leaving == Leaving::no);
            RC_ASSERT((state == announced) == it.decision.reason.empty());
            if (before.decided && it.decision.by_health < before.by_health && worse_at)
                RC_ASSERT(it.now >= *worse_at + it.policy.min_interval);
            if (before.decided && it.decision.by_health != before.by_health) worse_at = it.now;
        }
    });
}

}  // namespace
}  // namespace dnsdirector::core
