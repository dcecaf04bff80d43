// SPDX-License-Identifier: Apache-2.0
#include "core/desired.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

ServerState state_of(const Draft& draft) {
    if (draft.drained) return ServerState::drained;
    if (draft.health == Health::unknown) return ServerState::unknown;
    return draft.health == Health::up && draft.unreachable.empty() ? ServerState::up
                                                                   : ServerState::down;
}

ServerDecision describe_server(const Deciding& deciding, std::size_t at) {
    const Draft& draft = deciding.drafts[at];
    const ServiceMemory::Seen& seen = deciding.memory.servers[draft.seen];
    const Weight weight = draft.weight;
    ServerDecision decision;
    decision.state = state_of(draft);
    decision.place = draft.place;
    decision.displaced = draft.displaced;
    decision.weight = weight;
    decision.health = draft.health;
    decision.drained = draft.drained;
    decision.held = draft.place == Place::limited || draft.place == Place::last_hope;
    decision.reachable = draft.unreachable.empty();
    decision.configured_weight = deciding.server(at).weight;
    decision.since = seen.since;
    decision.wall_since = seen.wall_since;
    decision.transitions = seen.transitions;
    if (decision.held || draft.place == Place::working) decision.effective_weight = weight;
    if (decision.state != ServerState::up || weight == 0 || weight != decision.configured_weight ||
        draft.displaced)
        decision.reason = reason_of(deciding, at);
    if (seen.returned_at) {
        const std::uint32_t step = step_of(deciding.input, *seen.returned_at);
        decision.slow_start_step = step;
        decision.effective_weight = (weight * step + slow_start_steps - 1) / slow_start_steps;
        append(decision.reason, fmt::format("slow start, step {} of {}", step, slow_start_steps));
    }
    return decision;
}

std::vector<Destination> destinations_of(const Deciding& deciding) {
    const std::vector<ServiceMemory::Seen>& seen = deciding.memory.servers;
    const bool anyone_starts =
        std::any_of(seen.begin(), seen.end(),
                    [](const ServiceMemory::Seen& one) { return one.returned_at.has_value(); });
    std::vector<Destination> destinations;
    destinations.reserve(deciding.order.size());
    for (std::size_t i = 0; i < deciding.order.size(); ++i) {
        const std::uint32_t at = deciding.order[i];
        const Draft& draft = deciding.drafts[at];
        if (draft.place == Place::out) continue;
        std::uint32_t weight = draft.place == Place::idle ? 0 : draft.weight;
        if (anyone_starts)
            weight *= seen[i].returned_at ? step_of(deciding.input, *seen[i].returned_at)
                                          : slow_start_steps;
        const RealServer& server = deciding.server(at);
        destinations.push_back({server.endpoint, weight,
                                server.method.value_or(deciding.service.method),
                                server.thresholds});
    }
    return destinations;
}

/// A real server may be the sorry server, too.
void list_sorry_server(std::vector<Destination>& destinations, const Service& service,
                       bool in_use) {
    const SorryServer& sorry = *service.sorry_server;
    if (!in_use && !sorry.inhibit) return;
    const Destination wanted{sorry.endpoint, in_use ? 1U : 0U,
                             sorry.method.value_or(service.method)};
    const auto at = std::lower_bound(
        destinations.begin(), destinations.end(), wanted.server,
        [](const Destination& left, const Endpoint& right) { return left.server < right; });
    if (at == destinations.end() || at->server != sorry.endpoint)
        destinations.insert(at, wanted);
    else if (in_use)
        at->weight = wanted.weight;
}

/// The others have no hash, or none to choose.
bool has_other_hash(const Service& service) {
    return service.scheduler == Scheduler::sh || service.scheduler == Scheduler::mh;
}

/// A service that starts below its quorum is told so where a sorry server steps
/// in, as in keepalived.
Told to_tell(const ServiceDecision& decision, Told before) {
    if (decision.quorum.met) return Told::up;
    return before != Told::nothing || decision.sorry ? Told::down : Told::nothing;
}

}  // namespace

std::string_view to_string(ServerState state) {
    switch (state) {
        case ServerState::up: return "up";
        case ServerState::down: return "down";
        case ServerState::drained: return "drained";
        case ServerState::unknown: return "unknown";
    }
    return "";
}

ServiceDecision decide(const DecisionInput& input) {
    const Service& service = input.service;
    Deciding deciding{input, service, sorted_by_endpoint(service.real_servers), {}, {}};
    deciding.drafts.reserve(service.real_servers.size());
    for (const RealServer& server : service.real_servers)
        deciding.drafts.push_back(examine(input, server));
    mark_drained(deciding);
    remember(deciding);
    place(deciding);

    ServiceDecision decision;
    decision.quorum = quorum_of(deciding);
    if (service.sorry_server) decision.sorry = turn_to_sorry_server(deciding, decision.quorum);
    deciding.memory.quorum_met = decision.quorum.met;
    deciding.memory.quorum_told = to_tell(decision, input.memory.quorum_told);
    for (const Draft& draft : deciding.drafts)
        follow_slow_start(input, draft, deciding.memory.servers[draft.seen]);

    decision.forwarding = {service.key,
                           service.scheduler,
                           service.method,
                           destinations_of(deciding),
                           service.other_hash && has_other_hash(service),
                           service.ipvs};
    if (decision.sorry)
        list_sorry_server(decision.forwarding.destinations, service, decision.sorry->in_use);
    decision.servers.reserve(deciding.drafts.size());
    for (std::size_t i = 0; i < deciding.drafts.size(); ++i)
        decision.servers.push_back(describe_server(deciding, i));
    decision.next_change = next_step(deciding);
    decision.memory = std::move(deciding.memory);
    return decision;
}

}  // namespace dnsdirector::core
