// SPDX-License-Identifier: Apache-2.0
//
// announce/: how the world learns that a service IP is here. This part holds
// the address itself on an interface, so that the director answers ARP and
// ping for it; announcing it by BGP comes beside it.
#pragma once

#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "netlink/netlink.h"

namespace dnsdirector::announce {

/// Service IPs as addresses of one interface. Only what the director added is
/// ever removed; what is its own is remembered in a file in the run directory,
/// so that a start after kill -9 knows it. An address that was there before is
/// somebody else's: it serves as well, and stays when the director goes.
///
/// On `lo` IPv4 is answered for on every interface (ARP), IPv6 on none: the
/// kernel answers neighbour solicitations only for addresses of the interface
/// they arrive on. An IPv6 service IP that hosts of the director's own subnet
/// must reach belongs on that interface; behind a router's route `lo` will do.
class Presence {
public:
    /// `state_file` holds the own addresses, one a line as "INTERFACE ADDRESS".
    /// It is written before the kernel is asked, so a crash in between leaves an
    /// address too many in the file and never one too many on the interface.
    Presence(netlink::Socket& socket, std::string state_file);

    /// Makes the interface hold exactly these of our addresses: adds what is
    /// missing, removes own ones that are not wished any more (also from the
    /// interface that held them before). Returns lines for the log, one a change.
    /// Idempotent: call it again after on_address of a monitor to repair. On an
    /// error it has done all that it could; the error names the first obstacle.
    Result<std::vector<std::string>> hold(const std::string& interface,
                                          std::span<const IpAddress> service_ips);
    /// Removes every own address and the file (a clean stop).
    Result<void> release();

    /// (interface, address) pairs that the director added.
    [[nodiscard]] const std::set<std::pair<std::string, IpAddress>>& own() const { return own_; }

private:
    using Held = std::pair<std::string, IpAddress>;

    Result<void> add_missing(const netlink::Link& link, std::span<const IpAddress> service_ips,
                             std::vector<std::string>& log);
    Result<void> remove_unwished(const std::string& interface, const std::set<IpAddress>& wished,
                                 std::vector<std::string>& log);
    /// True when it was there.
    Result<bool> remove(const Held& held);

    netlink::Socket& socket_;
    std::string state_file_;
    std::set<Held> own_;
    std::vector<std::string> complaints_;  ///< of reading the file, for the next log
};

}  // namespace dnsdirector::announce
