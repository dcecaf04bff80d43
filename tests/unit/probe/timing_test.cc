// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "probe/schedule.h"
#include "probe/timer_wheel.h"
#include "unit/probe/drive.h"
#include "unit/probe/responder.h"
#include "unit/support/wait.h"

namespace dnsdirector::probe {
namespace {

constexpr TimePoint start{Seconds{1000}};

std::vector<std::uint64_t> pop_all(TimerWheel& wheel, TimePoint now) {
    std::vector<std::uint64_t> tokens;
    while (const TimerWheel::Node* node = wheel.pop(now))
        tokens.push_back(node->token);
    return tokens;
}

TEST(TimerWheel, FiresNeverBeforeItsTimeAndAtTheNextTick) {
    TimerWheel wheel(start);
    TimerWheel::Node node(7);
    EXPECT_EQ(wheel.next(), std::nullopt);
    wheel.arm(node, start + Microseconds{2500});
    EXPECT_EQ(wheel.next(), start + Milliseconds{3});
    EXPECT_EQ(wheel.pop(start + Microseconds{2999}), nullptr);
    EXPECT_EQ(wheel.pop(start + Milliseconds{3}), &node);
    EXPECT_FALSE(node.armed());
    EXPECT_EQ(wheel.next(), std::nullopt);
}

TEST(TimerWheel, WhatIsPastFiresAtOnce) {
    TimerWheel wheel(start);
    TimerWheel::Node node(7);
    wheel.pop(start + Seconds{5});
    wheel.arm(node, start);
    EXPECT_LE(wheel.next(), start + Seconds{5});
    EXPECT_EQ(wheel.pop(start + Seconds{5}), &node);
}

TEST(TimerWheel, FiresAcrossManyTurns) {
    TimerWheel wheel(start);
    TimerWheel::Node node(7);
    const TimePoint due = start + Seconds{100};
    wheel.arm(node, due);
    int wakes = 0;
    while (*wheel.next() < due) {
        EXPECT_EQ(wheel.pop(*wheel.next()), nullptr);
        ASSERT_LT(++wakes, 20);
    }
    EXPECT_EQ(wheel.pop(due), &node);
}

TEST(TimerWheel, SurvivesASleepOfTheMachine) {
    TimerWheel wheel(start);
    TimerWheel::Node soon(1), late(2), later(3);
    wheel.arm(soon, start + Seconds{1});
    wheel.arm(late, start + Seconds{1000});
    wheel.arm(later, start + Seconds{5000});
    EXPECT_EQ(pop_all(wheel, start + Seconds{4000}).size(), 2);
    EXPECT_TRUE(later.armed());
}

TEST(TimerWheel, DisarmedAndDestroyedTimersDoNotFire) {
    TimerWheel wheel(start);
    TimerWheel::Node disarmed(1);
    {
        TimerWheel::Node destroyed(2);
        wheel.arm(destroyed, start + Milliseconds{5});
        wheel.arm(disarmed, start + Milliseconds{5});
        TimerWheel::disarm(disarmed);
    }
    EXPECT_TRUE(pop_all(wheel, start + Seconds{1}).empty());
}

TEST(TimerWheel, AgreesWithASortedMap) {
    std::mt19937_64 random(1);
    TimerWheel wheel(start);
    std::vector<std::unique_ptr<TimerWheel::Node>> nodes;
    for (std::uint64_t index = 0; index < 200; ++index)
        nodes.push_back(std::make_unique<TimerWheel::Node>(index));
    std::map<std::uint64_t, TimePoint> expected;
    TimePoint now = start;
    for (int step = 0; step < 20000; ++step) {
        const std::uint64_t which = random() % nodes.size();
        const Nanoseconds ahead = Microseconds{random() % (step % 7 == 0 ? 30'000'000 : 20'000)};
        wheel.arm(*nodes[which], now + ahead);
        expected[which] = now + ahead;
        now += Microseconds{random() % 1500};
        for (const std::uint64_t token : pop_all(wheel, now)) {
            ASSERT_LE(expected.at(token), now);
            expected.erase(token);
        }
        for (const auto& [token, due] : expected) {
            ASSERT_GT(due + TimerWheel::tick_length, now);
            ASSERT_LE(*wheel.next(), due + TimerWheel::tick_length);
        }
    }
}

core::CheckTiming every(Nanoseconds interval) {
    core::CheckTiming timing;
    timing.every = interval;
    return timing;
}

/// As with ten thousand checks: rounds are spread all over their interval.
Pacing busy() {
    Pacing pacing(1);
    for (int check = 0; check < 10000; ++check)
        pacing.add(Seconds{1});
    return pacing;
}

TEST(Pacing, FewChecksGatherInCellsAndManyAreSpread) {
    const auto starts = [](Pacing& pacing) {
        std::set<TimePoint> times;
        for (int check = 0; check < 1000; ++check)
            times.insert(pacing.place(start + check * Milliseconds{1}, Seconds{1}));
        return times.size();
    };
    Pacing idle(1);
    for (int check = 0; check < 44; ++check)
        idle.add(Seconds{1});
    EXPECT_LE(starts(idle), 6);
    EXPECT_GE(starts(idle), 3);
    Pacing many = busy();
    EXPECT_GT(starts(many), 200);
}

TEST(Pacing, StartsNearTheSlotAlsoInCells) {
    Pacing pacing(1);
    pacing.add(Milliseconds{100});
    for (int slot = 0; slot < 1000; ++slot) {
        const TimePoint time = start + slot * Microseconds{99'100};
        const Nanoseconds moved = pacing.place(time, Milliseconds{100}) - time;
        ASSERT_GE(moved, Nanoseconds{0});
        ASSERT_LE(moved, Milliseconds{13});
    }
}

TEST(Schedule, StaysInItsSlotsWithoutDrift) {
    Pacing pacing = busy();
    Schedule schedule(every(Milliseconds{100}), false, start, start, pacing);
    const TimePoint first = schedule.due();
    EXPECT_GE(first, start - Milliseconds{2});
    EXPECT_LT(first, start + Milliseconds{108});
    for (int round = 1; round <= 1000; ++round) {
        schedule.advance(schedule.due() + Milliseconds{1}, pacing);
        const Nanoseconds off = schedule.due() - (first + round * Milliseconds{100});
        ASSERT_LE(off, Milliseconds{9});
        ASSERT_GE(off, Milliseconds{-9});
    }
}

TEST(Schedule, PhasesAreSpreadOverTheInterval) {
    Pacing pacing = busy();
    std::array<int, 10> tenths{};
    for (int check = 0; check < 1000; ++check) {
        const Schedule schedule(every(Seconds{1}), false, start, start, pacing);
        const Nanoseconds phase = (schedule.due() - start + Seconds{1}) % Seconds{1};
        ++tenths.at(static_cast<std::size_t>(phase / Milliseconds{100}));
    }
    for (const int count : tenths)
        EXPECT_NEAR(count, 100, 40);
}

TEST(Schedule, AShortOverrunIsFollowedAtOnceAndALongOneLeavesSlotsOut) {
    Pacing pacing = busy();
    Schedule schedule(every(Milliseconds{100}), false, start, start, pacing);
    const TimePoint first = schedule.due();
    TimePoint end = first + Milliseconds{110};
    schedule.advance(end, pacing);
    EXPECT_EQ(schedule.due(), end);
    end = first + Milliseconds{390};
    schedule.advance(end, pacing);
    EXPECT_GT(schedule.due(), first + Milliseconds{390});
    EXPECT_LT(schedule.due(), first + Milliseconds{410});
}

TEST(Schedule, RoundsInsertedLeaveTheSlotsAlone) {
    Pacing pacing = busy();
    Schedule schedule(every(Seconds{1}), true, start, start, pacing);
    EXPECT_EQ(schedule.due(), start);
    schedule.advance(start + Microseconds{10}, pacing);
    const TimePoint slot = schedule.due();
    EXPECT_LT(slot, start + Milliseconds{1026});
    schedule.insert_round(start + Microseconds{20});
    EXPECT_EQ(schedule.due(), start + Microseconds{20});
    schedule.advance(start + Microseconds{30}, pacing);
    EXPECT_EQ(schedule.due(), slot);
}

TEST(Schedule, ARetryComesBetweenTheSlotsAndLeavesThemAlone) {
    Pacing pacing = busy();
    Schedule schedule(every(Seconds{60}), false, start, start, pacing);
    TimePoint end = schedule.due() + Milliseconds{5};
    schedule.advance(end, pacing);
    const TimePoint slot = schedule.due();
    for (int retry = 0; retry < 3; ++retry) {
        schedule.retry_round(end + Seconds{1}, Seconds{1}, pacing);
        EXPECT_EQ(schedule.due(), end + Seconds{1});
        end = schedule.due() + Milliseconds{5};
        schedule.advance(end, pacing);
        EXPECT_EQ(schedule.due(), slot);
    }
}

TEST(Schedule, ARetryTakesThePlaceOfTheSlotsBeforeItAndShortlyAfter) {
    Pacing pacing = busy();
    for (const Nanoseconds delay : {Milliseconds{900}, Milliseconds{1000}, Milliseconds{2500}}) {
        Schedule schedule(every(Seconds{1}), false, start, start, pacing);
        const TimePoint end = schedule.due() + Milliseconds{5};
        schedule.advance(end, pacing);
        schedule.retry_round(end + delay, delay, pacing);
        EXPECT_EQ(schedule.due(), end + delay);
        schedule.advance(end + delay + Milliseconds{5}, pacing);
        EXPECT_GE(schedule.due(), end + delay + Milliseconds{400});
        EXPECT_LE(schedule.due(), end + delay + Milliseconds{1600});
    }
}

TEST(Schedule, WarmUpDelaysTheFirstRoundByASecondAndAPart) {
    Pacing pacing = busy();
    core::CheckTiming timing = every(Seconds{10});
    timing.warmup = Seconds{10};
    const Schedule schedule(timing, true, start, start, pacing);
    EXPECT_GE(schedule.due(), start + Milliseconds{800});
    EXPECT_LE(schedule.due(), start + Milliseconds{11200});
}

core::Check dns_check(const Endpoint& target, Milliseconds interval) {
    core::Check check;
    check.target = target;
    check.what = core::DnsCheck{.name = "example.com"};
    check.timing.every = interval;
    check.timing.timeout = Milliseconds{100};
    check.timing.tries = 1;
    return check;
}

TEST(Prober, RoundsComeAtTheirInterval) {
    test::Responder server(
        [](const test::Bytes& query) { return test::Replies{test::reply_to(query)}; });
    test::Recorder recorder;
    recorder.prober->add(1, dns_check(server.endpoint(), Milliseconds{50}), true);
    ASSERT_TRUE(recorder.wait_for(12));
    // The second round is the first of the slots.
    std::vector<Nanoseconds> gaps;
    for (std::size_t i = 2; i < 12; ++i)
        gaps.push_back(recorder.verdicts[i].verdict.at - recorder.verdicts[i - 1].verdict.at);
    std::nth_element(gaps.begin(), gaps.begin() + 5, gaps.end());
    // The median: a machine that is busy may be late to some.
    EXPECT_GT(gaps[5], Milliseconds{30});
    EXPECT_LT(gaps[5], Milliseconds{100});
}

TEST(Prober, ASlowServerDelaysNoOther) {
    test::Responder silent({});
    test::Responder server(
        [](const test::Bytes& query) { return test::Replies{test::reply_to(query)}; });
    test::Recorder recorder;
    for (CheckId id = 0; id < 50; ++id)
        recorder.prober->add(id, dns_check(silent.endpoint(), Milliseconds{100}), true);
    recorder.prober->add(100, dns_check(server.endpoint(), Milliseconds{50}), true);
    int passes = 0;
    EXPECT_TRUE(test::drive(
        *recorder.prober,
        [&] {
            passes = 0;
            for (const auto& entry : recorder.verdicts)
                passes += entry.verdict.passed() ? 1 : 0;
            return passes >= 20;
        },
        Milliseconds{2500}));
}

TEST(Prober, ASilentServerIsFoundOutInTwoIntervalsOfItsTimeout) {
    test::Responder silent({});
    test::Recorder recorder;
    const auto begin = test::Steady::now();
    recorder.prober->add(1, dns_check(silent.endpoint(), Milliseconds{100}), true);
    ASSERT_TRUE(recorder.wait_for(3));
    EXPECT_LT(test::Steady::now() - begin, Milliseconds{2000});
}

TEST(Prober, HurryStartsTheNextRoundNow) {
    test::Responder server(
        [](const test::Bytes& query) { return test::Replies{test::reply_to(query)}; });
    test::Recorder recorder;
    recorder.prober->on_verdict = [&](CheckId id, core::Verdict verdict) {
        recorder.verdicts.push_back({id, std::move(verdict)});
        if (recorder.verdicts.size() < 5) recorder.prober->hurry(id);
    };
    core::Check check = dns_check(server.endpoint(), Milliseconds{60000});
    recorder.prober->add(1, check, true);
    EXPECT_TRUE(recorder.wait_for(5, Milliseconds{1000}));
}

TEST(Prober, RetryStartsTheNextRoundAfterItsDelay) {
    test::Recorder recorder;
    recorder.prober->on_verdict = [&](CheckId id, core::Verdict verdict) {
        recorder.verdicts.push_back({id, std::move(verdict)});
        recorder.prober->retry(id, Milliseconds{80});
    };
    recorder.prober->add(1, dns_check(test::closed_port(), Milliseconds{60000}), true);
    ASSERT_TRUE(recorder.wait_for(4));
    const Nanoseconds span = recorder.verdicts[3].verdict.at - recorder.verdicts[0].verdict.at;
    EXPECT_GE(span, Milliseconds{240});
    EXPECT_LT(span, Milliseconds{800});
}

TEST(Prober, ARoundThatReachesItsLimitHasFailed) {
    test::Responder silent({});
    test::Recorder recorder;
    core::Check check = dns_check(silent.endpoint(), Milliseconds{60000});
    check.timing.timeout = Milliseconds{150};
    check.timing.tries = 10;
    check.timing.limit = Milliseconds{400};
    const auto begin = test::Steady::now();
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, core::Failure::silence);
    EXPECT_EQ(verdict.reason, "timed out after 400ms");
    EXPECT_GE(test::Steady::now() - begin, Milliseconds{400});
    EXPECT_LT(test::Steady::now() - begin, Milliseconds{2000});
    EXPECT_TRUE(support::eventually([&] { return silent.udp_queries() >= 1; }));
    EXPECT_LE(silent.udp_queries(), 3);
}

TEST(Prober, ALimitLeavesRoundsAloneThatEndInTime) {
    int queries = 0;
    test::Responder server([&](const test::Bytes& query) {
        return ++queries % 2 == 1 ? test::Replies{} : test::Replies{test::reply_to(query)};
    });
    test::Recorder recorder;
    core::Check check = dns_check(server.endpoint(), Milliseconds{500});
    check.timing.timeout = Milliseconds{200};
    check.timing.tries = 2;
    check.timing.limit = Milliseconds{1000};
    recorder.prober->add(1, check, true);
    ASSERT_TRUE(recorder.wait_for(4));
    for (const auto& entry : recorder.verdicts)
        EXPECT_TRUE(entry.verdict.passed()) << entry.verdict.reason;
}

TEST(Prober, TheVerdictsReceiverMayRemoveAndAddChecks) {
    test::Responder server(
        [](const test::Bytes& query) { return test::Replies{test::reply_to(query)}; });
    test::Recorder recorder;
    const core::Check check = dns_check(server.endpoint(), Milliseconds{50});
    int verdicts = 0;
    recorder.prober->on_verdict = [&](CheckId id, const core::Verdict&) {
        ++verdicts;
        recorder.prober->remove(id);
        recorder.prober->remove(id ^ 1);
        recorder.prober->add(id + 2, check, true);
    };
    recorder.prober->add(0, check, true);
    recorder.prober->add(1, check, true);
    EXPECT_TRUE(test::drive(*recorder.prober, [&] { return verdicts >= 100; }));
}

TEST(Prober, ManyFirstRoundsAtOnceAllComeAndAreCounted) {
    test::Responder server(
        [](const test::Bytes& query) { return test::Replies{test::reply_to(query)}; });
    test::Recorder recorder;
    constexpr CheckId checks = 2000;
    core::Check check = dns_check(server.endpoint(), Milliseconds{60000});
    check.timing.timeout = Seconds{1};
    check.timing.tries = 3;  // the server's one socket may overflow
    for (CheckId id = 0; id < checks; ++id)
        recorder.prober->add(id, check, true);
    std::set<CheckId> passed;
    recorder.prober->on_verdict = [&](CheckId id, const core::Verdict& verdict) {
        recorder.verdicts.push_back({id, verdict});
        if (verdict.passed()) passed.insert(id);
    };
    EXPECT_TRUE(test::drive(*recorder.prober, [&] { return passed.size() == checks; }));
    // Some have had the first round of their slots as well.
    const ProberStatistics& statistics = recorder.prober->statistics();
    EXPECT_EQ(statistics.rounds, recorder.verdicts.size());
    EXPECT_GE(statistics.sent, statistics.rounds);
    std::uint64_t counted = 0;
    for (const std::uint64_t count : statistics.lateness)
        counted += count;
    EXPECT_GE(counted, statistics.rounds);
}

}  // namespace
}  // namespace dnsdirector::probe
