// SPDX-License-Identifier: Apache-2.0
//
// Small questions to what the kernel holds; for the engine's files only.
#pragma once

#include <algorithm>
#include <optional>

#include "core/forwarding.h"

namespace dnsdirector::control {

[[nodiscard]] inline const core::ServiceForwarding* find(const core::Forwarding& forwarding,
                                                         const core::ServiceKey& key) {
    const auto found = forwarding.find(key);
    return found == forwarding.end() ? nullptr : &found->second;
}

[[nodiscard]] inline const core::Destination* find(const core::ServiceForwarding* service,
                                                   const Endpoint& server) {
    if (service == nullptr) return nullptr;
    const auto& list = service->destinations;
    const auto found = std::lower_bound(
        list.begin(), list.end(), server,
        [](const core::Destination& left, const Endpoint& right) { return left.server < right; });
    return found != list.end() && found->server == server ? &*found : nullptr;
}

/// Somebody but the sorry server.
[[nodiscard]] inline bool has_work(const core::ServiceForwarding& service,
                                   const std::optional<core::SorryServer>& sorry) {
    return std::any_of(service.destinations.begin(), service.destinations.end(),
                       [&](const core::Destination& destination) {
                           return destination.weight > 0 &&
                                  !(sorry && sorry->endpoint == destination.server);
                       });
}

}  // namespace dnsdirector::control
