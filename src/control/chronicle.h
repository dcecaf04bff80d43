// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/history.h"
#include "probe/prober.h"

namespace dnsdirector::control {

/// What the engine remembers for `why`. Lives as long as the process: what
/// stays equal over a reload keeps its past, a restart begins anew.
class Chronicle {
public:
    void add(probe::CheckId check, const core::Verdict& verdict) { verdicts_[check].add(verdict); }
    /// A check whose timing alone changed goes on with the past of the old one.
    void inherit(probe::CheckId check, probe::CheckId from);
    void add(const core::ServiceKey& service, const Endpoint& server, core::PastDecision decision) {
        decisions_[{service, server}].add(std::move(decision));
    }

    /// Forgets what the configuration does not know any more. `ids` of its checks.
    void retain(const core::Configuration& configuration, const std::vector<probe::CheckId>& ids);

    /// Oldest first.
    [[nodiscard]] std::vector<core::PastVerdict> verdicts(probe::CheckId check) const;
    [[nodiscard]] std::vector<core::PastDecision> decisions(const core::ServiceKey& service,
                                                            const Endpoint& server) const;

private:
    std::unordered_map<probe::CheckId, core::CheckHistory> verdicts_;
    std::map<std::pair<core::ServiceKey, Endpoint>, core::ServerHistory> decisions_;
};

}  // namespace dnsdirector::control
