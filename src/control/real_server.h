// SPDX-License-Identifier: Apache-2.0
//
// What a file says to whom: to a director, which forwards to real servers, or to the agent of a
// real server (`realserver run`), which is the same program with another view of the file.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "base/result.h"
#include "core/desired.h"
#include "core/model.h"
#include "realserver/wishes.h"

namespace dnsdirector::control {

enum class Role : std::uint8_t { director, real_server };

/// The file as its reader sees it.
struct View {
    core::Configuration configuration;
    std::optional<realserver::Order> order;  ///< what a real server's machine shall be
};

/// Errors, with `path` in them: the file is for the other role.
[[nodiscard]] Result<View> view_of(core::Configuration file, Role role, const std::string& path);

/// The agent as a director that forwards nothing, and checks and announces the DNS processes of
/// its machine. A bgp block is a director's where the file has services.
[[nodiscard]] core::Configuration agent_configuration(core::Configuration file);

/// "withdraw_on_failure off -> on"; "" where it stays.
[[nodiscard]] std::string change_of_withdrawal(const realserver::Order& present,
                                               const realserver::Order& next);

/// Service IPs that no DNS process serves which passes its checks: each of them fails in one of
/// the protocols at least. While none passes and some are not judged yet, it stays as it was;
/// without any process it is not withheld. `decision_of`: of a service by its index.
[[nodiscard]] std::set<IpAddress> unserved(
    std::span<const core::Service> services,
    const std::function<const core::ServiceDecision&(std::uint32_t)>& decision_of,
    const std::set<IpAddress>& before);

}  // namespace dnsdirector::control
