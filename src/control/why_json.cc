// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "control/why.h"
#include "core/by_hand.h"
#include "dns/present.h"

namespace dnsdirector::control {
namespace {

using json = nlohmann::ordered_json;

std::string reply_text(const core::PastVerdict& verdict) {
    return verdict.reply ? dns::in_dig_form(*verdict.reply) : std::string{};
}

json verdict_json(const core::PastVerdict& verdict) {
    json entry = {{"at", to_rfc3339(verdict.at)},
                  {"failure", core::to_string(verdict.failure)},
                  {"rtt_us", verdict.rtt.count()}};
    if (verdict.failure != core::Failure::none) entry["reason"] = verdict.reason;
    if (verdict.reply) entry["reply"] = reply_text(verdict);
    return entry;
}

/// The last failure whose reply is kept.
json failing_reply(const std::vector<core::PastVerdict>& verdicts) {
    for (auto verdict = verdicts.rbegin(); verdict != verdicts.rend(); ++verdict)
        if (verdict->reply)
            return {{"at", to_rfc3339(verdict->at)},
                    {"reason", verdict->reason},
                    {"text", reply_text(*verdict)}};
    return nullptr;
}

json check_json(const CheckStanding& standing) {
    json verdicts = json::array();
    for (const core::PastVerdict& verdict : standing.verdicts)
        verdicts.push_back(verdict_json(verdict));
    const core::CheckTiming& timing = standing.check.timing;
    const core::CheckState& state = standing.state;
    return {{"kind", core::kind_of(standing.check.what)},
            {"what", core::summary_of(standing.check.what)},
            {"target", standing.check.target.to_string()},
            {"full", core::full_text(standing.check)},
            {"state", core::to_string(state.health)},
            {"rule", core::to_string(state.turned_by)},
            {"since", to_rfc3339(state.wall_since)},
            {"rise", timing.rise},
            {"fall", timing.fall},
            {"every_us", std::chrono::duration_cast<Microseconds>(timing.every).count()},
            {"passes_in_row", state.passes_in_row},
            {"failures_in_row", state.failures_in_row},
            {"shared_by_services", standing.shared_by},
            {"by_hand", core::by_hand(standing.check)},
            {"runs", runs_of(standing.verdicts)},
            {"failing_reply", failing_reply(standing.verdicts)},
            {"verdicts", verdicts}};
}

json decision_json(const core::PastDecision& decision) {
    return {{"at", to_rfc3339(decision.at)},
            {"rule", core::to_string(decision.rule)},
            {"state", core::to_string(decision.state)},
            {"effective_weight", decision.effective_weight},
            {"reason", decision.reason},
            {"written", decision.written},
            {"refused", decision.refused}};
}

json quorum_json(const core::QuorumDecision& quorum) {
    return {{"required", quorum.required},
            {"hysteresis", quorum.hysteresis},
            {"up", quorum.up},
            {"met", quorum.met}};
}

json server_json(const ServerStanding& standing, WallTime now) {
    json checks = json::array();
    for (const CheckStanding& check : standing.checks)
        checks.push_back(check_json(check));
    json decisions = json::array();
    for (const core::PastDecision& decision : standing.decisions)
        decisions.push_back(decision_json(decision));
    const core::ServerDecision& decision = standing.decision;
    const core::Service& service = standing.service;
    return {{"cluster", service.cluster.empty() ? json(nullptr) : json(service.cluster)},
            {"service", service.key.to_string()},
            {"scheduler", core::to_string(service.scheduler)},
            {"name", standing.server.name},
            {"address", standing.server.endpoint.address.to_string()},
            {"port", standing.server.endpoint.port},
            {"answer", sentence_of(standing, now)},
            {"rule", core::to_string(standing.rule)},
            {"rule_text", rule_text(standing)},
            {"state", core::to_string(decision.state)},
            {"health", core::to_string(decision.health)},
            {"since", to_rfc3339(decision.wall_since)},
            {"drained", decision.drained},
            {"held", decision.held},
            {"reachable", standing.unreachable.empty()},
            {"unreachable_reason", standing.unreachable},
            {"weight", decision.configured_weight},
            {"effective_weight", decision.effective_weight},
            {"share", standing.share},
            {"reason", decision.reason},
            {"way_back", way_back(standing)},
            {"quorum", quorum_json(standing.quorum)},
            {"decisions", decisions},
            {"checks", checks}};
}

json sorry_json(const ServiceStanding& standing) {
    if (!standing.service.sorry_server || !standing.sorry) return nullptr;
    return {{"address", standing.service.sorry_server->endpoint.address.to_string()},
            {"port", standing.service.sorry_server->endpoint.port},
            {"in_use", standing.sorry->in_use},
            {"reachable", standing.sorry->reachable},
            {"reason", standing.sorry->reason}};
}

/// Its servers in a line each: `why` of one of them says the rest.
json announcement_json(const ServiceStanding& standing) {
    if (!standing.announcement) return nullptr;
    return {{"state", core::to_string(standing.announcement->state)},
            {"reason", standing.announcement->reason},
            {"since", to_rfc3339(standing.announcement->wall_since)}};
}

json service_json(const ServiceStanding& standing, WallTime now) {
    const core::Service& service = standing.service;
    json servers = json::array();
    for (const ServerStanding& server : standing.servers)
        servers.push_back({{"name", server.server.name},
                           {"address", server.server.endpoint.address.to_string()},
                           {"port", server.server.endpoint.port},
                           {"state", core::to_string(server.decision.state)},
                           {"rule", core::to_string(server.rule)},
                           {"share", server.share},
                           {"answer", sentence_of(server, now)}});
    return {{"cluster", service.cluster.empty() ? json(nullptr) : json(service.cluster)},
            {"service", service.key.to_string()},
            {"answer", sentence_of(standing, now)},
            {"quorum", quorum_json(standing.quorum)},
            {"needed", needed_text(service.quorum)},
            {"sorry_server", sorry_json(standing)},
            {"announcement", announcement_json(standing)},
            {"on_all_down", core::to_string(service.on_all_down)},
            {"servers", servers}};
}

}  // namespace

std::string to_json(const Standings& standings, WallTime now) {
    json services = json::array();
    for (const ServiceStanding& standing : standings.services)
        services.push_back(service_json(standing, now));
    json servers = json::array();
    for (const ServerStanding& standing : standings.servers)
        servers.push_back(server_json(standing, now));
    const json root = {{"at", to_rfc3339(now)},
                       {"answer", answer_of(standings, now)},
                       {"services", services},
                       {"servers", servers}};
    // Reasons and replies may carry bytes that a server or script sent.
    return root.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace dnsdirector::control
