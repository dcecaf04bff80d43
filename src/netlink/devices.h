// SPDX-License-Identifier: Apache-2.0
//
// What drivers say of themselves, and the size of the neighbour tables. Reading
// only, and nothing here needs privileges.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/result.h"

namespace dnsdirector::netlink {

/// Bits of enum netdev_xdp_act (include/uapi/linux/netdev.h, Linux 6.3).
enum XdpFeature : std::uint64_t {
    xdp_basic = 1,        ///< native mode, with PASS, DROP and TX
    xdp_redirect = 2,     ///< XDP_REDIRECT
    xdp_transmit = 4,     ///< takes frames that other interfaces redirect to it
    xdp_multibuffer = 32  ///< frames of several pages
};

/// XdpFeature bits by interface index, from the generic netlink family "netdev". Nothing
/// where the kernel does not have it (before 6.3).
[[nodiscard]] Result<std::optional<std::map<int, std::uint64_t>>> xdp_features();

/// One of the kernel's two tables of neighbours, which all network namespaces share.
struct NeighbourTable {
    std::uint32_t entries = 0;
    std::uint32_t hard_limit = 0;  ///< gc_thresh3

    friend bool operator==(const NeighbourTable&, const NeighbourTable&) = default;
};
struct NeighbourTables {
    NeighbourTable arp;
    NeighbourTable nd;
};
[[nodiscard]] Result<NeighbourTables> neighbour_tables();

/// Of one interface, by ethtool's ioctl. What could not be read is absent.
struct DeviceSettings {
    std::string driver;  ///< "virtio_net", "veth"; "" where the device names none
    std::optional<bool> gro;
    std::optional<bool> lro;
    std::optional<bool> rx_vlan;  ///< the device takes VLAN tags off ("rxvlan")
    struct Channels {
        std::uint32_t receive = 0;  ///< queues in use, combined ones included
        std::uint32_t transmit = 0;
        std::uint32_t most_receive = 0;  ///< that the device could have
        std::uint32_t most_transmit = 0;

        friend bool operator==(const Channels&, const Channels&) = default;
    };
    std::optional<Channels> channels;

    friend bool operator==(const DeviceSettings&, const DeviceSettings&) = default;
};
[[nodiscard]] DeviceSettings device_settings(const std::string& interface);

}  // namespace dnsdirector::netlink
