// SPDX-License-Identifier: Apache-2.0
//
// rtnetlink messages as values: what the kernel sent, typed. Nothing is sent here.
#pragma once

#include <linux/netlink.h>

#include <optional>

#include "netlink/host_routes.h"
#include "netlink/netlink.h"

struct nlattr;

namespace dnsdirector::netlink {

/// Each gives nothing for a message of another kind, another family, or without
/// what makes it usable. RTM_DEL* messages parse as RTM_NEW* ones do.
[[nodiscard]] std::optional<Link> parse_link(const nlmsghdr& header);
[[nodiscard]] std::optional<Neighbour> parse_neighbour(const nlmsghdr& header);
[[nodiscard]] std::optional<InterfaceAddress> parse_address(const nlmsghdr& header);
[[nodiscard]] std::optional<Route> parse_route(const nlmsghdr& header);

/// A unicast or blackhole route for a single address.
struct ParsedHostRoute {
    HostRoute route;
    std::uint8_t protocol = 0;
    bool main_table = false;
};
[[nodiscard]] std::optional<ParsedHostRoute> parse_host_route(const nlmsghdr& header);

/// What of a neighbour decides whether the director may care for it.
struct NeighbourCare {
    bool managed = false;    ///< NTF_EXT_MANAGED: the kernel keeps it resolved
    bool of_others = false;  ///< permanent, without ARP, or set by another control plane
};
[[nodiscard]] NeighbourCare parse_neighbour_care(const nlmsghdr& header);

/// A change that can alter the answer of Socket::route_to(): a unicast route of
/// the main table, a next-hop object, a policy rule.
[[nodiscard]] bool changes_routes(const nlmsghdr& header);

/// AF_INET or AF_INET6.
[[nodiscard]] unsigned char family_of(const IpAddress& address);

}  // namespace dnsdirector::netlink
