// SPDX-License-Identifier: Apache-2.0
//
// Engine::services(): the engine's state as values for status and metrics.
#include "control/engine.h"

namespace dnsdirector::control {
namespace {

CheckSnapshot describe(const core::Check& check, const core::CheckState& state,
                       std::size_t services) {
    CheckSnapshot snapshot;
    snapshot.kind = core::kind_of(check.what);
    snapshot.what = core::summary_of(check.what);
    snapshot.health = state.health;
    snapshot.any_verdict = state.any_verdict;
    if (state.any_verdict) snapshot.last = state.last;
    snapshot.native = std::holds_alternative<core::DigCheck>(check.what);
    snapshot.shared_by = static_cast<std::uint32_t>(services);
    snapshot.weight = state.weight;
    snapshot.weight_change = state.weight_change;
    return snapshot;
}

}  // namespace

std::vector<ServiceSnapshot> Engine::services() const {
    std::vector<ServiceSnapshot> result;
    result.reserve(services_.size());
    for (std::size_t i = 0; i < services_.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        const core::ServiceDecision& decision = services_[i].decision;
        ServiceSnapshot& snapshot = result.emplace_back();
        snapshot.key = service.key;
        snapshot.cluster = service.cluster;
        snapshot.group = service.group;
        snapshot.scheduler = service.scheduler;
        snapshot.method = service.method;
        snapshot.quorum = decision.quorum;
        if (service.sorry_server && decision.sorry)
            snapshot.sorry = {service.sorry_server->endpoint, *decision.sorry, {}, 0};
        snapshot.servers.reserve(service.real_servers.size());
        for (std::size_t j = 0; j < service.real_servers.size(); ++j) {
            const core::RealServer& server = service.real_servers[j];
            ServerSnapshot& entry = snapshot.servers.emplace_back();
            entry.name = server.name;
            entry.endpoint = server.endpoint;
            if (j < decision.servers.size()) entry.decision = decision.servers[j];
            for (const core::CheckIndex check : server.checks)
                entry.checks.push_back(describe(configuration_.checks[check], checks_[check].state,
                                                checks_[check].services.size()));
        }
    }
    return result;
}

}  // namespace dnsdirector::control
