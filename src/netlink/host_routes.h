// SPDX-License-Identifier: Apache-2.0
//
// Routes for single addresses over one interface, marked by a protocol number: what the
// director writes for a routing daemon to read. Main table, scope link, both families.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace dnsdirector::netlink {

struct HostRoute {
    IpAddress address;
    int interface = 0;         ///< 0 for one without a device (blackhole)
    std::uint32_t metric = 0;  ///< RTA_PRIORITY

    friend auto operator<=>(const HostRoute&, const HostRoute&) = default;
    friend bool operator==(const HostRoute&, const HostRoute&) = default;
};

class HostRoutes {
public:
    /// `protocol`: rtm_protocol of all routes that are read and written here.
    static Result<std::unique_ptr<HostRoutes>> open(std::uint8_t protocol);
    virtual ~HostRoutes() = default;

    /// All host routes of that protocol in the main table, whatever their interface.
    virtual Result<std::vector<HostRoute>> list() = 0;
    /// True when it was added, false when it was there.
    virtual Result<bool> add(const HostRoute& route) = 0;
    /// True when it was removed, false when it was not there.
    virtual Result<bool> remove(const HostRoute& route) = 0;
    /// IFF_UP, without an IPv6 address of its own (addr_gen_mode none).
    virtual Result<void> bring_up(int interface) = 0;
};

}  // namespace dnsdirector::netlink
