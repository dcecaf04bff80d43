// SPDX-License-Identifier: Apache-2.0
#include "control/chronicle.h"

#include <set>
#include <unordered_set>

namespace dnsdirector::control {

void Chronicle::inherit(probe::CheckId check, probe::CheckId from) {
    if (const auto past = verdicts_.find(from); past != verdicts_.end())
        verdicts_[check] = core::CheckHistory{past->second};
}

void Chronicle::retain(const core::Configuration& configuration,
                       const std::vector<probe::CheckId>& ids) {
    const std::unordered_set<probe::CheckId> checks(ids.begin(), ids.end());
    std::erase_if(verdicts_, [&](const auto& entry) { return !checks.contains(entry.first); });
    std::set<std::pair<core::ServiceKey, Endpoint>> servers;
    for (const core::Service& service : configuration.services)
        for (const core::RealServer& server : service.real_servers)
            servers.emplace(service.key, server.endpoint);
    std::erase_if(decisions_, [&](const auto& entry) { return !servers.contains(entry.first); });
}

std::vector<core::PastVerdict> Chronicle::verdicts(probe::CheckId check) const {
    const auto found = verdicts_.find(check);
    return found == verdicts_.end() ? std::vector<core::PastVerdict>{} : found->second.list();
}

std::vector<core::PastDecision> Chronicle::decisions(const core::ServiceKey& service,
                                                     const Endpoint& server) const {
    const auto found = decisions_.find({service, server});
    return found == decisions_.end() ? std::vector<core::PastDecision>{} : found->second.list();
}

}  // namespace dnsdirector::control
