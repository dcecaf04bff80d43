// SPDX-License-Identifier: Apache-2.0
//
// netlink/: links, addresses, routes and neighbours of the kernel, and a
// monitor for their changes (rtnetlink(7), through libnl-3). The only folder
// besides dataplane/ipvs that knows libnl. It reports and sets; it decides nothing.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/event_source.h"
#include "base/result.h"

namespace dnsdirector::netlink {

using Mac = std::array<std::uint8_t, 6>;
[[nodiscard]] std::string to_string(const Mac& mac);  ///< "02:00:00:00:00:01"

struct Link {
    int index = 0;
    std::string name;
    std::string
        kind;  ///< IFLA_INFO_KIND: "veth", "vlan", "bridge", "bond", "tun"; "" for hardware and lo
    Mac mac{};
    std::uint32_t mtu = 0;
    bool up = false;       ///< IFF_UP
    bool running = false;  ///< IFF_RUNNING: has carrier
    bool loopback = false;
    int master = 0;             ///< ifindex of bond or bridge, 0 for none
    std::string port_kind;      ///< IFLA_INFO_SLAVE_KIND: "bridge", "bond" of its master; or ""
    int lower = 0;              ///< IFLA_LINK: the device below a VLAN; 0 for none
    std::uint16_t vlan_id = 0;  ///< of a VLAN device; 0 for none
    std::uint16_t vlan_protocol = 0;   ///< of its tag: 0x8100 (802.1Q), 0x88a8 (802.1ad)
    std::uint32_t xdp_program_id = 0;  ///< attached XDP program, 0 for none

    friend bool operator==(const Link&, const Link&) = default;
};

struct Route {
    enum class Type : std::uint8_t { unicast, local, other } type = Type::other;
    int out_interface = 0;
    std::optional<IpAddress> gateway;  ///< absent: on-link
    std::optional<IpAddress> preferred_source;
    std::uint32_t mtu = 0;  ///< bytes; of the route where it has one (`mtu` of ip-route), else 0

    friend bool operator==(const Route&, const Route&) = default;
};

struct Neighbour {
    int interface = 0;
    IpAddress address;
    /// Absent while unresolved. Present in every state in which the kernel itself
    /// would send to it: also stale, and while it is being probed anew.
    std::optional<Mac> mac;
    /// NUD_FAILED or NUD_INCOMPLETE: the kernel asked and nobody answered (yet).
    bool failed = false;
    bool gone = false;            ///< the entry was deleted
    std::uint16_t nud_state = 0;  ///< NUD_* of linux/neighbour.h

    friend bool operator==(const Neighbour&, const Neighbour&) = default;
};

struct InterfaceAddress {
    int interface = 0;
    IpAddress address;
    unsigned prefix_length = 0;

    friend auto operator<=>(const InterfaceAddress&, const InterfaceAddress&) = default;
    friend bool operator==(const InterfaceAddress&, const InterfaceAddress&) = default;
};

/// A request socket in the network namespace of the calling thread. Requests
/// are answered by the kernel at once; none of them blocks on the network.
class Socket {
public:
    static Result<std::unique_ptr<Socket>> open();
    virtual ~Socket() = default;

    virtual Result<std::vector<Link>> links() = 0;
    virtual Result<std::optional<Link>> link(const std::string& name) = 0;
    virtual Result<std::optional<Link>> link(int index) = 0;
    /// The kernel's answer to "how do I reach this" (RTM_GETROUTE). An error
    /// ("no route to …") where there is none.
    virtual Result<Route> route_to(const IpAddress& destination) = 0;
    virtual Result<std::vector<Neighbour>> neighbours() = 0;
    /// Asks the kernel to resolve a neighbour and to keep it resolved
    /// (NTF_EXT_MANAGED, Linux 5.16; on older kernels NTF_USE, to be repeated).
    /// Starts it and returns; a monitor's on_neighbour tells the end. To be called
    /// again when an entry is `gone`: garbage collection takes also managed ones
    /// (failed ones first), and then forgets the care. Entries that are permanent,
    /// without ARP, or set by another control plane are left as they are.
    virtual Result<void> resolve(int interface, const IpAddress& address) = 0;
    /// False once resolve() has found that this kernel does not manage
    /// neighbours: then repeat it for each of them every few seconds.
    [[nodiscard]] virtual bool keeps_resolved() const { return true; }
    /// Ends that care; the entry ages as any other.
    virtual Result<void> release(int interface, const IpAddress& address) = 0;

    virtual Result<std::vector<InterfaceAddress>> addresses() = 0;
    /// Host prefix, no route of its own; IPv6 without duplicate address
    /// detection. True when it was added, false when it was there.
    virtual Result<bool> add_address(int interface, const IpAddress& address) = 0;
    /// True when it was removed, false when it was not there.
    virtual Result<bool> remove_address(int interface, const IpAddress& address) = 0;
};

/// Follows changes by multicast (RTNLGRP_LINK, NEIGH, *_IFADDR, *_ROUTE).
class Monitor : public EventSource {
public:
    static Result<std::unique_ptr<Monitor>> open();

    std::function<void(const Link&, bool gone)> on_link;
    std::function<void(const Neighbour&)> on_neighbour;
    std::function<void(const InterfaceAddress&, bool gone)> on_address;
    /// Some unicast route of the main table changed, or a policy rule or a
    /// next-hop object: answers of route_to() may be others now. Once per burst.
    std::function<void()> on_route;
    /// The kernel dropped messages (ENOBUFS): everything must be read again.
    std::function<void()> on_overflow;
};

}  // namespace dnsdirector::netlink
