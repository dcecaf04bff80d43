// SPDX-License-Identifier: Apache-2.0
//
// core/ is the pure heart: the configuration as typed values, the health of
// checks, the operator's overrides, and the functions that make of them what
// should be forwarded. It does no I/O, reads no clock (time is an argument) and
// knows neither Asio nor the kernel.
//
// This header holds the configuration: what config/ produces from a file and
// everything else reads. Two files with the same meaning give equal values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "core/bgp.h"
#include "core/check.h"
#include "core/proxy.h"
#include "core/real_server_machine.h"

namespace dnsdirector::core {

/// 0 to 65535, as in IPVS. 0: checked, but no new work.
using Weight = std::uint32_t;
inline constexpr Weight max_weight = 65535;

/// The first eight are those of IPVS; the last three only the proxy plane has.
enum class Scheduler : std::uint8_t {
    wrr,
    rr,
    mh,
    sh,
    wlc,
    lc,
    sed,
    nq,
    least,    ///< the fewest queries that wait for an answer, by weight
    latency,  ///< of two servers the one that answers sooner (peak EWMA), by weight
    qname,    ///< hash of the name that is asked for, with bounded load
};
enum class ForwardingMethod : std::uint8_t { dr, tun, nat };
enum class DataPlaneKind : std::uint8_t { xdp, ipvs, proxy, none };
enum class XdpMode : std::uint8_t { automatic, native, generic };
enum class OnAllDown : std::uint8_t { hold, empty };

[[nodiscard]] std::string_view to_string(Scheduler scheduler);      ///< "wrr" …
[[nodiscard]] std::string_view to_string(ForwardingMethod method);  ///< "dr" …
[[nodiscard]] std::string_view to_string(DataPlaneKind kind);       ///< "xdp" …
[[nodiscard]] std::string_view to_string(XdpMode mode);             ///< "auto" …
[[nodiscard]] std::string_view to_string(OnAllDown policy);         ///< "hold" …

// ---- services ---------------------------------------------------------------

/// What clients ask: an address, a port and a protocol; on the ipvs plane also
/// every port of an address (port 0), or the packets with a firewall mark. Such
/// a key has the unspecified address of its family, port 0 and protocol UDP.
struct ServiceKey {
    IpAddress address;
    std::uint16_t port = 53;
    Protocol protocol = Protocol::udp;
    std::uint32_t fwmark = 0;  ///< 0: none

    [[nodiscard]] Endpoint endpoint() const { return {address, port}; }
    /// "192.0.2.53:53/udp", "[2001:db8::53]:53/tcp", "fwmark 7", "fwmark 7 IPv6".
    [[nodiscard]] std::string to_string() const;

    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
    friend bool operator==(const ServiceKey&, const ServiceKey&) = default;
};

/// What only the ipvs plane can do with a service; as it stands here on the others.
struct IpvsOptions {
    bool one_packet = false;  ///< UDP: every packet gets a server of its own
    /// sh, mh: the flows of a server without work go to the others.
    bool fallback = false;
    std::uint32_t persistence_timeout = 0;  ///< seconds that a client stays with a server; 0: off
    /// Clients within one prefix of this length count as one for it: 1 to 32 or
    /// 128. 0 without persistence, and for each address by itself.
    std::uint8_t persistence_prefix = 0;

    friend bool operator==(const IpvsOptions&, const IpvsOptions&) = default;
};

/// How many connections a server bears before it gets no more, and below how many it gets
/// some again (0: 3/4 of that). Only the ipvs plane counts them.
struct Thresholds {
    std::uint32_t upper = 0;  ///< 0: no limit
    std::uint32_t lower = 0;  ///< not above `upper`

    friend auto operator<=>(const Thresholds&, const Thresholds&) = default;
    friend bool operator==(const Thresholds&, const Thresholds&) = default;
};

/// A program that is told what happened (notify_up, quorum_down …). No shell.
struct Command {
    std::vector<std::string> arguments;  ///< argv; arguments[0] is an absolute path
    std::string user;                    ///< "" is the director's `script_user`

    friend bool operator==(const Command&, const Command&) = default;
};

/// Of RealServer::checks from `first` on, `count` of them: at least `required`
/// must be up, instead of all.
struct SomeOf {
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    std::uint32_t required = 1;

    friend bool operator==(const SomeOf&, const SomeOf&) = default;
};

/// A real server as one service sees it: one address of the service's family.
struct RealServer {
    std::string name;  ///< "ns1"; in the compatible form "203.0.113.11:53"
    Endpoint endpoint;
    Weight weight = 1;
    std::vector<CheckIndex> checks;  ///< all must pass; none: always up
    /// Ranges of `checks` of which not all must; sorted, disjoint.
    std::vector<SomeOf> some_of = {};
    /// Down: stays listed with weight 0 instead of being removed.
    bool inhibit_on_failure = false;
    std::optional<Command> notify_up = {};
    std::optional<Command> notify_down = {};
    std::optional<ForwardingMethod> method = {};  ///< where it is not the service's
    Thresholds thresholds = {};
    /// Proxy plane: each query carries its client's address in a PROXY header, version 2.
    bool proxy_protocol = false;
    /// Proxy plane: it is asked from the client's own address.
    bool transparent = false;

    friend bool operator==(const RealServer&, const RealServer&) = default;
};

struct Quorum {
    std::uint64_t required = 1;    ///< sum of weights
    std::uint64_t hysteresis = 0;  ///< keepalived: met from required+h, lost below required-h

    friend bool operator==(const Quorum&, const Quorum&) = default;
};

/// Used instead of all others while the quorum is not met (keepalived.conf(5)).
struct SorryServer {
    Endpoint endpoint;
    /// While it is not used it stays listed with weight 0 instead of going
    /// (sorry_server_inhibit).
    bool inhibit = false;
    std::optional<ForwardingMethod> method = {};  ///< where it is not the service's

    friend bool operator==(const SorryServer&, const SorryServer&) = default;
};

struct Service {
    ServiceKey key;
    std::string cluster;  ///< dns_cluster's name; "" in the compatible form
    std::string group;    ///< virtual_server_group's name; "" where there is none
    Scheduler scheduler = Scheduler::wrr;
    ForwardingMethod method = ForwardingMethod::dr;
    Quorum quorum;
    OnAllDown on_all_down = OnAllDown::hold;
    std::uint32_t max_out_percent = 100;   ///< 0 to 100
    Nanoseconds slow_start{0};             ///< 0: off
    std::vector<RealServer> real_servers;  ///< in the order of the file, endpoints unique
    std::optional<SorryServer> sorry_server;
    /// The hash of `sh` takes the client's port in, that of `mh` leaves it out
    /// (keepalived's sh-port; mh without mh-port).
    bool other_hash = false;
    std::optional<Command> quorum_up;
    std::optional<Command> quorum_down;
    /// A clean stop runs notify_down and quorum_down.
    bool omega = false;
    IpvsOptions ipvs;
    ClientSubnet client_subnet;  ///< proxy plane: put into queries that have none
    ToAll to_all;                ///< proxy plane

    friend bool operator==(const Service&, const Service&) = default;
};

// ---- the whole --------------------------------------------------------------

/// Capacity of the kernel's tables; reaching one is an error of check-config.
struct Limits {
    std::uint32_t services = 4096;
    std::uint32_t real_servers = 65536;  ///< (service, server) pairs
    std::uint32_t slots = 4U << 20;      ///< of all services' tables together, twice during a swap
    std::uint32_t flows = 1U << 18;      ///< remembered TCP flows; 0: none are

    friend bool operator==(const Limits&, const Limits&) = default;
};

/// The most that the limits may be on the xdp plane: what the layout of the kernel's
/// tables can number (bpf/abi.h; src/dataplane/xdp/maps.cc is held to these).
inline constexpr Limits xdp_most{
    .services = 32767, .real_servers = 1U << 19, .slots = 1U << 26, .flows = 1U << 26};
/// Real servers of one service there: a slot names its server in 16 bits.
inline constexpr std::uint32_t xdp_most_destinations = 32768;

/// Who holds the service IPs as addresses.
enum class PresenceMode : std::uint8_t {
    always,       ///< the director, while it runs
    when_active,  ///< VRRP, on the one machine that is active; it follows our track files
};
[[nodiscard]] std::string_view to_string(PresenceMode mode);  ///< "always", "when_active"

struct DirectorSettings {
    DataPlaneKind dataplane = DataPlaneKind::xdp;
    std::vector<std::string> interfaces;  ///< where clients' packets arrive
    XdpMode xdp_mode = XdpMode::automatic;
    std::vector<IpAddress> other_directors;  ///< on the same networks; their frames stay here
    std::vector<Prefix> tunnel_sources;      ///< at most one of each family
    std::string service_interface = "lo";    ///< holds the service IPs
    PresenceMode presence = PresenceMode::always;
    std::string
        script_user;  ///< "": keepalived_script if there is such a user, else the director's
    Nanoseconds drain_time{0};            ///< forwarding lingers this long at a clean stop
    bool hooks = true;                    ///< off: notify and quorum commands are only logged
    std::optional<Endpoint> http_listen;  ///< /metrics, /healthz
    Limits limits;
    ProxySettings proxy;

    friend bool operator==(const DirectorSettings&, const DirectorSettings&) = default;
};

struct Configuration {
    DirectorSettings director;
    std::vector<Check> checks;      ///< unique
    std::vector<Service> services;  ///< keys unique, in the order of the file
    std::optional<Bgp> bgp;         ///< absent: nothing is announced
    /// What this machine needs as a real server. The director passes over it.
    std::optional<RealServerMachine> real_server_machine;
    /// The DNS processes of that machine as its own agent sees them (`realserver run`): one
    /// service for each service IP and protocol. Apart from `checks` and `services`, since the
    /// file may be a director's too.
    std::vector<Check> machine_checks;
    std::vector<Service> machine_services;

    friend bool operator==(const Configuration&, const Configuration&) = default;
};

}  // namespace dnsdirector::core

template <>
struct std::hash<dnsdirector::core::ServiceKey> {
    std::size_t operator()(const dnsdirector::core::ServiceKey& key) const noexcept {
        return (std::hash<dnsdirector::Endpoint>{}(key.endpoint()) + key.fwmark) * 2 +
               static_cast<std::size_t>(key.protocol);
    }
};
