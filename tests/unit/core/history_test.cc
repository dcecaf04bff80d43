// SPDX-License-Identifier: Apache-2.0
#include "core/history.h"

#include <gtest/gtest.h>

#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

WallTime second(std::int64_t number) {
    return WallTime{Seconds{number}};
}

Verdict passed(std::int64_t at) {
    Verdict verdict;
    verdict.rtt = Microseconds{180};
    verdict.wall_at = second(at);
    return verdict;
}

Verdict failed(std::int64_t at, std::string reason, std::size_t reply_bytes = 0) {
    Verdict verdict;
    verdict.failure = Failure::answer;
    verdict.reason = std::move(reason);
    verdict.wall_at = second(at);
    if (reply_bytes != 0)
        verdict.reply = std::make_shared<const std::vector<std::uint8_t>>(reply_bytes);
    return verdict;
}

std::size_t with_reply(const CheckHistory& history) {
    std::size_t count = 0;
    for (const PastVerdict& verdict : history.list())
        count += verdict.reply != nullptr ? 1 : 0;
    return count;
}

TEST(CheckHistory, keeps_the_last_fifty_verdicts_oldest_first) {
    CheckHistory history;
    EXPECT_TRUE(history.list().empty());
    for (int i = 1; i <= 120; ++i)
        history.add(i % 10 == 0 ? failed(i, "SERVFAIL") : passed(i));
    const auto list = history.list();
    ASSERT_EQ(list.size(), 50U);
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto at = static_cast<std::int64_t>(71 + i);
        EXPECT_EQ(list[i].at, second(at));
        EXPECT_EQ(list[i].failure, at % 10 == 0 ? Failure::answer : Failure::none) << at;
        EXPECT_EQ(list[i].reason, at % 10 == 0 ? "SERVFAIL" : "") << at;
        EXPECT_EQ(list[i].rtt, Microseconds{at % 10 == 0 ? 0 : 180});
    }
}

TEST(CheckHistory, bears_a_clock_that_is_set_back) {
    CheckHistory history;
    history.add(passed(1000));
    history.add(passed(400));
    history.add(passed(401));
    const auto list = history.list();
    EXPECT_EQ(list[0].at, second(1000));
    EXPECT_EQ(list[1].at, second(400));
    EXPECT_EQ(list[2].at, second(401));
}

TEST(CheckHistory, keeps_replies_of_the_last_few_failures_only) {
    CheckHistory history;
    for (int i = 1; i <= 10; ++i)
        history.add(failed(i, "SERVFAIL", 100));
    EXPECT_EQ(with_reply(history), CheckHistory::max_replies);
    EXPECT_NE(history.list().back().reply, nullptr);
    for (int i = 11; i <= 13; ++i)
        history.add(failed(i, "SERVFAIL", 3000));
    EXPECT_EQ(with_reply(history), 1U) << "two are more bytes than there is room for";
    history.add(failed(14, "SERVFAIL", 5000));
    EXPECT_EQ(history.list().back().reply, nullptr);
    for (int i = 15; i <= 70; ++i)
        history.add(passed(i));
    EXPECT_EQ(with_reply(history), 0U);
}

TEST(CheckHistory, words_of_old_failures_give_way_to_new_ones) {
    CheckHistory history;
    for (int i = 0; i < 200; ++i) {
        history.add(failed(i, "late by " + std::to_string(i) + " ms"));
        ASSERT_EQ(history.list().back().reason, "late by " + std::to_string(i) + " ms");
    }
    const auto list = history.list();
    ASSERT_EQ(list.size(), 50U);
    for (std::size_t i = 0; i < list.size(); ++i) {
        EXPECT_EQ(list[i].failure, Failure::answer);
        const bool kept = i + CheckHistory::max_reasons >= list.size();
        EXPECT_EQ(list[i].reason, kept ? "late by " + std::to_string(150 + i) + " ms" : "") << i;
    }
}

TEST(CheckHistory, a_reason_in_use_is_never_taken_for_another) {
    CheckHistory history;
    history.add(failed(0, "kept"));
    for (int i = 1; i < 49; ++i)
        history.add(i % 2 == 0 ? failed(i, "kept") : failed(i, "word " + std::to_string(i % 7)));
    for (const PastVerdict& verdict : history.list()) {
        const std::int64_t at =
            std::chrono::duration_cast<Seconds>(verdict.at.time_since_epoch()).count();
        EXPECT_EQ(verdict.reason, at % 2 == 0 ? "kept" : "word " + std::to_string(at % 7));
    }
}

TEST(CheckHistory, ten_thousand_checks_stay_within_twenty_megabytes) {
    const auto cost = [](auto verdict) {
        CheckHistory history;
        for (int i = 0; i < 100; ++i)
            history.add(verdict(i));
        return sizeof history + history.bytes();
    };
    EXPECT_LE(cost(passed), 600U);
    EXPECT_LE(cost([](int i) { return failed(i, "SERVFAIL", 60); }), 1200U);
    EXPECT_LE(cost([](int i) {
                  return failed(i,
                                "wrong answer: got 198.51.100." + std::to_string(i) +
                                    ", expected 198.51.100.80, and no other address at all",
                                100);
              }),
              2000U);
}

// ---- the rule that acted --------------------------------------------------------

struct Standing {
    RealServer server;
    std::vector<CheckState> checks;
    ServerDecision decision;

    [[nodiscard]] ActingRule rule() const {
        return acting_rule(server, decision,
                           [this](CheckIndex check) -> const CheckState& { return checks[check]; });
    }
};

Standing standing(Health health, std::vector<std::pair<Health, Turn>> checks) {
    Standing made;
    made.decision.health = health;
    made.decision.place = health == Health::up ? Place::working : Place::out;
    made.decision.configured_weight = made.decision.weight = 2;
    made.decision.effective_weight = health == Health::up ? 2 : 0;
    for (std::size_t i = 0; i < checks.size(); ++i) {
        CheckState state;
        state.health = checks[i].first;
        state.turned_by = checks[i].second;
        state.since = TimePoint{Seconds{100 + i}};
        made.checks.push_back(state);
        made.server.checks.push_back(static_cast<CheckIndex>(i));
    }
    return made;
}

TEST(ActingRule, is_that_of_the_check_that_failed_first) {
    const auto made = standing(
        Health::down,
        {{Health::up, Turn::rise}, {Health::down, Turn::refusal}, {Health::down, Turn::fall}});
    EXPECT_EQ(made.rule().rule, Rule::refusal);
    EXPECT_EQ(made.rule().check, 1U);
}

TEST(ActingRule, is_that_of_the_check_that_came_up_last) {
    const auto made = standing(Health::up, {{Health::up, Turn::adopted}, {Health::up, Turn::rise}});
    EXPECT_EQ(made.rule().rule, Rule::rise);
    EXPECT_EQ(made.rule().check, 1U);
    EXPECT_EQ(standing(Health::up, {}).rule().rule, Rule::no_checks);
}

TEST(ActingRule, is_not_that_of_a_check_whose_failure_is_tolerated) {
    // Any two of the first three must pass, and the last one.
    auto made = standing(Health::down, {{Health::down, Turn::refusal},
                                        {Health::up, Turn::rise},
                                        {Health::up, Turn::rise},
                                        {Health::down, Turn::fall}});
    made.server.some_of = {{0, 3, 2}};
    const auto state = [&](CheckIndex check) -> const CheckState& { return made.checks[check]; };
    EXPECT_EQ(made.rule().check, 3U);
    EXPECT_EQ(checks_in_the_way(made.server, state), std::vector<CheckIndex>{3});
    made.decision.drained = true;
    EXPECT_EQ(made.rule().rule, Rule::drain);
    EXPECT_EQ(made.rule().check, 3U);
    made.decision.drained = false;
    made.checks[2].health = Health::down;
    made.checks[2].turned_by = Turn::fall;  // 102 s: before the last one's 103 s
    EXPECT_EQ(made.rule().check, 2U) << "with it too few were left";
    EXPECT_EQ(checks_in_the_way(made.server, state), (std::vector<CheckIndex>{0, 2, 3}));
}

TEST(ActingRule, drains_and_holds_come_before_what_checks_say) {
    auto made = standing(Health::down, {{Health::down, Turn::fall}});
    made.decision.place = Place::limited;
    EXPECT_EQ(made.rule().rule, Rule::max_out);
    made.decision.place = Place::last_hope;
    EXPECT_EQ(made.rule().rule, Rule::on_all_down);
    made.decision.drained = true;
    EXPECT_EQ(made.rule().rule, Rule::drain);
    EXPECT_EQ(made.rule().check, 0U);
}

TEST(ActingRule, names_what_keeps_a_well_server_from_its_work) {
    auto made = standing(Health::up, {{Health::up, Turn::rise}});
    made.decision.slow_start_step = 3;
    EXPECT_EQ(made.rule().rule, Rule::slow_start);
    made.decision.displaced = true;
    EXPECT_EQ(made.rule().rule, Rule::sorry_server);
    made.decision.weight = 0;
    EXPECT_EQ(made.rule().rule, Rule::weight_zero);
    made.decision.reachable = false;
    EXPECT_EQ(made.rule().rule, Rule::unreachable);
    made.decision.health = Health::unknown;
    made.checks[0].health = Health::unknown;
    made.checks[0].turned_by = Turn::none;
    made.decision.reachable = true;
    made.decision.weight = 2;
    made.decision.displaced = false;
    made.decision.slow_start_step = 0;
    made.decision.effective_weight = 0;
    EXPECT_EQ(made.rule().rule, Rule::waiting);
}

// ---- decisions ------------------------------------------------------------------

PastDecision decided(int at, Rule rule, Weight weight, std::string written = "written") {
    return {second(at), rule, ServerState::up, weight, "", std::move(written), false};
}

TEST(ServerHistory, keeps_the_last_decisions) {
    ServerHistory history;
    for (int i = 0; i < 20; ++i)
        history.add(decided(i, i % 2 == 0 ? Rule::fall : Rule::rise, 1));
    ASSERT_EQ(history.list().size(), ServerHistory::max_decisions);
    EXPECT_EQ(history.list().back().at, second(19));
    EXPECT_EQ(history.list().front().at, second(20 - ServerHistory::max_decisions));
}

TEST(ServerHistory, steps_of_slow_start_are_one_decision) {
    ServerHistory history;
    history.add(decided(1, Rule::fall, 0));
    for (int i = 2; i < 20; ++i)
        history.add(decided(i, Rule::slow_start, static_cast<Weight>(i)));
    ASSERT_EQ(history.list().size(), 2U);
    EXPECT_EQ(history.list().back().effective_weight, 19U);
    EXPECT_EQ(history.list().back().at, second(2)) << "when it began";
}

TEST(ServerHistory, what_says_nothing_new_is_left_out) {
    ServerHistory history;
    history.add(decided(1, Rule::rise, 2));
    history.add(decided(2, Rule::rise, 2, ""));
    ASSERT_EQ(history.list().size(), 1U);
    EXPECT_EQ(history.list().back().written, "written");
}

}  // namespace
}  // namespace dnsdirector::core
