// SPDX-License-Identifier: Apache-2.0
//
// The engine's memory of what it decided, and Engine::standings() for `why`.
#include <algorithm>
#include <type_traits>
#include <variant>

#include "control/engine.h"

namespace dnsdirector::control {
namespace {

/// The server that a change is about; none where it is the service itself.
std::optional<Endpoint> server_of(const core::Change& change) {
    return std::visit(
        [](const auto& what) -> std::optional<Endpoint> {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, core::RemoveDestination>)
                return what.server;
            else if constexpr (std::is_same_v<What, core::AddDestination> ||
                               std::is_same_v<What, core::EditDestination>)
                return what.destination.server;
            else
                return std::nullopt;
        },
        change);
}

double share_of(const core::ServiceForwarding& forwarding, const Endpoint& server) {
    std::uint64_t total = 0;
    std::uint64_t own = 0;
    for (const core::Destination& destination : forwarding.destinations) {
        const std::uint64_t weight = forwarding.scheduler == core::Scheduler::rr
                                         ? std::min(destination.weight, 1U)
                                         : destination.weight;
        total += weight;
        if (destination.server == server) own += weight;
    }
    return total == 0 ? 0 : static_cast<double>(own) / static_cast<double>(total);
}

core::Service without_servers(const core::Service& service) {
    core::Service bare;
    bare.key = service.key;
    bare.cluster = service.cluster;
    bare.group = service.group;
    bare.scheduler = service.scheduler;
    bare.method = service.method;
    bare.quorum = service.quorum;
    bare.on_all_down = service.on_all_down;
    bare.max_out_percent = service.max_out_percent;
    bare.slow_start = service.slow_start;
    bare.sorry_server = service.sorry_server;
    return bare;
}

}  // namespace

/// Call it before the changes are applied: it says the weights until now.
Engine::Written Engine::to_be_written(const std::vector<core::Change>& changes) const {
    Written written;
    for (const core::Change& change : changes)
        if (const auto server = server_of(change))
            written[{core::service_of(change), *server}] = core::describe(change, actual_);
    return written;
}

core::PastDecision Engine::past_decision(ServiceIndex index, std::size_t server,
                                         const Now& now) const {
    const core::ServerDecision& decision = services_[index].decision.servers[server];
    const auto acting = core::acting_rule(
        configuration_.services[index].real_servers[server], decision,
        [this](core::CheckIndex check) -> const core::CheckState& { return checks_[check].state; });
    return {now.wall,        acting.rule, decision.state, decision.effective_weight,
            decision.reason, "",          false};
}

void Engine::remember(ServiceIndex index, const core::ServiceDecision& before,
                      const Written& written, bool applied, const Now& now) {
    const core::Service& service = configuration_.services[index];
    const core::ServiceDecision& after = services_[index].decision;
    const bool comparable = before.servers.size() == after.servers.size();
    for (std::size_t i = 0; i < after.servers.size(); ++i) {
        const Endpoint& endpoint = service.real_servers[i].endpoint;
        const auto line = written.empty() ? written.end() : written.find({service.key, endpoint});
        const bool told = line != written.end();
        if (!told && comparable && !core::differs(before.servers[i], after.servers[i])) continue;
        core::PastDecision decision = past_decision(index, i, now);
        if (told) decision.written = line->second;
        decision.refused = told && !applied;
        chronicle_.add(service.key, endpoint, std::move(decision));
    }
}

void Engine::remember_repair(const Written& written, bool applied) {
    if (written.empty()) return;
    const Now now = clock_();
    for (ServiceIndex index = 0; index < services_.size(); ++index) {
        const core::Service& service = configuration_.services[index];
        for (std::size_t i = 0; i < services_[index].decision.servers.size(); ++i) {
            const Endpoint& endpoint = service.real_servers[i].endpoint;
            const auto line = written.find({service.key, endpoint});
            if (line == written.end()) continue;
            core::PastDecision decision = past_decision(index, i, now);
            decision.rule = core::Rule::repair;
            decision.written = line->second;
            decision.refused = !applied;
            chronicle_.add(service.key, endpoint, std::move(decision));
        }
    }
}

void Engine::forget_the_gone() {
    std::vector<probe::CheckId> ids;
    ids.reserve(checks_.size());
    for (const CheckRuntime& check : checks_)
        ids.push_back(check.id);
    chronicle_.retain(configuration_, ids);
}

ServerStanding Engine::standing(const core::Service& service, std::size_t at,
                                const core::ServiceDecision& decided) const {
    ServerStanding standing;
    const core::RealServer& server = service.real_servers[at];
    standing.service = without_servers(service);
    standing.server = server;
    standing.quorum = decided.quorum;
    standing.decision = decided.servers[at];
    standing.share = share_of(decided.forwarding, server.endpoint);
    standing.unreachable =
        plane_.unreachable_reason(server.endpoint, server.method.value_or(service.method));
    const auto acting = core::acting_rule(
        server, standing.decision,
        [this](core::CheckIndex check) -> const core::CheckState& { return checks_[check].state; });
    standing.rule = acting.rule;
    const std::vector<core::CheckIndex> in_the_way = core::checks_in_the_way(
        server,
        [this](core::CheckIndex check) -> const core::CheckState& { return checks_[check].state; });
    for (const core::CheckIndex check : server.checks) {
        if (acting.check == check) standing.check = standing.checks.size();
        const CheckRuntime& runtime = checks_[check];
        const bool needed =
            std::find(in_the_way.begin(), in_the_way.end(), check) != in_the_way.end();
        standing.checks.push_back({configuration_.checks[check], runtime.state,
                                   chronicle_.verdicts(runtime.id),
                                   static_cast<std::uint32_t>(runtime.services.size()), needed});
    }
    standing.decisions = chronicle_.decisions(service.key, server.endpoint);
    return standing;
}

std::vector<ServerStanding> Engine::standings(const Target& target) const {
    std::vector<ServerStanding> result;
    for (std::size_t i = 0; i < services_.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        const core::ServiceDecision& decided = services_[i].decision;
        for (std::size_t j = 0; j < decided.servers.size(); ++j) {
            const core::RealServer& server = service.real_servers[j];
            if (!matches(target, service.cluster, service.key.protocol, server.name,
                         server.endpoint))
                continue;
            result.push_back(standing(service, j, decided));
        }
    }
    return result;
}

std::vector<ServiceStanding> Engine::service_standings(const Target& target) const {
    std::vector<ServiceStanding> result;
    for (std::size_t i = 0; i < services_.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        const core::ServiceDecision& decided = services_[i].decision;
        const bool itself = matches(target, service.key);
        if (!itself && !matches(target, service.key, service.sorry_server)) continue;
        ServiceStanding& standing = result.emplace_back();
        standing.service = without_servers(service);
        standing.quorum = decided.quorum;
        standing.sorry = decided.sorry;
        standing.asked_for_sorry = !itself;
        for (std::size_t j = 0; j < decided.servers.size(); ++j)
            standing.servers.push_back(this->standing(service, j, decided));
    }
    return result;
}

}  // namespace dnsdirector::control
