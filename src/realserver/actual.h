// SPDX-License-Identifier: Apache-2.0
//
// What of a machine decides whether it is a real server, as a value: read by Machine::read(), or
// filled by a test.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "netlink/netlink.h"
#include "netlink/tunnels.h"

namespace dnsdirector::realserver {

/// Values by their paths below /proc/sys/net, "ipv4/conf/all/arp_ignore", as they stand there
/// without the end of line. What is not there is not in it.
using Settings = std::map<std::string, std::string>;

struct HeldAddress {
    std::string interface;
    IpAddress address;

    friend auto operator<=>(const HeldAddress&, const HeldAddress&) = default;
    friend bool operator==(const HeldAddress&, const HeldAddress&) = default;
};

struct Actual {
    std::vector<netlink::Link> links;
    std::vector<HeldAddress> addresses;
    Settings settings;
    std::vector<netlink::TunnelDevice> tunnels;
    std::optional<std::string> table;  ///< our nftables table, as read_table() gives it
    /// By which interface the kernel sends to clients; absent: it has no route.
    std::map<IpAddress, int> ways;

    [[nodiscard]] const netlink::Link* link(std::string_view name) const;
    [[nodiscard]] bool holds(const HeldAddress& address) const;
    /// The number that a setting is; absent where it is not there.
    [[nodiscard]] std::optional<long> number(const std::string& path) const;
};

/// "ipv4/conf/eth1.105/rp_filter"
[[nodiscard]] std::string path_of(std::string_view family, std::string_view interface,
                                  std::string_view name);
/// As sysctl(8) takes it: "net.ipv4.conf.all.rp_filter", "net/ipv4/conf/eth1.105/rp_filter".
[[nodiscard]] std::string sysctl_name(const std::string& path);

/// A device that has nobody at its other end to be asked: lo, a dummy, a bridge without ports.
[[nodiscard]] bool has_no_neighbours(const netlink::Link& link, const Actual& actual);

}  // namespace dnsdirector::realserver
