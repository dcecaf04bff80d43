// SPDX-License-Identifier: Apache-2.0
//
// When a server's or service's commands (notify_up, notify_down, quorum_up,
// quorum_down) are to be run: what changed between two decisions. The facts are
// keepalived's (docs/hooks.md says them for users):
//
// - A server that is in from the start is told of only when it goes down; one
//   that waits for its checks, whichever way they end.
// - Up and down are what the checks say: drains, holds and the sorry server
//   change nothing in it.
// - A quorum that is met at the start is told of. One that is not, only where a
//   sorry server steps in.
#pragma once

#include <optional>
#include <vector>

#include "core/desired.h"

namespace dnsdirector::core {

struct Notice {
    std::optional<Endpoint> server;  ///< absent: the service's quorum
    bool up = false;

    friend bool operator==(const Notice&, const Notice&) = default;
};

/// Servers first, then the quorum; servers that are gone from `after` are not
/// told of (see farewell()).
[[nodiscard]] std::vector<Notice> notices(const ServiceMemory& before, const ServiceMemory& after);

/// What is said when a service leaves the configuration, or the director stops
/// (omega): down, to all that were told that they are up.
[[nodiscard]] std::vector<Notice> farewell(const ServiceMemory& memory);

/// The command that a notice runs; nullptr where none is configured, or the
/// service has no such server.
[[nodiscard]] const Command* command_for(const Service& service, const Notice& notice);

}  // namespace dnsdirector::core
