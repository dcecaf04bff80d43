// SPDX-License-Identifier: Apache-2.0
//
// decide(): from the checks of a server to its health and weight.
#include <algorithm>
#include <limits>
#include <span>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

/// What one check says, or a range of checks of which not all must pass.
struct Opinion {
    Health health = Health::unknown;
    bool well = false;
    bool by_answer = false;  ///< of those that are down, all are so by answers
    TimePoint since;
    WallTime wall_since;
};

Opinion opinion_of(const CheckState& check) {
    return {check.health,
            check.health == Health::up ||
                (check.health == Health::unknown && check.untested == Untested::in),
            check.down_kind == Failure::answer, check.since, check.wall_since};
}

/// Up: since as many as required were up. Down: since so many were down that
/// the others were too few.
Opinion opinion_of(std::vector<Opinion> each, std::uint32_t required) {
    const auto count = [&](Health health) {
        return static_cast<std::uint32_t>(std::count_if(
            each.begin(), each.end(), [&](const Opinion& one) { return one.health == health; }));
    };
    const auto well = static_cast<std::uint32_t>(
        std::count_if(each.begin(), each.end(), [](const Opinion& one) { return one.well; }));
    const auto all = static_cast<std::uint32_t>(each.size());
    required = std::clamp(required, 1U, std::max(all, 1U));

    Opinion together;
    together.well = well >= required;
    together.by_answer = std::all_of(each.begin(), each.end(), [](const Opinion& one) {
        return one.health != Health::down || one.by_answer;
    });
    std::uint32_t decisive = count(Health::unknown);  // the latest of them
    if (count(Health::up) >= required) {
        together.health = Health::up;
        decisive = required;
    } else if (all - count(Health::down) < required) {
        together.health = Health::down;
        decisive = all - required + 1;
    }
    std::erase_if(each, [&](const Opinion& one) { return one.health != together.health; });
    std::stable_sort(each.begin(), each.end(), [](const Opinion& left, const Opinion& right) {
        return left.since < right.since;
    });
    if (decisive == 0 || decisive > each.size()) return together;
    together.since = each[decisive - 1].since;
    together.wall_since = each[decisive - 1].wall_since;
    return together;
}

void take_in(Draft& draft, const Opinion& check, bool first) {
    const auto later = [&] {
        if (!first && check.since <= draft.since) return;
        draft.since = check.since;
        draft.wall_since = check.wall_since;
    };
    switch (check.health) {
        case Health::up:
            if (draft.health == Health::up) later();
            break;
        case Health::unknown:
            if (draft.health == Health::up) {
                draft.health = Health::unknown;
                first = true;
            }
            if (draft.health == Health::unknown) later();
            draft.well = draft.well && check.well;
            break;
        case Health::down:
            // The first check to go down is when the server went down.
            if (draft.health != Health::down || check.since < draft.since) {
                draft.since = check.since;
                draft.wall_since = check.wall_since;
            }
            draft.health = Health::down;
            draft.well = false;
            draft.by_answer = draft.by_answer && check.by_answer;
            break;
    }
}

/// misc_dynamic replaces the weight, FILE_CHECKs add to it, as in keepalived.
void weigh(Draft& draft, const DecisionInput& input, const RealServer& server) {
    std::int64_t weight = server.weight;
    std::int64_t change = 0;
    for (const CheckIndex index : server.checks) {
        const CheckState& check = input.check_state(index);
        if (check.health == Health::down) continue;
        if (check.weight) {
            weight = *check.weight;
            draft.weight_by_script = true;
        }
        change += check.weight_change;
        draft.weight_by_file = draft.weight_by_file || check.weight_change != 0;
    }
    draft.weight = static_cast<Weight>(std::clamp<std::int64_t>(weight + change, 0, max_weight));
}

}  // namespace

Draft examine(const DecisionInput& input, const RealServer& server) {
    Draft draft;
    draft.since = input.now;
    draft.wall_since = input.wall_now;
    bool first = true;
    auto group = server.some_of.begin();
    for (std::size_t at = 0; at < server.checks.size();) {
        if (group == server.some_of.end() || group->first != at || group->count == 0) {
            take_in(draft, opinion_of(input.check_state(server.checks[at])), first);
            ++at;
        } else {
            const std::size_t end = std::min(server.checks.size(), at + group->count);
            std::vector<Opinion> each;
            for (; at < end; ++at)
                each.push_back(opinion_of(input.check_state(server.checks[at])));
            take_in(draft, opinion_of(std::move(each), group->required), first);
            ++group;
        }
        first = false;
    }
    draft.by_answer = draft.by_answer && draft.health == Health::down;
    weigh(draft, input, server);
    return draft;
}

}  // namespace dnsdirector::core
