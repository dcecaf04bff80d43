// SPDX-License-Identifier: Apache-2.0
//
// announce/: how the world learns that a service IP is here. This part holds
// the address itself on an interface, so that the director answers ARP, ND and
// ping for it; announcing it by BGP comes beside it.
#pragma once

#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/netlink.h"

namespace dnsdirector::announce {

/// Service IPs as addresses of one interface. Only what the director added is
/// ever removed; what is its own is remembered in a file in the run directory,
/// so that a start after kill -9 knows it.
class Presence {
public:
    /// `state_file` holds the own addresses, one a line as "INTERFACE ADDRESS".
    Presence(netlink::Socket& socket, std::string state_file);

    /// Makes the interface hold exactly these of our addresses: adds what is
    /// missing, removes own ones that are not wished any more (also from the
    /// interface that held them before). Returns lines for the log, one a change.
    /// Idempotent: call it again after on_address of a monitor to repair.
    Result<std::vector<std::string>> hold(const std::string& interface,
                                          std::span<const IpAddress> service_ips);
    /// Removes every own address (a clean stop).
    Result<void> release();

    [[nodiscard]] const std::set<std::pair<std::string, IpAddress>>& own() const { return own_; }

private:
    netlink::Socket& socket_;
    std::string state_file_;
    std::set<std::pair<std::string, IpAddress>> own_;
};

}  // namespace dnsdirector::announce
