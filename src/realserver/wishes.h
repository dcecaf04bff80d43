// SPDX-License-Identifier: Apache-2.0
//
// What a machine must be to be this real server. Pure: docs/realserver.md says why each thing.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/model.h"
#include "realserver/actual.h"

namespace dnsdirector::realserver {

/// What the file says.
struct Order {
    core::RealServerMachine machine;
    /// The real servers that it names elsewhere (dns_cluster, virtual_server), this machine
    /// or not.
    std::vector<IpAddress> real_servers;
    /// Service IPs that are kept from everybody outside for now (withheld.h).
    std::set<IpAddress> withheld;
};

/// Of a file that has a real_server_machine.
[[nodiscard]] Order order_of(const core::Configuration& file);

/// Addresses of clients whose ways Actual must know: one of each network in the file that
/// packets come from, and one that stands for all clients.
[[nodiscard]] std::vector<IpAddress> clients_of(const core::RealServerMachine& machine);
[[nodiscard]] IpAddress any_client();
/// One of each IPv4 network: IPv6 has no reverse-path filter to ask about.
[[nodiscard]] std::vector<IpAddress> clients_among(const std::vector<core::Prefix>& prefixes);

struct Wishes {
    std::vector<HeldAddress> addresses;
    std::vector<netlink::TunnelDevice> tunnels;
    /// (path, value), only where the untouched value would not do; in the order of setting.
    std::vector<std::pair<std::string, std::string>> settings;
    std::string ruleset;  ///< "": no table

    /// Why nothing may be done, each with its mend.
    std::vector<std::string> refusals;
    /// What the operator should know besides.
    std::vector<std::string> notes;
};

/// `untouched`: the machine as it would be without us (journal.h).
[[nodiscard]] Wishes wishes_of(const Order& order, const Actual& untouched);

// The parts of it, each in a file of its own.
void wish_quiet(const Order& order, const Actual& untouched, Wishes& wishes);
void wish_reverse_path(const Order& order, const Actual& untouched, Wishes& wishes);
void refuse_unfit(const Order& order, const Actual& untouched, Wishes& wishes);

}  // namespace dnsdirector::realserver
