// SPDX-License-Identifier: Apache-2.0
//
// Services of the compatible form → the dns_clusters that mean the same.
#pragma once

#include <compare>
#include <string>
#include <vector>

#include "config/draft.h"
#include "config/places.h"
#include "core/model.h"

namespace dnsdirector::config {

/// A check as a block of a cluster or server. In its target, address 0.0.0.0 stands for the
/// server's own and port 0 for the server's; `{address}` in a command does so too.
struct PlannedCheck {
    core::Check check;                  ///< without the source
    PerProtocol<bool> services = {};    ///< that go by it
    PerProtocol<bool> transports = {};  ///< of a question
    PerFamily<std::optional<IpAddress>> source = {};
    bool was_dig = false;

    friend bool operator==(const PlannedCheck&, const PlannedCheck&) = default;
};

struct PlannedServer {
    std::string name;
    PerFamily<std::optional<IpAddress>> address;
    std::uint16_t port = 0;
    core::Weight weight = 1;
    bool inhibit_on_failure = false;
    core::Thresholds thresholds;
    std::optional<core::Command> notify_up;
    std::optional<core::Command> notify_down;
    std::vector<PlannedCheck> checks;  ///< that not all servers of the cluster have
    std::vector<Position> places;      ///< in each of the services
};

struct PlannedCluster {
    std::string name;
    core::Service like;  ///< its policies; key, servers and names say nothing
    std::vector<IpAddress> service_ips;
    PerProtocol<bool> protocols = {};
    PerFamily<std::optional<Endpoint>> sorry_server;
    std::vector<PlannedCheck> checks;
    std::vector<PlannedServer> servers;
    std::vector<Position> places;  ///< of the blocks
};

/// What cannot be said in the native form, and where it stands.
struct Leftover {
    Position at;
    std::string text;
};

struct Plan {
    std::vector<PlannedCluster> clusters;
    std::vector<Leftover> left;
};

/// Of the services without a cluster. Folded into one cluster are those with equal policies,
/// servers, weights and checks; both families of a cluster, when the addresses of each server
/// show that they belong together (203.0.113.11 and 2001:db8::11). Names are empty.
[[nodiscard]] Plan plan_clusters(const core::Configuration& configuration, const Places& places);

}  // namespace dnsdirector::config
