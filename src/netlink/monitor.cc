// SPDX-License-Identifier: Apache-2.0
#include "netlink/monitor.h"

#include <linux/rtnetlink.h>

#include "netlink/messages.h"

namespace dnsdirector::netlink {

Result<std::unique_ptr<Monitor>> Monitor::open() {
    return KernelMonitor::open();
}

Result<std::unique_ptr<KernelMonitor>> KernelMonitor::open(int receive_buffer) {
    auto transport =
        Transport::open({.groups = {RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
                                    RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
                                    RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_NEXTHOP},
                         .receive_buffer = receive_buffer});
    if (!transport) return tl::unexpected{transport.error()};
    return std::unique_ptr<KernelMonitor>{new KernelMonitor{std::move(*transport)}};
}

void KernelMonitor::on_readable() {
    // A routing daemon may change a hundred thousand routes: one call tells all.
    bool route_changed = false;
    const bool complete =
        transport_.drain([&](const nlmsghdr& header) { take(header, route_changed); });
    if (route_changed && on_route) on_route();
    if (!complete && on_overflow) on_overflow();
}

void KernelMonitor::take(const nlmsghdr& header, bool& route_changed) const {
    switch (header.nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            if (on_link)
                if (const auto link = parse_link(header))
                    on_link(*link, header.nlmsg_type == RTM_DELLINK);
            break;
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            if (on_neighbour)
                if (const auto neighbour = parse_neighbour(header)) on_neighbour(*neighbour);
            break;
        case RTM_NEWADDR:
        case RTM_DELADDR:
            if (on_address)
                if (const auto address = parse_address(header))
                    on_address(*address, header.nlmsg_type == RTM_DELADDR);
            break;
        default:
            if (changes_routes(header)) route_changed = true;
            break;
    }
}

}  // namespace dnsdirector::netlink
