// SPDX-License-Identifier: Apache-2.0
//
// The kernel's IPVS table by generic netlink (family "IPVS", linux/ip_vs.h,
// which documents every attribute): read it, and change one service or one
// destination at a time. There is no flush here, on purpose.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace dnsdirector::netlink {

/// What names a service: a firewall mark and a family, or address, port and protocol.
struct IpvsServiceId {
    Family family = Family::ipv4;
    std::uint32_t fwmark = 0;   ///< 0: the other three count
    std::uint8_t protocol = 0;  ///< IPPROTO_UDP, IPPROTO_TCP, IPPROTO_SCTP
    IpAddress address;
    std::uint16_t port = 0;  ///< 0: all ports (of a persistent service)

    friend auto operator<=>(const IpvsServiceId&, const IpvsServiceId&) = default;
    friend bool operator==(const IpvsServiceId&, const IpvsServiceId&) = default;
};

/// Since the service or destination was made, or since somebody set them to zero.
struct IpvsStats {
    std::uint64_t connections = 0;
    std::uint64_t packets_in = 0;
    std::uint64_t packets_out = 0;
    std::uint64_t bytes_in = 0;  ///< of IP packets, without the link's header
    std::uint64_t bytes_out = 0;

    friend bool operator==(const IpvsStats&, const IpvsStats&) = default;
};

struct IpvsService {
    IpvsServiceId id;
    std::string scheduler;      ///< "wrr" …; the kernel loads ip_vs_NAME where it can
    std::uint32_t flags = 0;    ///< IP_VS_SVC_F_*
    std::uint32_t timeout = 0;  ///< of persistence, in seconds
    /// Clients within one prefix of this length count as one for persistence; 1 to 32 or 128
    /// (0 only where the kernel's IPv4 mask is no prefix).
    std::uint8_t prefix_length = 32;
    std::string persistence_engine;  ///< "" or "sip"
    IpvsStats stats;

    friend bool operator==(const IpvsService&, const IpvsService&) = default;
};

struct IpvsDestination {
    IpAddress address;  ///< under IP_VS_CONN_F_TUNNEL also of the other family (Linux 3.18)
    std::uint16_t port = 0;
    std::uint32_t method = 0;           ///< IP_VS_CONN_F_MASQ, _TUNNEL, _DROUTE
    std::int32_t weight = 0;            ///< not below 0
    std::uint32_t upper_threshold = 0;  ///< connections from which it gets no more; 0: none
    std::uint32_t lower_threshold = 0;  ///< below which it gets some again; 0: 3/4 of the upper
    std::uint8_t tunnel_type = 0;       ///< IP_VS_CONN_F_TUNNEL_TYPE_*
    std::uint32_t active = 0;           ///< connections
    std::uint32_t inactive = 0;
    std::uint32_t persistent = 0;  ///< clients that persistence keeps here
    IpvsStats stats;

    friend bool operator==(const IpvsDestination&, const IpvsDestination&) = default;
};

/// What the kernel answered instead of doing it. `error` is an errno value; ENOSYS: it has
/// no IPVS any more (the module was unloaded).
struct IpvsRefusal {
    int error = 0;
    std::string message;  ///< the kernel's words
};
template <typename T>
using IpvsResult = tl::expected<T, IpvsRefusal>;

/// The table of the network namespace that the calling thread is in. Tests put a
/// double in its place.
class IpvsTable {
public:
    /// Errors: no IPVS in this kernel (the module is not loaded), with its mend.
    static Result<std::unique_ptr<IpvsTable>> open();
    virtual ~IpvsTable() = default;

    virtual IpvsResult<std::vector<IpvsService>> services() = 0;
    virtual IpvsResult<std::vector<IpvsDestination>> destinations(const IpvsServiceId& service) = 0;

    /// Whether this kernel has the scheduler; it loads the module where it can. Nothing is
    /// changed. ENOENT: there is none.
    virtual IpvsResult<void> find_scheduler(const std::string& name) = 0;

    virtual IpvsResult<void> add(const IpvsService& service) = 0;       ///< EEXIST
    virtual IpvsResult<void> edit(const IpvsService& service) = 0;      ///< ESRCH
    virtual IpvsResult<void> remove(const IpvsServiceId& service) = 0;  ///< ESRCH
    /// ESRCH: there is no such service; EEXIST, ENOENT: of the destination.
    virtual IpvsResult<void> add(const IpvsServiceId& service, const IpvsDestination& one) = 0;
    virtual IpvsResult<void> edit(const IpvsServiceId& service, const IpvsDestination& one) = 0;
    virtual IpvsResult<void> remove(const IpvsServiceId& service, const IpvsDestination& one) = 0;
};

}  // namespace dnsdirector::netlink
