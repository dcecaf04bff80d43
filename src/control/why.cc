// SPDX-License-Identifier: Apache-2.0
#include "control/why.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "core/mnemonics.h"

namespace dnsdirector::control {
namespace {

using core::Place;
using core::Rule;

/// How badly off: who explains most stands first.
int rank(const ServerStanding& standing) {
    switch (standing.rule) {
        case Rule::fall:
        case Rule::refusal:
        case Rule::first_failure: return 0;
        case Rule::unreachable: return 1;
        case Rule::drain: return 2;
        case Rule::max_out:
        case Rule::on_all_down: return 3;
        case Rule::waiting: return 4;
        case Rule::sorry_server: return 4;
        case Rule::weight_zero: return 5;
        case Rule::check_weight: return 6;
        case Rule::slow_start: return 6;
        default: return 7;
    }
}

std::string subject(const ServerStanding& standing) {
    const std::string address = standing.server.endpoint.to_string();
    return standing.server.name == address ? address : standing.server.name + " " + address;
}

/// The question of a check that asks DNS; "" of others.
std::string question_of(const core::Check& check) {
    std::string text;
    if (const auto* dns = std::get_if<core::DnsCheck>(&check.what)) {
        text = fmt::format("{} {}{}", dns->name, core::type_name(dns->type),
                           dns->tls                          ? " over TLS"
                           : dns->transport == Protocol::tcp ? " over TCP"
                                                             : "");
    } else if (const auto* dig = std::get_if<core::DigCheck>(&check.what)) {
        text = fmt::format("{} {}{}", dig->name, core::type_name(dig->type),
                           dig->tcp ? " over TCP" : "");
    }
    return text;
}

bool is_word(const std::string& text) {
    return text.find(' ') == std::string::npos;
}

/// "SERVFAIL to www.example.com. A", "timeout, asked www.example.com. A".
std::string with_question(const std::string& reason, core::Failure failure,
                          const core::Check& check) {
    const std::string question = question_of(check);
    if (question.empty())
        return fmt::format("{} ({} {})", reason, core::kind_of(check.what),
                           core::summary_of(check.what));
    switch (failure) {
        case core::Failure::answer:
            return reason + (is_word(reason) ? " to " : "; asked ") + question;
        case core::Failure::silence: return fmt::format("no reply to {}: {}", question, reason);
        case core::Failure::refused: return fmt::format("{}; asked {}", reason, question);
        case core::Failure::local:
            return fmt::format("this director cannot ask it {}: {}", question, reason);
        case core::Failure::none: break;
    }
    return reason;
}

const CheckStanding* deciding(const ServerStanding& standing) {
    return standing.check ? &standing.checks[*standing.check] : nullptr;
}

/// Why its check took it down.
std::string failing(const ServerStanding& standing, WallTime now) {
    const CheckStanding* check = deciding(standing);
    if (check == nullptr) return standing.decision.reason;
    std::string cause =
        with_question(check->state.down_reason, check->state.down_kind, check->check);
    // A server whose machine is gone answers neither us nor its neighbours: that says more.
    if (!standing.unreachable.empty() && check->state.down_kind != core::Failure::answer)
        cause = standing.unreachable + "; " + cause;
    return fmt::format("{} since {}", cause, clock_text(check->state.down_reason_since, now));
}

/// Of a server that went out for another reason than the one that keeps it out.
std::string out_since(const ServerStanding& standing, WallTime now) {
    const CheckStanding* check = deciding(standing);
    if (check == nullptr || check->state.wall_since >= check->state.down_reason_since) return "";
    return "; out since " + clock_text(check->state.wall_since, now);
}

/// What the checks say of a server that is kept out or in for another reason.
std::string besides(const ServerStanding& standing, WallTime now) {
    if (standing.decision.health != core::Health::down) return "";
    return "; besides: " + failing(standing, now);
}

/// When the rule that holds now began to.
std::string since(const ServerStanding& standing, WallTime now) {
    for (auto past = standing.decisions.rbegin(); past != standing.decisions.rend(); ++past)
        if (past->rule == standing.rule) {
            auto first = past;  // of those in a row
            while (std::next(first) != standing.decisions.rend() &&
                   std::next(first)->rule == standing.rule)
                ++first;
            return " since " + clock_text(first->at, now);
        }
    return "";
}

std::string waiting_for(const ServerStanding& standing) {
    const CheckStanding* check = deciding(standing);
    if (check == nullptr || !check->state.any_verdict) return "not tested yet";
    const std::uint32_t rise = check->check.timing.rise;
    if (!check->state.last.passed())
        return fmt::format(
            "it has not passed a check yet (rise {}): {}", rise,
            with_question(check->state.last.reason, check->state.last.failure, check->check));
    return fmt::format("it waits for rise {}: {} of {} passes in a row", rise,
                       check->state.passes_in_row, rise);
}

std::string share_text(const ServerStanding& standing) {
    return fmt::format("weight {}, {:.3g}% of new work", standing.decision.effective_weight,
                       standing.share * 100);
}

/// What stands behind "NAME ADDRESS ", with `where` for the services.
std::string predicate(const ServerStanding& standing, const std::string& where, WallTime now) {
    const core::ServerDecision& decision = standing.decision;
    switch (standing.rule) {
        case Rule::fall:
        case Rule::refusal:
        case Rule::first_failure:
            return fmt::format("is OUT of {}: {} ({}{}){}", where, failing(standing, now),
                               rule_text(standing),
                               decision.place == Place::idle ? ", kept with weight 0" : "",
                               out_since(standing, now));
        case Rule::unreachable:
            return fmt::format("is OUT of {}: {}{}", where, decision.reason, since(standing, now));
        case Rule::drain:
            return fmt::format("is OUT of {}: drained by the operator{}{}", where,
                               since(standing, now), besides(standing, now));
        case Rule::max_out:
        case Rule::on_all_down:
            return fmt::format("is IN {} although it is down, {}: {}", where, rule_text(standing),
                               failing(standing, now));
        case Rule::waiting:
            return fmt::format("is not IN {} yet: {}", where, waiting_for(standing));
        case Rule::untested_in:
            return fmt::format("is IN {}, not tested yet: in until its first failure", where);
        case Rule::weight_zero:
            return fmt::format("gets no new work of {}: its weight is 0 {}{}", where,
                               decision.configured_weight == 0
                                   ? "in the configuration"
                                   : "by its checks (" + decision.reason + ")",
                               besides(standing, now));
        case Rule::sorry_server:
            return fmt::format(
                "is OUT of {} although it is well: the quorum is not met ({}), and the "
                "sorry server {} has all the work",
                where, core::shortfall(standing.quorum),
                standing.service.sorry_server ? standing.service.sorry_server->endpoint.to_string()
                                              : "");
        case Rule::check_weight:
            return fmt::format("is IN {} with weight {} instead of {}: {}", where, decision.weight,
                               decision.configured_weight, decision.reason);
        case Rule::slow_start:
            return fmt::format("is IN {} with weight {} of {}: slow start, step {} of {}{}", where,
                               decision.effective_weight, decision.configured_weight,
                               decision.slow_start_step, core::slow_start_steps,
                               since(standing, now));
        case Rule::adopted:
            return fmt::format(
                "is IN {} ({}): the kernel forwarded to it when this director started, and it "
                "has not failed since",
                where, share_text(standing));
        case Rule::no_checks:
            return fmt::format("is IN {} ({}): it has no checks", where, share_text(standing));
        case Rule::rise:
        case Rule::repair: break;
    }
    return fmt::format("is IN {} ({}): its checks pass since {}", where, share_text(standing),
                       clock_text(decision.wall_since, now));
}

/// Whether one sentence serves for both.
bool alike(const ServerStanding& left, const ServerStanding& right, WallTime now) {
    return left.server.endpoint == right.server.endpoint && left.server.name == right.server.name &&
           predicate(left, "", now) == predicate(right, "", now);
}

std::string passes_needed(const CheckStanding& check) {
    const core::CheckTiming& timing = check.check.timing;
    const std::uint32_t left =
        timing.rise > check.state.passes_in_row ? timing.rise - check.state.passes_in_row : 1;
    return fmt::format("{} {} in a row of the check {} {}; the next round begins within {}", left,
                       left == 1 ? "pass" : "passes", core::kind_of(check.check.what),
                       core::summary_of(check.check.what), to_text(timing.every));
}

std::string passes_needed(const ServerStanding& standing) {
    std::string text;
    for (const CheckStanding& check : standing.checks)
        if (check.needed) text += (text.empty() ? "" : ", and ") + passes_needed(check);
    return text;
}

}  // namespace

std::string clock_text(WallTime time, WallTime now) {
    const auto local = [](WallTime at) {
        const std::time_t seconds = std::chrono::floor<Seconds>(at).time_since_epoch().count();
        std::tm parts{};
        localtime_r(&seconds, &parts);
        return parts;
    };
    const std::tm at = local(time);
    const std::tm today = local(now);
    std::string clock = fmt::format("{:02}:{:02}:{:02}", at.tm_hour, at.tm_min, at.tm_sec);
    if (at.tm_year == today.tm_year && at.tm_yday == today.tm_yday) return clock;
    return fmt::format("{:04}-{:02}-{:02} {}", at.tm_year + 1900, at.tm_mon + 1, at.tm_mday, clock);
}

std::string service_name(const core::Service& service) {
    return service.cluster.empty()
               ? service.key.to_string()
               : fmt::format("{}/{}", service.cluster, to_string(service.key.protocol));
}

std::string rule_text(const ServerStanding& standing) {
    const CheckStanding* check = deciding(standing);
    const core::CheckTiming timing = check != nullptr ? check->check.timing : core::CheckTiming{};
    switch (standing.rule) {
        case Rule::no_checks: return "no checks: always well";
        case Rule::rise: return fmt::format("rise {} reached", timing.rise);
        case Rule::adopted: return "in since before this director started";
        case Rule::untested_in: return "in until its first failure";
        case Rule::waiting: return fmt::format("out until rise {}", timing.rise);
        case Rule::first_failure: return "its first verdict: out until it passes";
        case Rule::fall: return fmt::format("fall {} reached", timing.fall);
        case Rule::refusal: return "a refusal counts at once";
        case Rule::drain: return "drained by the operator";
        case Rule::weight_zero: return "weight 0: no new work";
        case Rule::check_weight: return "its checks say its weight";
        case Rule::sorry_server: return "below the quorum the sorry server is used";
        case Rule::max_out:
            return fmt::format("held by max_out {}%", standing.service.max_out_percent);
        case Rule::on_all_down: return "held by on_all_down, since no server is up";
        case Rule::unreachable: return "no way to hand packets to it";
        case Rule::slow_start:
            return fmt::format("slow_start {}", to_text(standing.service.slow_start));
        case Rule::repair: return "the kernel was changed by somebody else";
    }
    return "";
}

std::string way_back(const ServerStanding& standing) {
    std::string passes = passes_needed(standing);
    switch (standing.rule) {
        case Rule::drain:
            return "dnsdirector undrain " + standing.server.name +
                   (passes.empty() ? "" : ", and " + passes);
        case Rule::weight_zero:
            return standing.decision.configured_weight == 0
                       ? "a weight above 0 in the configuration, then dnsdirector reload"
                       : "a check that gives it a weight above 0";
        case Rule::sorry_server:
            return fmt::format(
                "the quorum: servers up with a weight of {} together, now {}",
                standing.service.quorum.required + standing.service.quorum.hysteresis,
                standing.quorum.up);
        case Rule::unreachable:
            return "an answer of it, or a way to it: seen within a second, no command is needed";
        case Rule::slow_start: {
            const auto left = core::slow_start_steps - standing.decision.slow_start_step;
            return fmt::format("its full weight {} in about {}",
                               standing.decision.configured_weight,
                               to_text(std::chrono::ceil<Seconds>(standing.service.slow_start /
                                                                  core::slow_start_steps * left)));
        }
        case Rule::max_out: return "an end of the hold: " + passes;
        case Rule::on_all_down:
            return "an end of the hold: any server of the service that is up; for this one " +
                   passes;
        case Rule::fall:
        case Rule::refusal:
        case Rule::first_failure:
        case Rule::waiting: return passes;
        default: return "";
    }
}

std::string runs_of(const std::vector<core::PastVerdict>& verdicts) {
    struct Run {
        std::size_t length;
        std::string what;
    };
    std::vector<Run> runs;
    for (const core::PastVerdict& verdict : verdicts) {
        const std::string what = verdict.failure == core::Failure::none ? "passed"
                                 : !verdict.reason.empty()
                                     ? verdict.reason
                                     : std::string(core::to_string(verdict.failure));
        if (runs.empty() || runs.back().what != what) runs.push_back({0, what});
        ++runs.back().length;
    }
    constexpr std::size_t most = 8;
    std::string text;
    if (runs.size() > most) {
        text = fmt::format("{} earlier runs", runs.size() - most);
        runs.erase(runs.begin(), runs.end() - most);
    }
    for (const Run& run : runs)
        text += fmt::format("{}{} {}", text.empty() ? "" : ", then ", run.length, run.what);
    return text.empty() ? "no verdict yet" : text;
}

std::string sentence_of(const ServerStanding& standing, WallTime now) {
    return fmt::format("{} {}", subject(standing),
                       predicate(standing, service_name(standing.service), now));
}

std::string answer_of(const std::vector<ServerStanding>& standings, WallTime now) {
    const ServerStanding& worst = *std::min_element(
        standings.begin(), standings.end(),
        [](const auto& left, const auto& right) { return rank(left) < rank(right); });
    std::vector<std::string> names;
    std::size_t others = 0;
    for (const ServerStanding& standing : standings) {
        if (!alike(standing, worst, now)) {
            ++others;
            continue;
        }
        const std::string name = service_name(standing.service);
        if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
    std::string where;
    for (const std::string& name : names)
        where += (where.empty() ? "" : " and ") + name;
    const std::string more = others == 0 ? "" : fmt::format("; {} more below", others);
    return fmt::format("{} {}{}", subject(worst), predicate(worst, where, now), more);
}

}  // namespace dnsdirector::control
