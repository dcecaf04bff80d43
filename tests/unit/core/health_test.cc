// SPDX-License-Identifier: Apache-2.0
#include "core/health.h"

#include <gtest/gtest.h>

#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

Check check_with(std::uint32_t rise, std::uint32_t fall) {
    Check check;
    check.timing.rise = rise;
    check.timing.fall = fall;
    return check;
}

CheckState started(const Check& check, bool forwarded) {
    return initial_state(check, forwarded, at(Seconds{1}), WallTime{Seconds{1}});
}

TEST(Health, GoesUpAfterRisePassesInARow) {
    const Check check = check_with(3, 2);
    CheckState state = started(check, false);
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_EQ(state.health, Health::unknown);
    EXPECT_TRUE(advance(state, check, passed(at(Seconds{9}))).changed);
    EXPECT_EQ(state.health, Health::up);
    EXPECT_EQ(state.since, at(Seconds{9}));
    EXPECT_EQ(state.transitions, 0U);  // the first verdict is none
}

TEST(Health, GoesDownAfterFallFailuresInARow) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_TRUE(advance(state, check, failed(Failure::answer, "SERVFAIL")).changed);
    EXPECT_EQ(state.health, Health::down);
    EXPECT_EQ(state.down_kind, Failure::answer);
    EXPECT_EQ(state.down_reason, "SERVFAIL");
    EXPECT_EQ(state.transitions, 1U);
}

TEST(Health, ComingBackTakesRisePassesAndClearsTheReason) {
    const Check check = check_with(2, 1);
    CheckState state = started(check, true);
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    EXPECT_FALSE(advance(state, check, passed()).changed);
    EXPECT_TRUE(advance(state, check, passed()).changed);
    EXPECT_EQ(state.health, Health::up);
    EXPECT_EQ(state.down_reason, "");
    EXPECT_EQ(state.transitions, 2U);
}

TEST(Health, RefusalCountsAtOnce) {
    const Check check = check_with(2, 5);
    CheckState state = started(check, true);
    EXPECT_TRUE(advance(state, check, failed(Failure::refused, "port unreachable")).changed);
    EXPECT_EQ(state.health, Health::down);

    CheckState untested = started(check, false);
    EXPECT_TRUE(advance(untested, check, failed(Failure::refused, "port unreachable")).changed);
    EXPECT_EQ(untested.health, Health::down);
    EXPECT_EQ(untested.transitions, 0U);
}

TEST(Health, AdoptedServerStaysUntilFallFailures) {
    const Check check = check_with(2, 3);
    CheckState state = started(check, true);
    EXPECT_EQ(state.health, Health::up);
    advance(state, check, failed(Failure::silence, "timeout"));
    advance(state, check, failed(Failure::silence, "timeout"));
    EXPECT_EQ(state.health, Health::up);
    advance(state, check, failed(Failure::silence, "timeout"));
    EXPECT_EQ(state.health, Health::down);
}

TEST(Health, NewServerThatNeverAnswersGoesDownAfterFallFailures) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, false);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_TRUE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_EQ(state.health, Health::down);
    EXPECT_EQ(state.transitions, 0U);
}

TEST(Health, FirstFailureRemovesAServerThatWasTakenInUntested) {
    Check check = check_with(1, 3);
    check.untested = Untested::in;
    CheckState state = started(check, false);
    EXPECT_EQ(state.health, Health::unknown);
    EXPECT_EQ(state.untested, Untested::in);
    EXPECT_TRUE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_EQ(state.health, Health::down);
}

TEST(Health, HurriesWhileItPassesAndIsNotYetIn) {
    const Check check = check_with(3, 2);
    CheckState state = started(check, false);
    EXPECT_TRUE(advance(state, check, passed()).hurry);
    EXPECT_TRUE(advance(state, check, passed()).hurry);
    EXPECT_FALSE(advance(state, check, passed()).hurry);  // in
    EXPECT_FALSE(advance(state, check, passed()).hurry);
}

TEST(Health, DoesNotHurryAFailingServerNorOneThatComesBack) {
    const Check check = check_with(3, 2);
    CheckState state = started(check, false);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).hurry);
    EXPECT_TRUE(advance(state, check, passed()).hurry);
    advance(state, check, failed(Failure::silence, "timeout"));
    advance(state, check, failed(Failure::silence, "timeout"));
    EXPECT_EQ(state.health, Health::down);
    EXPECT_FALSE(advance(state, check, passed()).hurry);
}

TEST(Health, WarmupMeansNoHurry) {
    Check check = check_with(3, 2);
    check.timing.warmup = Seconds{1};
    CheckState state = started(check, false);
    EXPECT_FALSE(advance(state, check, passed()).hurry);
}

TEST(Health, RetriesSoonWhoHasFailedAndIsStillUp) {
    Check check = check_with(1, 3);
    CheckState state = started(check, true);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).retry) << "not wished";
    check.timing.retry_after = Seconds{1};
    EXPECT_FALSE(advance(state, check, passed()).retry);
    EXPECT_TRUE(advance(state, check, failed(Failure::silence, "timeout")).retry);
    EXPECT_TRUE(advance(state, check, failed(Failure::answer, "SERVFAIL")).retry);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).retry) << "down now";
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).retry);
    EXPECT_FALSE(advance(state, check, passed()).retry);
}

TEST(Health, DoesNotRetryWhoIsOutAlready) {
    Check check = check_with(1, 3);
    check.timing.retry_after = Seconds{1};
    CheckState state = started(check, false);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).retry);
}

TEST(Health, AServerThatGoesSilentAfterWrongAnswersIsDownForSilence) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    advance(state, check, failed(Failure::answer, "SERVFAIL", at(Seconds{5})));
    ASSERT_EQ(state.down_kind, Failure::answer);
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_EQ(state.down_kind, Failure::answer);
    EXPECT_TRUE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_EQ(state.down_kind, Failure::silence);
    EXPECT_EQ(state.down_reason, "timeout");
    EXPECT_EQ(state.since, at(Seconds{5}));
    EXPECT_EQ(state.transitions, 1U);
}

TEST(Health, ARefusalAfterWrongAnswersCountsAtOnce) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    EXPECT_TRUE(advance(state, check, failed(Failure::refused, "port unreachable")).changed);
    EXPECT_EQ(state.down_kind, Failure::refused);
}

TEST(Health, OneLostReplyAmongWrongAnswersChangesNothing) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    advance(state, check, failed(Failure::answer, "SERVFAIL"));
    advance(state, check, failed(Failure::silence, "timeout"));
    advance(state, check, failed(Failure::answer, "REFUSED"));
    EXPECT_FALSE(advance(state, check, failed(Failure::silence, "timeout")).changed);
    EXPECT_EQ(state.down_reason, "SERVFAIL");
}

TEST(Health, ARefusedServerThatGoesSilentIsDownForSilence) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    advance(state, check, failed(Failure::refused, "port unreachable", at(Seconds{10})));
    EXPECT_FALSE(
        advance(state, check, failed(Failure::silence, "timeout", at(Seconds{11}))).changed);
    EXPECT_EQ(state.down_reason, "port unreachable");
    EXPECT_TRUE(
        advance(state, check, failed(Failure::silence, "timeout", at(Seconds{12}))).changed);
    EXPECT_EQ(state.down_kind, Failure::silence);
    EXPECT_EQ(state.down_reason, "timeout");
    EXPECT_EQ(state.turned_by, Turn::fall);
    EXPECT_EQ(state.down_reason_since, WallTime{Seconds{12}});
    EXPECT_EQ(state.wall_since, WallTime{Seconds{10}}) << "it is out since the refusal";
    EXPECT_EQ(state.transitions, 1U);
}

TEST(Health, AnotherWrongAnswerTakesTheReasonOver) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    for (const char* reason : {"SERVFAIL", "SERVFAIL", "REFUSED", "SERVFAIL", "REFUSED"})
        advance(state, check, failed(Failure::answer, reason));
    EXPECT_EQ(state.down_reason, "SERVFAIL") << "not two in a row";
    advance(state, check, failed(Failure::answer, "REFUSED"));
    EXPECT_EQ(state.down_reason, "REFUSED");
    EXPECT_EQ(state.down_kind, Failure::answer);
}

TEST(Health, KeepsTheLastVerdict) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    EXPECT_FALSE(state.any_verdict);
    advance(state, check, failed(Failure::silence, "timeout", at(Seconds{3})));
    EXPECT_TRUE(state.any_verdict);
    EXPECT_EQ(state.last.reason, "timeout");
    EXPECT_EQ(state.last.at, at(Seconds{3}));
}

// A plain restatement of rise and fall: of an adopted server, whatever comes.
TEST(HealthProperty, FollowsTheLastRiseOrFallVerdicts) {
    expect_always("up and down follow the runs of verdicts", [] {
        const Check check = check_with(*rc::gen::inRange(1U, 5U), *rc::gen::inRange(1U, 5U));
        const auto verdicts = *rc::gen::container<std::vector<bool>>(rc::gen::arbitrary<bool>());
        CheckState state = started(check, true);
        bool up = true;
        std::size_t run = 0;
        std::uint32_t turns = 0;
        for (std::size_t i = 0; i < verdicts.size(); ++i) {
            run = i > 0 && verdicts[i] == verdicts[i - 1] ? run + 1 : 1;
            const bool turned =
                verdicts[i] != up && run >= (verdicts[i] ? check.timing.rise : check.timing.fall);
            if (turned) {
                up = verdicts[i];
                ++turns;
            }
            const Step step =
                advance(state, check, verdicts[i] ? passed() : failed(Failure::silence, "timeout"));
            RC_ASSERT(step.changed == turned);
            RC_ASSERT(!step.hurry);
            RC_ASSERT(state.health == (up ? Health::up : Health::down));
            RC_ASSERT(state.transitions == turns);
        }
    });
}

TEST(Health, TheWeightOfAPassedRoundCountsAtOnce) {
    const Check check = check_with(2, 2);
    CheckState state = started(check, true);
    Verdict verdict = passed();
    verdict.weight = 7;
    verdict.weight_change = -2;
    EXPECT_TRUE(advance(state, check, verdict).changed);
    EXPECT_EQ(state.weight, 7U);
    EXPECT_EQ(state.weight_change, -2);
    EXPECT_FALSE(advance(state, check, verdict).changed);
    EXPECT_FALSE(advance(state, check, failed(Failure::answer, "exit status 1")).changed);
    EXPECT_EQ(state.weight, 7U);
    EXPECT_TRUE(advance(state, check, passed()).changed);  // exit status 0: the configured one
    EXPECT_EQ(state.weight, std::nullopt);
    EXPECT_EQ(state.weight_change, 0);
}

}  // namespace
}  // namespace dnsdirector::core
