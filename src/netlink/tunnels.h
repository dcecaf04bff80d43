// SPDX-License-Identifier: Apache-2.0
//
// Devices at which tunnels of IP in IP end: ipip (RFC 2003) and ip6tnl in its mode ip6ip6
// (RFC 2473), which take packets from any remote end.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

struct nlmsghdr;

namespace dnsdirector::netlink {

struct TunnelDevice {
    std::string name;
    IpAddress local;        ///< its family says which kind of device: IPv4 in IPv4, IPv6 in IPv6
    std::uint32_t mtu = 0;  ///< of inner packets
    bool up = false;        ///< IFF_UP

    friend bool operator==(const TunnelDevice&, const TunnelDevice&) = default;
};

/// The kernel's module that has devices of this family: "ipip", "ip6_tunnel".
[[nodiscard]] const char* tunnel_module(Family family);

/// A device of these kinds that takes packets of its own family from any remote end, at one
/// local address. Others, also the module's fallback device (tunl0), give nothing.
[[nodiscard]] std::optional<TunnelDevice> parse_tunnel(const nlmsghdr& header);

class TunnelDevices {
public:
    static Result<std::unique_ptr<TunnelDevices>> open();
    virtual ~TunnelDevices() = default;

    virtual Result<std::vector<TunnelDevice>> list() = 0;
    /// Made, without an IPv6 address of its own, and then set up where `up` says so. Errors: the
    /// kernel has no such devices, with the mend; there is one of that name, or of that end.
    virtual Result<void> add(const TunnelDevice& device) = 0;
    /// Brings MTU and IFF_UP of the one of that name to these.
    virtual Result<void> mend(const TunnelDevice& device) = 0;
    /// True when it was removed, false when it was not there.
    virtual Result<bool> remove(const std::string& name) = 0;
};

}  // namespace dnsdirector::netlink
