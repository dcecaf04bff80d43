// SPDX-License-Identifier: Apache-2.0
//
// configuration + health + overrides + reachability → what one service should
// forward, and why. Pure and incremental: one call decides one service.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/forwarding.h"
#include "core/health.h"

namespace dnsdirector::core {

/// What a drain applies to: every service of a cluster and protocol that has
/// this server, so that it also covers service IPs added later.
struct DrainKey {
    std::string cluster;  ///< "" in the compatible form
    Endpoint server;
    Protocol protocol = Protocol::udp;

    friend auto operator<=>(const DrainKey&, const DrainKey&) = default;
    friend bool operator==(const DrainKey&, const DrainKey&) = default;
};

/// The operator's word. Kept over restarts and kill -9.
struct Overrides {
    std::set<DrainKey> drained;
    /// Service IPs that are not announced, whatever their health (core/announcement.h).
    std::set<IpAddress> withdrawn;
    /// `drain --all`: the announcements go, forwarding stays for as long as
    /// packets come; decide() does not look at it.
    bool all_drained = false;

    friend bool operator==(const Overrides&, const Overrides&) = default;
};

/// What the commands of a server or service (notify_up, quorum_down …) were
/// told last; see notices.h.
enum class Told : std::uint8_t { nothing, up, down };

/// What the engine remembers of a service between two decisions.
struct ServiceMemory {
    std::vector<Endpoint> last_set;  ///< sorted; servers with work, the last time there were any
    bool quorum_met = false;         ///< for hysteresis
    Told quorum_told = Told::nothing;
    struct Seen {  ///< of one server, sorted by endpoint
        Endpoint server;
        Health health = Health::unknown;
        TimePoint since;  ///< of its health in this service
        WallTime wall_since;
        std::uint32_t transitions = 0;
        /// It was down (or its slow start was cut short) since it last had work
        /// of its own; slow start begins when it gets work again.
        bool cold = false;
        /// Slow start runs from here; absent when the server has its full
        /// weight, as it had from the start when it was not down when first seen.
        std::optional<TimePoint> returned_at;
        /// Up: its checks let it in, whatever drains and holds say.
        Told told = Told::nothing;
    };
    std::vector<Seen> servers;
};

/// `state` of status --json: the summary of health, drain and hold.
enum class ServerState : std::uint8_t { up, down, drained, unknown };
[[nodiscard]] std::string_view to_string(ServerState state);

/// Where a server ends up in a service.
enum class Place : std::uint8_t {
    out,        ///< not forwarded to
    idle,       ///< listed with weight 0: its TCP flows go on
    working,    ///< gets its share
    limited,    ///< down, held by max_out
    last_hope,  ///< down, held because nobody is up
};

/// How one server stands in one service; in the order of Service::real_servers.
struct ServerDecision {
    ServerState state = ServerState::unknown;
    Place place = Place::out;
    bool displaced = false;  ///< would work, were it not for the sorry server
    Health health = Health::unknown;
    bool drained = false;
    bool held = false;      ///< kept in although down (max_out, on_all_down)
    bool reachable = true;  ///< asked only of servers that would be forwarded to
    Weight configured_weight = 0;
    Weight weight = 0;  ///< as its checks make it (misc_dynamic, FILE_CHECK)
    /// What it gets now in units of the configured weight, or of what its checks
    /// make of it (misc_dynamic, FILE_CHECK): 0 while out, rounded up during slow
    /// start.
    Weight effective_weight = 0;
    /// Of slow start, 1 to slow_start_steps; 0 while none runs.
    std::uint32_t slow_start_step = 0;
    std::string reason;  ///< why it is not simply up; "" when it is
    TimePoint since;
    WallTime wall_since;
    std::uint32_t transitions = 0;
};

struct QuorumDecision {
    std::uint64_t required = 0;
    std::uint64_t hysteresis = 0;  ///< more are needed to meet it, less suffice to keep it
    std::uint64_t up = 0;          ///< sum of weights, up and not drained; as checks make them
    std::uint32_t servers_up = 0;
    bool met = false;
};

/// Of one that is not met: "1 of 2", "2 of 2 + 1 (quorum + hysteresis)".
[[nodiscard]] std::string shortfall(const QuorumDecision& quorum);

/// How the sorry server stands.
struct SorryDecision {
    bool in_use = false;
    bool reachable = true;  ///< asked only where it would be used
    std::string reason;     ///< why it is used, or why it cannot be; "" otherwise
};

struct ServiceDecision {
    ServiceForwarding forwarding;
    std::vector<ServerDecision> servers;
    QuorumDecision quorum;
    std::optional<SorryDecision> sorry;  ///< where the service has one
    ServiceMemory memory;                ///< hand back at the next call
    /// Decide again then, although nothing happened (slow start's next step).
    std::optional<TimePoint> next_change;
};

struct DecisionInput {
    const Service& service;
    /// State of a check by its index in Configuration::checks.
    const std::function<const CheckState&(CheckIndex)>& check_state;
    const Overrides& overrides;
    /// Why packets cannot be handed to a server in this way ("" = they can): the
    /// data plane's word (no neighbour entry, no route).
    const std::function<std::string(const Endpoint&, ForwardingMethod)>& unreachable_reason;
    const ServiceMemory& memory;
    TimePoint now;
    WallTime wall_now;
};

/// Decides one service. Which servers get work:
///
/// - A server is well when all its checks are up (or unknown and
///   Untested::in), of a range in RealServer::some_of at least as many as
///   required; without checks it is always well.
/// - Its weight is the configured one, or what the last of its checks with
///   misc_dynamic says, plus what FILE_CHECKs add; 0 to 65535. Checks that are
///   down have no say in it.
/// - Drained and weight-0 servers get none, whatever their health; while they
///   are well they stay listed with weight 0, so that TCP flows go on.
/// - An unreachable server is out, and not counted for the quorum.
/// - max_out: of the servers (weight above 0, not drained) that are down by
///   wrong answers only, those go out that went down first, then those that
///   stand first, as long as their weights together stay within the share of
///   the weight of all that are not drained; the rest is held.
/// - Nobody left: on_all_down hold keeps of the last set who is still
///   configured, not drained and reachable. Their quorum is lost.
/// - inhibit_on_failure: who is not well stays listed with weight 0.
/// - The sorry server gets all the work while the quorum is not met and it can
///   be reached; the others go, or stay listed with weight 0 where they are
///   that already or have inhibit_on_failure. It has no checks, no drain ends
///   it, and nobody is held while it is used.
/// - Slow start: a server that was down returns with 1/20 of its weight and
///   gets another 20th at every 20th of `slow_start` (on a grid of time, so
///   that many servers step together). All weights of the service are then
///   scaled by 20 so that ratios are exact.
[[nodiscard]] ServiceDecision decide(const DecisionInput& input);

/// Steps of slow start, and what weights are scaled by while one runs.
inline constexpr std::uint32_t slow_start_steps = 20;

}  // namespace dnsdirector::core
