// SPDX-License-Identifier: Apache-2.0
//
// The kernel's error numbers in an operator's words, with the mend where there is one.
#pragma once

#include "base/address.h"
#include "base/result.h"
#include "netlink/transport.h"

namespace dnsdirector::netlink {

[[nodiscard]] Error no_route(const IpAddress& destination, const Refusal& refusal);
[[nodiscard]] Error cannot_resolve(int interface, const IpAddress& address, const Refusal& refusal);
/// `verb`: "add" or "remove".
[[nodiscard]] Error cannot_change_address(const char* verb, int interface, const IpAddress& address,
                                          const Refusal& refusal);
/// The same of the route of a single address; interface 0 is none.
[[nodiscard]] Error cannot_change_route(const char* verb, const IpAddress& address, int interface,
                                        const Refusal& refusal);

}  // namespace dnsdirector::netlink
