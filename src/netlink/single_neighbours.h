// SPDX-License-Identifier: Apache-2.0
//
// One neighbour at a time, as somebody who sends to it looks at the kernel's table: without
// taking care of the entry (Socket::resolve(), whose care belongs to the data plane).
#pragma once

#include <memory>
#include <optional>

#include "base/address.h"
#include "base/result.h"
#include "netlink/netlink.h"

namespace dnsdirector::netlink {

class SingleNeighbours {
public:
    static Result<std::unique_ptr<SingleNeighbours>> open();
    virtual ~SingleNeighbours() = default;

    /// The entry as it is; nothing where there is none.
    virtual Result<std::optional<Neighbour>> find(int interface, const IpAddress& address) = 0;
    /// What sending a packet to it does to the entry (NTF_USE): one that is missing is asked
    /// for, a stale one is asked again; who cares for it goes on to. A monitor tells what comes of
    /// it.
    virtual Result<void> use(int interface, const IpAddress& address) = 0;
};

}  // namespace dnsdirector::netlink
