// SPDX-License-Identifier: Apache-2.0
#include "core/history.h"

#include <algorithm>
#include <limits>

namespace dnsdirector::core {
namespace {

constexpr std::uint32_t max_rtt_us = (1U << 24) - 1;

std::int64_t milliseconds_of(WallTime time) {
    return std::chrono::floor<Milliseconds>(time.time_since_epoch()).count();
}

std::int32_t clamped(std::int64_t milliseconds) {
    using Limits = std::numeric_limits<std::int32_t>;
    return static_cast<std::int32_t>(
        std::clamp<std::int64_t>(milliseconds, Limits::min(), Limits::max()));
}

}  // namespace

// ---- verdicts -----------------------------------------------------------------

void CheckHistory::add(const Verdict& verdict) {
    const std::int64_t at = milliseconds_of(verdict.wall_at);
    Entry entry{};
    entry.after_ms = added_ == 0 ? 0 : clamped(at - newest_ms_);
    entry.rtt_us =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(verdict.rtt.count(), 0, max_rtt_us));
    entry.failure = static_cast<std::uint32_t>(verdict.failure) & 7U;
    newest_ms_ = at;

    const std::size_t position = added_ % max_verdicts;
    if (position == entries_.size()) {
        if (entries_.empty()) entries_.reserve(max_verdicts);
        entries_.push_back(entry);
    }
    // The old one's words are not needed any more when new ones look for room.
    entry.reason = no_reason;
    entries_[position] = entry;
    if (!verdict.passed()) {
        entry.reason = slot_of(verdict.reason);
        entries_[position] = entry;
        keep_reply(verdict);
    }
    ++added_;
}

/// Where these words are kept. Where there is no room, those make it that were
/// used longest ago.
std::uint32_t CheckHistory::slot_of(std::string_view reason) {
    reason = reason.substr(0, max_reason_length);
    const auto known = std::find(reasons_.begin(), reasons_.end(), reason);
    if (known != reasons_.end()) return static_cast<std::uint32_t>(known - reasons_.begin());
    if (reasons_.size() < max_reasons) {
        reasons_.emplace_back(reason);
        return static_cast<std::uint32_t>(reasons_.size() - 1);
    }
    std::vector<std::uint32_t> oldest_first;
    for (std::size_t back = 0; back < entries_.size(); ++back) {
        const Entry& entry = entries_[(added_ + max_verdicts - back) % max_verdicts];
        if (entry.reason == no_reason) continue;
        if (std::find(oldest_first.begin(), oldest_first.end(), entry.reason) == oldest_first.end())
            oldest_first.insert(oldest_first.begin(), entry.reason);
    }
    std::uint32_t slot = 0;  // one that nobody uses, else the one used longest ago
    while (slot < max_reasons &&
           std::find(oldest_first.begin(), oldest_first.end(), slot) != oldest_first.end())
        ++slot;
    if (slot == max_reasons) {
        slot = oldest_first.front();
        for (Entry& entry : entries_)
            if (entry.reason == slot) entry.reason = no_reason;
    }
    reasons_[slot] = std::string(reason);  // no more room than it needs
    return slot;
}

void CheckHistory::keep_reply(const Verdict& verdict) {
    if (!verdict.reply || verdict.reply->size() > max_reply_bytes) return;
    replies_.push_back({added_, verdict.reply});
    std::size_t bytes = 0;
    for (const Reply& reply : replies_)
        bytes += reply.message->size();
    while (replies_.size() > max_replies || bytes > max_reply_bytes) {
        bytes -= replies_.front().message->size();
        replies_.erase(replies_.begin());
    }
}

std::vector<PastVerdict> CheckHistory::list() const {
    std::vector<PastVerdict> verdicts(entries_.size());
    std::int64_t at = newest_ms_;
    for (std::size_t back = 1; back <= entries_.size(); ++back) {
        const std::uint64_t number = added_ - back;
        const Entry& entry = entries_[number % max_verdicts];
        PastVerdict& verdict = verdicts[entries_.size() - back];
        verdict.at = WallTime{Milliseconds{at}};
        verdict.failure = static_cast<Failure>(entry.failure);
        verdict.rtt = Microseconds{entry.rtt_us};
        if (entry.reason != no_reason) verdict.reason = reasons_[entry.reason];
        for (const Reply& reply : replies_)
            if (reply.number == number) verdict.reply = reply.message;
        at -= entry.after_ms;
    }
    return verdicts;
}

std::size_t CheckHistory::bytes() const {
    std::size_t sum = entries_.capacity() * sizeof(Entry) +
                      reasons_.capacity() * sizeof(std::string) +
                      replies_.capacity() * sizeof(Reply);
    for (const std::string& reason : reasons_)
        if (reason.capacity() > sizeof(std::string) / 2) sum += reason.capacity() + 1;
    for (const Reply& reply : replies_)
        sum += reply.message->capacity();
    return sum;
}

// ---- decisions ----------------------------------------------------------------

std::string_view to_string(Rule rule) {
    switch (rule) {
        case Rule::no_checks: return "no_checks";
        case Rule::rise: return "rise";
        case Rule::adopted: return "adopted";
        case Rule::untested_in: return "untested_in";
        case Rule::waiting: return "waiting";
        case Rule::first_failure: return "first_failure";
        case Rule::fall: return "fall";
        case Rule::refusal: return "refusal";
        case Rule::drain: return "drain";
        case Rule::weight_zero: return "weight_zero";
        case Rule::check_weight: return "check_weight";
        case Rule::sorry_server: return "sorry_server";
        case Rule::max_out: return "max_out";
        case Rule::on_all_down: return "on_all_down";
        case Rule::unreachable: return "unreachable";
        case Rule::slow_start: return "slow_start";
        case Rule::repair: return "repair";
    }
    return "";
}

namespace {

Rule rule_of(const CheckState& check, bool in) {
    switch (check.turned_by) {
        case Turn::none: return in ? Rule::untested_in : Rule::waiting;
        case Turn::adopted: return Rule::adopted;
        case Turn::rise: return Rule::rise;
        case Turn::fall: return Rule::fall;
        case Turn::refusal: return Rule::refusal;
        case Turn::first_failure: return Rule::first_failure;
    }
    return Rule::no_checks;
}

/// A check alone, or those of a range of which not all must pass.
struct Together {
    std::vector<CheckIndex> checks;
    std::size_t required = 1;
};

std::vector<Together> together(const RealServer& server) {
    std::vector<Together> groups;
    auto range = server.some_of.begin();
    for (std::size_t at = 0; at < server.checks.size();) {
        Together group;
        std::size_t end = at + 1;
        if (range != server.some_of.end() && range->first == at && range->count != 0) {
            end = std::min(server.checks.size(), at + range->count);
            group.required = std::clamp<std::size_t>(range->required, 1, end - at);
            ++range;
        }
        for (; at < end; ++at)
            group.checks.push_back(server.checks[at]);
        groups.push_back(std::move(group));
    }
    return groups;
}

/// The check by whose failure too few of the group were left; none while enough are.
std::optional<CheckIndex> who_broke(
    const Together& group, const std::function<const CheckState&(CheckIndex)>& check_state) {
    std::vector<CheckIndex> down;
    for (const CheckIndex check : group.checks)
        if (check_state(check).health == Health::down) down.push_back(check);
    const std::size_t tolerated = group.checks.size() - group.required;
    if (down.size() <= tolerated) return std::nullopt;
    std::stable_sort(down.begin(), down.end(), [&](CheckIndex left, CheckIndex right) {
        return check_state(left).since < check_state(right).since;
    });
    return down[tolerated];
}

ActingRule by_failure(const RealServer& server,
                      const std::function<const CheckState&(CheckIndex)>& check_state) {
    ActingRule acting;
    for (const Together& group : together(server)) {
        const auto check = who_broke(group, check_state);
        if (!check) continue;
        if (acting.check && check_state(*check).since >= check_state(*acting.check).since) continue;
        acting = {rule_of(check_state(*check), false), check};
    }
    return acting;
}

/// What the checks alone say: of those that are as the server is, the one that
/// failed first, or that passed last.
ActingRule by_health(const RealServer& server, const ServerDecision& decision,
                     const std::function<const CheckState&(CheckIndex)>& check_state) {
    if (decision.health == Health::down) return by_failure(server, check_state);
    ActingRule acting;
    TimePoint since;
    for (const CheckIndex check : server.checks) {
        const CheckState& state = check_state(check);
        if (state.health != decision.health) continue;
        if (acting.check && state.since < since) continue;
        acting = {rule_of(state, decision.effective_weight > 0), check};
        since = state.since;
    }
    return acting;
}

}  // namespace

ActingRule acting_rule(const RealServer& server, const ServerDecision& decision,
                       const std::function<const CheckState&(CheckIndex)>& check_state) {
    ActingRule acting = by_health(server, decision, check_state);
    if (decision.drained)
        acting.rule = Rule::drain;
    else if (decision.place == Place::limited)
        acting.rule = Rule::max_out;
    else if (decision.place == Place::last_hope)
        acting.rule = Rule::on_all_down;
    else if (decision.health == Health::down)
        return acting;
    else if (!decision.reachable)
        acting.rule = Rule::unreachable;
    else if (decision.weight == 0)
        acting.rule = Rule::weight_zero;
    else if (decision.displaced)
        acting.rule = Rule::sorry_server;
    else if (decision.slow_start_step != 0)
        acting.rule = Rule::slow_start;
    else if (decision.weight != decision.configured_weight && decision.effective_weight != 0)
        acting.rule = Rule::check_weight;
    return acting;
}

std::vector<CheckIndex> checks_in_the_way(
    const RealServer& server, const std::function<const CheckState&(CheckIndex)>& check_state) {
    std::vector<CheckIndex> list;
    for (const Together& group : together(server)) {
        std::vector<CheckIndex> not_up;
        for (const CheckIndex check : group.checks)
            if (check_state(check).health != Health::up) not_up.push_back(check);
        if (group.checks.size() - not_up.size() >= group.required) continue;
        list.insert(list.end(), not_up.begin(), not_up.end());
    }
    return list;
}

void ServerHistory::add(PastDecision decision) {
    if (!decisions_.empty()) {
        const PastDecision& last = decisions_.back();
        if (decision.written.empty() && last.rule == decision.rule &&
            last.state == decision.state && last.effective_weight == decision.effective_weight)
            return;  // nothing new
        const bool step = last.rule == Rule::slow_start && decision.rule == Rule::slow_start;
        const bool again = last.refused && last.written == decision.written;
        if (step) decision.at = last.at;
        if (step || again) decisions_.pop_back();
    }
    if (decisions_.size() == max_decisions) decisions_.erase(decisions_.begin());
    if (decisions_.size() == 2) decisions_.reserve(max_decisions);  // most have no more than two
    decisions_.push_back(std::move(decision));
}

bool differs(const ServerDecision& before, const ServerDecision& after) {
    return before.state != after.state || before.place != after.place ||
           before.health != after.health || before.drained != after.drained ||
           before.reachable != after.reachable || before.displaced != after.displaced ||
           before.configured_weight != after.configured_weight || before.weight != after.weight ||
           before.effective_weight != after.effective_weight;
}

}  // namespace dnsdirector::core
