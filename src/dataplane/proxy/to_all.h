// SPDX-License-Identifier: Apache-2.0
//
// Which messages of a service go to all of its servers (core::ToAll), and to whom. Part of the
// table: never changed once published.
#pragma once

#include <vector>

#include "dataplane/proxy/table.h"

namespace dnsdirector::dataplane::proxy {

struct ToAll {
    struct Member {
        Target target;
        /// Its answer does: it has work now, or nobody has.
        bool counts = false;
    };
    core::ToAll what;
    /// All that the service lists, sorted by endpoint. Who is drained or has weight 0 still
    /// serves connections that are open; whom checks want out may be out because its zone
    /// expired, and then needs the NOTIFY most.
    std::vector<Member> members;

    [[nodiscard]] bool takes(std::uint8_t opcode) const;
    /// Whether this client may send them.
    [[nodiscard]] bool allows(const IpAddress& client) const;
    [[nodiscard]] bool counts(const Endpoint& server) const;
};

/// Says of each member whether it counts, by what is forwarded now.
void judge_members(std::vector<ToAll::Member>& members, const core::ServiceForwarding& forwarding);

}  // namespace dnsdirector::dataplane::proxy
