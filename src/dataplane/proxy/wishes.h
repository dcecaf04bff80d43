// SPDX-License-Identifier: Apache-2.0
//
// What the configuration wishes of services and servers beside what is forwarded.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "core/model.h"

namespace dnsdirector::dataplane::proxy {

/// Of messages that go to all servers (to_all.h).
struct ToAllWish {
    core::ToAll what;
    std::vector<Endpoint> servers;  ///< real servers, sorted; not the sorry server

    friend bool operator==(const ToAllWish&, const ToAllWish&) = default;
};

struct Wishes {
    std::set<Endpoint> proxy_protocol;  ///< servers that want the header
    std::set<Endpoint> transparent;     ///< servers that are asked from clients' addresses
    std::map<core::ServiceKey, core::ClientSubnet> client_subnets;  ///< of services that tell it
    std::map<core::ServiceKey, ToAllWish> to_all;                   ///< of services that have one

    friend bool operator==(const Wishes&, const Wishes&) = default;
};

[[nodiscard]] Wishes wishes_of(const core::Configuration& configuration);
/// Services of which the two do not say the same, whatever they say of servers.
[[nodiscard]] std::set<core::ServiceKey> differing(const Wishes& before, const Wishes& after);

}  // namespace dnsdirector::dataplane::proxy
