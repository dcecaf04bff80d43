// SPDX-License-Identifier: Apache-2.0
//
// The decisions of a service IP's services + overrides → whether it is announced, and why.
// Pure, and incremental: one call decides one service IP. What is announced is a kernel route
// whose metric is the state (core/bgp.h); who else follows the state (VRRP) takes it from here.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bgp.h"
#include "core/desired.h"

namespace dnsdirector::core {

/// From the best to the worst.
enum class AnnouncementState : std::uint8_t { announced, degraded, draining, withdrawn };

[[nodiscard]] std::string_view to_string(AnnouncementState state);
/// Nothing for withdrawn.
[[nodiscard]] std::optional<RouteState> route_of(AnnouncementState state);

/// A service of the service IP, and how it stands.
struct AnnouncedService {
    const Service* service = nullptr;
    const ServiceDecision* decision = nullptr;
};

/// Why this director goes as a whole, or stays.
enum class Leaving : std::uint8_t {
    no,
    drained,  ///< `drain --all`
    stopping,
};

/// How one service IP is announced, and what is remembered between two decisions.
struct AnnouncementDecision {
    AnnouncementState state = AnnouncementState::withdrawn;
    std::string reason = "not decided yet";  ///< "" when it is simply announced
    TimePoint since;
    WallTime wall_since;
    std::uint32_t transitions = 0;
    /// Decide again then, although nothing happened.
    std::optional<TimePoint> next_change;

    /// What health alone asked for last; kept while a new server is not judged yet.
    AnnouncementState by_health = AnnouncementState::withdrawn;
    /// When it was a matter of health that the state changed; damping counts from there.
    std::optional<TimePoint> changed_by_health;
    std::optional<TimePoint> draining_since;
    bool decided = false;
};

struct AnnouncementInput {
    IpAddress service_ip;
    std::span<const AnnouncedService> services;  ///< all that have this address
    const AnnouncementPolicy& policy;
    bool withdrawn_by_operator = false;
    bool forwarding_refused = false;  ///< the data plane did not take what was decided
    Leaving leaving = Leaving::no;
    Nanoseconds draining_time{0};
    const AnnouncementDecision& before;
    TimePoint now;
    WallTime wall_now;
};

/// - The operator's `withdraw` withdraws at once.
/// - A needed service (AnnouncementPolicy::needs) without its quorum withdraws at once; where
///   none is needed of those that there are, nothing would ever withdraw it, and all are.
/// - While a server that would get work was not judged yet, it stays as it was: another set of
///   servers is another table, and flows that come here would be reset. At the start that is
///   withdrawn, or what a predecessor left in the kernel.
/// - While the data plane refuses what was decided, no state gets better: traffic would come to
///   a forwarding that is not in force.
/// - Degraded below `low_water` of the weight, and again announced from `high_water` on.
/// - A better state comes `min_interval` after the last change at the earliest, a worse one at
///   once. The first state, and the operator's word, do not wait.
/// - Whoever leaves is draining for `draining_time`, and then withdrawn.
[[nodiscard]] AnnouncementDecision decide(const AnnouncementInput& input);

/// What a predecessor left behind: the next decision begins there.
[[nodiscard]] AnnouncementDecision adopted(AnnouncementState state, TimePoint now,
                                           WallTime wall_now);

// ---- routes ------------------------------------------------------------------------------

/// A service IP's route in the kernel by its metric. Of one service IP there may be several:
/// while its state changes, and when somebody else added one.
using AnnouncedRoute = std::pair<IpAddress, std::uint32_t>;

/// The state of each service IP that these routes stand for; the best of several, which an
/// interrupted change left. Metrics that are no state's are passed over.
[[nodiscard]] std::map<IpAddress, AnnouncementState> states_of(
    const std::set<AnnouncedRoute>& routes);

struct RouteChange {
    bool add = false;  ///< else it is removed
    AnnouncedRoute route;

    friend bool operator==(const RouteChange&, const RouteChange&) = default;
};

/// Additions come first: the metric is part of a route's key, so that a new state is a second
/// route, and a routing daemon sees one update instead of a withdrawal in between.
[[nodiscard]] std::vector<RouteChange> diff(const std::set<AnnouncedRoute>& actual,
                                            const std::map<IpAddress, RouteState>& desired);

}  // namespace dnsdirector::core
