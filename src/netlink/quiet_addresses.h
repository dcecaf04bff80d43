// SPDX-License-Identifier: Apache-2.0
//
// Addresses that a host takes packets for and never speaks of by itself: a real server's
// service IPs.
#pragma once

#include <memory>

#include "base/address.h"
#include "base/result.h"

namespace dnsdirector::netlink {

/// Host prefixes that the kernel does not choose as a source by itself: IPv4 of scope host,
/// IPv6 deprecated (RFC 6724, rule 3) and without duplicate address detection. Where an
/// interface has no IPv4 address of its own, the kernel asks ARP with any address of the host
/// that has a wider scope, whatever arp_announce says (inet_select_addr() of
/// net/ipv4/devinet.c looks at `lo` first): so a service IP's scope must not be wider.
/// Socket::remove_address() removes them.
class QuietAddresses {
public:
    static Result<std::unique_ptr<QuietAddresses>> open();
    virtual ~QuietAddresses() = default;

    /// True when it was added, false when it was there.
    virtual Result<bool> add(int interface, const IpAddress& address) = 0;
};

}  // namespace dnsdirector::netlink
