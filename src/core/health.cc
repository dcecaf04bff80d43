// SPDX-License-Identifier: Apache-2.0
#include "core/health.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace dnsdirector::core {
namespace {

void count(std::uint32_t& counter) {
    if (counter != std::numeric_limits<std::uint32_t>::max()) ++counter;
}

/// The reason that it is down for was heard again, or there is a new one.
void forget_others(CheckState& state) {
    state.other_class_in_row = 0;
    state.other_reason_in_row = 0;
}

void turn(CheckState& state, Health health, Turn rule, const Verdict& verdict) {
    if (state.health != Health::unknown) count(state.transitions);
    state.health = health;
    state.turned_by = rule;
    state.since = verdict.at;
    state.wall_since = verdict.wall_at;
    forget_others(state);
}

void blame(CheckState& state, const Verdict& verdict) {
    state.down_kind = verdict.failure;
    state.down_reason = verdict.reason;
    state.down_reason_since = verdict.wall_at;
    forget_others(state);
}

bool pass(CheckState& state, const CheckTiming& timing, const Verdict& verdict) {
    count(state.passes_in_row);
    state.failures_in_row = 0;
    forget_others(state);
    if (state.health == Health::up || state.passes_in_row < timing.rise) return false;
    turn(state, Health::up, Turn::rise, verdict);
    state.down_kind = Failure::none;
    state.down_reason.clear();
    return true;
}

/// A failure of a check that is down already: does it change why?
bool fail_again(CheckState& state, const CheckTiming& timing, const Verdict& verdict) {
    const bool was_answer = state.down_kind == Failure::answer;
    const bool is_answer = verdict.failure == Failure::answer;
    if (verdict.failure == state.down_kind && verdict.reason == state.down_reason) {
        forget_others(state);
        return false;
    }
    std::uint32_t& others =
        was_answer == is_answer ? state.other_reason_in_row : state.other_class_in_row;
    if (was_answer == is_answer) state.other_class_in_row = 0;
    count(others);
    const bool refused = verdict.failure == Failure::refused;
    if (!refused && others < timing.fall) return false;
    state.turned_by = refused ? Turn::refusal : Turn::fall;
    blame(state, verdict);
    return true;
}

bool fail(CheckState& state, const CheckTiming& timing, const Verdict& verdict) {
    count(state.failures_in_row);
    state.passes_in_row = 0;
    if (state.health == Health::down) return fail_again(state, timing, verdict);
    const bool first = state.health == Health::unknown && state.untested == Untested::in;
    const bool refused = verdict.failure == Failure::refused;
    const bool fallen = state.failures_in_row >= timing.fall;
    if (!first && !refused && !fallen) return false;
    const Turn rule = refused ? Turn::refusal : fallen ? Turn::fall : Turn::first_failure;
    turn(state, Health::down, rule, verdict);
    blame(state, verdict);
    return true;
}

/// Whether it says something new.
bool take_weight(CheckState& state, const Verdict& verdict) {
    if (state.weight == verdict.weight && state.weight_change == verdict.weight_change)
        return false;
    state.weight = verdict.weight;
    state.weight_change = verdict.weight_change;
    return true;
}

}  // namespace

std::string_view to_string(Failure failure) {
    switch (failure) {
        case Failure::none: return "none";
        case Failure::silence: return "silence";
        case Failure::refused: return "refused";
        case Failure::answer: return "answer";
        case Failure::local: return "local";
    }
    return "";
}

std::string_view to_string(Health health) {
    switch (health) {
        case Health::unknown: return "unknown";
        case Health::up: return "up";
        case Health::down: return "down";
    }
    return "";
}

std::string_view to_string(Turn turn) {
    switch (turn) {
        case Turn::none: return "none";
        case Turn::adopted: return "adopted";
        case Turn::rise: return "rise";
        case Turn::fall: return "fall";
        case Turn::refusal: return "refusal";
        case Turn::first_failure: return "first failure";
    }
    return "";
}

CheckState initial_state(const Check& check, bool forwarded, TimePoint now, WallTime wall_now) {
    CheckState state;
    state.health = forwarded ? Health::up : Health::unknown;
    state.turned_by = forwarded ? Turn::adopted : Turn::none;
    state.since = now;
    state.wall_since = wall_now;
    state.untested = check.untested;
    return state;
}

Step advance(CheckState& state, const Check& check, Verdict verdict) {
    Step step;
    step.changed =
        verdict.passed() ? pass(state, check.timing, verdict) : fail(state, check.timing, verdict);
    if (verdict.passed() && take_weight(state, verdict)) step.changed = true;
    step.hurry = state.health == Health::unknown && state.untested == Untested::out &&
                 verdict.passed() && check.timing.warmup == Nanoseconds{0};
    step.retry = state.health == Health::up && !verdict.passed() &&
                 check.timing.retry_after > Nanoseconds{0};
    state.last = std::move(verdict);
    state.any_verdict = true;
    return step;
}

}  // namespace dnsdirector::core
