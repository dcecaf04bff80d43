// SPDX-License-Identifier: Apache-2.0
//
// IPVS's generic netlink messages as values: no socket, so that tests look at
// every byte.
#pragma once

#include <optional>

#include "netlink/ipvs.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {

/// "Which number has the family of this name?" (CTRL_CMD_GETFAMILY)
[[nodiscard]] Message family_request(const char* name);
/// The number, where the message is its answer.
[[nodiscard]] std::optional<int> parse_family(const nlmsghdr& header);

/// `family` is the number of "IPVS", `command` IPVS_CMD_*.
[[nodiscard]] Message services_request(int family);
[[nodiscard]] Message destinations_request(int family, const IpvsServiceId& service);
[[nodiscard]] Message service_message(int family, int command, const IpvsService& service);
[[nodiscard]] Message service_message(int family, int command, const IpvsServiceId& service);
/// Removing one takes address, family and port; the rest is left out.
[[nodiscard]] Message destination_message(int family, int command, const IpvsServiceId& service,
                                          const IpvsDestination& destination);

/// Nothing where the message is no service, or one that lacks what names it.
[[nodiscard]] std::optional<IpvsService> parse_service(const nlmsghdr& header);
/// `of`: the service's family, which older kernels do not repeat.
[[nodiscard]] std::optional<IpvsDestination> parse_destination(const nlmsghdr& header, Family of);

}  // namespace dnsdirector::netlink
