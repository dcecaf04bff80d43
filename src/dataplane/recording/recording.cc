// SPDX-License-Identifier: Apache-2.0
#include "dataplane/recording/recording.h"

namespace dnsdirector::dataplane {

RecordingPlane::RecordingPlane(core::DataPlaneKind kind, core::Forwarding found)
    : kind_(kind), forwarding_(std::move(found)) {}

void RecordingPlane::fail_change(std::size_t nth, std::string message) {
    refusals_[tried_ + nth] = std::move(message);
}

void RecordingPlane::disturb(const std::string& what,
                             const std::function<void(core::Forwarding&)>& alter) {
    alter(forwarding_);
    if (on_disturbed) on_disturbed(what);
}

void RecordingPlane::set_unreachable(const IpAddress& server, std::string reason) {
    const auto known = unreachable_.find(server);
    const std::string before = known == unreachable_.end() ? "" : known->second;
    if (reason == before) return;
    if (reason.empty())
        unreachable_.erase(server);
    else
        unreachable_[server] = std::move(reason);
    if (on_reachability_changed) on_reachability_changed({&server, 1});
}

Result<core::Forwarding> RecordingPlane::read() {
    ++reads_;
    if (!read_failure_.empty()) return tl::unexpected{Error{read_failure_}};
    return forwarding_;
}

Result<void> RecordingPlane::apply(std::span<const core::Change> changes) {
    ++apply_calls_;
    for (const core::Change& change : changes) {
        ++tried_;
        if (const auto refusal = refusals_.find(tried_); refusal != refusals_.end()) {
            Error error{std::move(refusal->second)};
            refusals_.erase(refusal);
            return tl::unexpected{std::move(error)};
        }
        core::apply(forwarding_, change);
        applied_.push_back(change);
    }
    return {};
}

void RecordingPlane::track(std::span<const TrackedServer> servers) {
    tracked_.assign(servers.begin(), servers.end());
}

std::string RecordingPlane::unreachable_reason(const Endpoint& server,
                                               core::ForwardingMethod /*method*/) const {
    const auto known = unreachable_.find(server.address);
    return known == unreachable_.end() ? "" : known->second;
}

Result<void> RecordingPlane::detach() {
    forwarding_.clear();
    detached_ = true;
    return {};
}

}  // namespace dnsdirector::dataplane
