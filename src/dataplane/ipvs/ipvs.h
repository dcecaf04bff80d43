// SPDX-License-Identifier: Apache-2.0
//
// dataplane/ipvs: forwarding by the kernel's own balancer (net/netfilter/ipvs),
// for who comes from LVS, needs NAT or tunnels, or has cards without XDP. Reads
// the kernel's table, applies single changes, never flushes. Services that
// somebody else made are left alone, unless the configuration has them too.
//
//     translate     services and servers as the kernel spells them
//     tallies       counters that go on when the kernel's begin anew
//     journal       which services are ours, and the tallies, over a crash
//     surroundings  the sysctls that matter, each with its mend
//     plane         puts them together; looks for others' changes twice a second
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dataplane/dataplane.h"
#include "netlink/ipvs.h"

namespace dnsdirector::dataplane {

/// Opens the plane in the network namespace of the calling thread. `journal` is
/// a file of the run directory; of an earlier boot it is void. Errors: no IPVS in
/// this kernel, no permission (CAP_NET_ADMIN).
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_ipvs(const std::string& journal);

/// As above on another table, for tests.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_ipvs(
    std::unique_ptr<netlink::IpvsTable> table, const std::string& journal);

}  // namespace dnsdirector::dataplane
