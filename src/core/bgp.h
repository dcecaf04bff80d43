// SPDX-License-Identifier: Apache-2.0
//
// How the service IPs are announced by BGP: what the `bgp` block says, as plain values. The
// protocol is spoken by a routing daemon, BIRD or FRR, whose configuration announce/ makes of
// this; nothing here is put into force by the director itself.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/time.h"

namespace dnsdirector::core {

// ---- the routes that the routing daemon picks up --------------------------------------

/// States of an announcement in which there is a route; withdrawn is none.
enum class RouteState : std::uint8_t { announced, degraded, draining };
inline constexpr std::array route_states = {RouteState::announced, RouteState::degraded,
                                            RouteState::draining};

[[nodiscard]] std::string_view to_string(RouteState state);  ///< "announced" …

/// The routes of service IPs have this protocol number (rtm_protocol, rtnetlink(7)); none of
/// /etc/iproute2/rt_protos has it.
inline constexpr std::uint8_t route_protocol = 153;

/// The metric of a service IP's route is its state. Never 0: IPv6 makes 1024 of it, and FRR 8.4
/// ends at `match metric 0`. Below 2^24: zebra takes the top byte for something else.
[[nodiscard]] constexpr std::uint32_t metric_of(RouteState state) {
    constexpr std::array<std::uint32_t, route_states.size()> metrics = {1, 2, 100};
    return metrics[static_cast<std::size_t>(state)];
}

// ---- what neighbours are told ----------------------------------------------------------

/// Number of an autonomous system (RFC 6793); not 0 (RFC 7607), 23456 (RFC 6793), 65535 or
/// 4294967295 (RFC 7300).
using AsNumber = std::uint32_t;

/// RFC 1997: "5430:100".
struct Community {
    std::uint16_t as = 0;
    std::uint16_t value = 0;

    [[nodiscard]] std::string to_string() const;
    friend auto operator<=>(const Community&, const Community&) = default;
    friend bool operator==(const Community&, const Community&) = default;
};

/// Asks neighbours to prefer another path, since this one is about to go (RFC 8326).
inline constexpr Community graceful_shutdown_community{65535, 0};

/// RFC 8092: "5430:1:100".
struct LargeCommunity {
    std::uint32_t global = 0;
    std::uint32_t local1 = 0;
    std::uint32_t local2 = 0;

    [[nodiscard]] std::string to_string() const;
    friend auto operator<=>(const LargeCommunity&, const LargeCommunity&) = default;
    friend bool operator==(const LargeCommunity&, const LargeCommunity&) = default;
};

/// Sorted, none twice.
struct Communities {
    std::vector<Community> standard;
    std::vector<LargeCommunity> large;

    void add(const Communities& others);
    [[nodiscard]] bool empty() const { return standard.empty() && large.empty(); }
    [[nodiscard]] std::string to_string() const;  ///< "5430:1 5430:1:100"; "" without any
    friend auto operator<=>(const Communities&, const Communities&) = default;
    friend bool operator==(const Communities&, const Communities&) = default;
};

struct RouteAttributes {
    std::uint32_t med = 0;  ///< MULTI_EXIT_DISC (RFC 4271, 5.1.4); the lower the better
    Communities communities;

    friend auto operator<=>(const RouteAttributes&, const RouteAttributes&) = default;
    friend bool operator==(const RouteAttributes&, const RouteAttributes&) = default;
};

/// The defaults of the MED, from that of the announced state: whoever is degraded comes behind
/// every site that is well and keeps the sites' order; whoever drains comes last.
/// 4294967295 is left out, since some routers take it for unreachable.
inline constexpr std::uint32_t degraded_med_step = 1000;
inline constexpr std::uint32_t draining_med = 4294967294;
inline constexpr std::uint32_t default_local_preference = 100;

/// When a service IP is announced, and in which state; core/announcement.h decides.
struct AnnouncementPolicy {
    /// By Protocol: the services of those protocols must have their quorum.
    std::array<bool, 2> needs = {true, true};
    std::uint32_t low_water = 0;   ///< percent of the weight; with less up it is degraded
    std::uint32_t high_water = 0;  ///< percent; so much must be up again; low_water at least
    /// A better state comes so long after the last change at the earliest.
    Nanoseconds min_interval{Seconds{5}};

    friend bool operator==(const AnnouncementPolicy&, const AnnouncementPolicy&) = default;
};

/// A service IP that neighbours are told of, as a prefix of its whole length.
struct BgpAnnouncement {
    IpAddress service_ip;
    AnnouncementPolicy policy;
    /// LOCAL_PREF (RFC 4271, 5.1.5), for neighbours in our AS; the higher the better.
    std::uint32_t local_preference = default_local_preference;
    std::array<RouteAttributes, route_states.size()> states;  ///< by RouteState

    friend bool operator==(const BgpAnnouncement&, const BgpAnnouncement&) = default;
};

// ---- whom they are told ------------------------------------------------------------------

/// Bidirectional forwarding detection (RFC 5880): the neighbour is dead when nothing has come
/// for `multiplier` intervals.
struct Bfd {
    Nanoseconds interval{0};       ///< 10 ms to 60 s, whole milliseconds
    std::uint32_t multiplier = 3;  ///< 2 to 255

    friend bool operator==(const Bfd&, const Bfd&) = default;
};

/// TCP_MD5SIG_MAXKEYLEN of linux/tcp.h.
inline constexpr std::size_t longest_bgp_password = 80;

struct BgpNeighbor {
    IpAddress address;  ///< unique
    AsNumber remote_as = 0;
    std::string description;          ///< printable ASCII without `"`; "": none
    std::string password;             ///< TCP MD5 signature (RFC 2385), 1 to 80 bytes; "": none
    std::uint32_t multihop = 1;       ///< how many hops it is away, 1 to 254; 1: on a link of ours
    bool ttl_security = false;        ///< what comes from farther away is dropped (RFC 5082)
    std::optional<IpAddress> source;  ///< our end of the session, of its family
    Nanoseconds hold_time{Seconds{9}};      ///< 3 s to 65535 s (RFC 4271, 4.2), whole seconds
    Nanoseconds keepalive{Seconds{3}};      ///< 1 s and more, at most half of hold_time
    Nanoseconds connect_retry{Seconds{5}};  ///< 1 s to 65535 s
    std::optional<Bfd> bfd;
    /// The neighbour keeps our routes while our routing daemon restarts (RFC 4724), and so
    /// also when it is dead.
    bool graceful_restart = false;
    bool accept_default = false;       ///< takes a default route from it, and nothing else ever
    bool soft_reconfiguration = true;  ///< what it sends is kept to be looked at, though not used
    /// Next hop of what it is told, by Family; absent: our end of the session.
    std::array<std::optional<IpAddress>, 2> next_hop;

    /// Whether it is told of the service IPs of that family: of its own, and of another where
    /// a next hop is known.
    [[nodiscard]] bool carries(Family family) const {
        return address.family() == family || next_hop[static_cast<std::size_t>(family)];
    }

    friend bool operator==(const BgpNeighbor&, const BgpNeighbor&) = default;
};

// ---- the whole ---------------------------------------------------------------------------

enum class RoutingDaemon : std::uint8_t {
    bird,           ///< of our own, next to the director
    existing_bird,  ///< one that the operator runs already
    existing_frr,
};

[[nodiscard]] std::string_view to_string(RoutingDaemon daemon);  ///< "existing frr" …

struct Bgp {
    RoutingDaemon daemon = RoutingDaemon::bird;
    AsNumber local_as = 0;
    IpAddress router_id;  ///< BGP identifier, written as an IPv4 address (RFC 6286)
    /// What FRR is told of IP forwarding, which it would turn on when it reads its
    /// configuration anew. Not of BIRD.
    bool ip_forwarding = false;
    /// How long a service IP is draining before it is withdrawn on purpose: what routers take
    /// to move the traffic (0.12 s from FRR to FRR).
    Nanoseconds draining_time{Seconds{1}};
    std::vector<BgpNeighbor> neighbors;          ///< in the order of the file
    std::vector<BgpAnnouncement> announcements;  ///< likewise; service IPs unique

    /// iBGP: the neighbour is in our AS.
    [[nodiscard]] bool is_internal(const BgpNeighbor& neighbor) const {
        return neighbor.remote_as == local_as;
    }

    friend bool operator==(const Bgp&, const Bgp&) = default;
};

/// A line for the block and one for each neighbour and announcement, defaults left out; those
/// lines begin with two blanks. Equal values have equal lines, others have different ones.
[[nodiscard]] std::vector<std::string> full_text(const Bgp& bgp);

}  // namespace dnsdirector::core
