// SPDX-License-Identifier: Apache-2.0
//
// decide(): why a server is not simply up, in words.
#include <fmt/format.h>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

std::string why_down(const DecisionInput& input, const RealServer& server) {
    std::string reason;
    for (const CheckIndex index : server.checks) {
        const CheckState& check = input.check_state(index);
        if (check.health != Health::down) continue;
        const std::string_view words =
            check.down_reason.empty() ? to_string(check.down_kind) : check.down_reason;
        if (reason.find(words) == std::string::npos) append(reason, words);
    }
    return reason;
}

std::string why_unknown(const DecisionInput& input, const RealServer& server) {
    for (const CheckIndex index : server.checks) {
        const CheckState& check = input.check_state(index);
        if (check.health != Health::unknown || !check.any_verdict) continue;
        return check.last.passed() ? "not passed often enough yet" : check.last.reason;
    }
    return "not tested yet";
}

/// "weight 3 by misc_dynamic"; "" where it is the configured one.
std::string why_this_weight(const Draft& draft, Weight configured) {
    std::string words;
    if (draft.weight != configured)
        words = fmt::format("weight {} by {}{}{}", draft.weight,
                            draft.weight_by_script ? "misc_dynamic" : "",
                            draft.weight_by_script && draft.weight_by_file ? " and " : "",
                            draft.weight_by_file ? "FILE_CHECK" : "");
    if (draft.weight == 0) words += words.empty() ? "weight 0: no new work" : ": no new work";
    return words;
}

}  // namespace

void append(std::string& reason, std::string_view words) {
    if (words.empty()) return;
    if (!reason.empty()) reason += "; ";
    reason += words;
}

std::string shortfall(const QuorumDecision& quorum) {
    if (quorum.hysteresis == 0) return fmt::format("{} of {}", quorum.up, quorum.required);
    return fmt::format("{} of {} + {} (quorum + hysteresis)", quorum.up, quorum.required,
                       quorum.hysteresis);
}

std::string reason_of(const Deciding& deciding, std::size_t at) {
    const Draft& draft = deciding.drafts[at];
    std::string reason;
    if (draft.drained) reason = "drained by the operator";
    if (draft.health == Health::down) append(reason, why_down(deciding.input, deciding.server(at)));
    if (draft.health == Health::unknown)
        append(reason, why_unknown(deciding.input, deciding.server(at)));
    append(reason, draft.unreachable);
    if (draft.place == Place::limited)
        append(reason, fmt::format("held by max_out {}%", deciding.service.max_out_percent));
    if (draft.place == Place::last_hope) append(reason, "held: no server is up");
    append(reason, why_this_weight(draft, deciding.server(at).weight));
    if (draft.displaced) append(reason, "quorum not met: the sorry server is used");
    if (draft.place == Place::idle && !draft.well) append(reason, "kept with weight 0");
    return reason;
}

}  // namespace dnsdirector::core
