// SPDX-License-Identifier: Apache-2.0
//
// What a routing daemon says of itself, and what is made of it: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "core/bgp.h"

namespace dnsdirector::announce {

// ---- as it is shown --------------------------------------------------------------------

/// A service IP that a neighbour was told of.
struct ToldPrefix {
    IpAddress prefix;                  ///< of its whole length
    std::optional<std::uint32_t> med;  ///< absent: told without one
    /// Known of BIRD only; FRR does not say.
    std::optional<core::Communities> communities;
    WallTime since;  ///< with this MED

    friend bool operator==(const ToldPrefix&, const ToldPrefix&) = default;
};

struct NeighborSession {
    IpAddress address;
    std::string description;
    std::array<bool, 2> carries{};  ///< by Family: whether it is told of its service IPs
    /// "established", or what it is instead (RFC 4271, 8.2.2): "idle", "connect", "active",
    /// "opensent", "openconfirm"; "down" by somebody's word; "missing" where the daemon has no
    /// such neighbour; "unknown" where the daemon does not answer.
    std::string session = "unknown";
    std::optional<WallTime> since;  ///< established since, or not established since
    std::uint32_t flaps = 0;        ///< times that it left established since the director looks
    std::uint64_t accepted = 0;     ///< prefixes accepted from it; should be none
    std::string last_error;  ///< why it is not established, or was not the last time; "": none
    std::string bfd;         ///< "up", "down" …; "": without BFD
    std::vector<ToldPrefix> told;       ///< by prefix
    std::vector<std::string> problems;  ///< what is not as it should be, in sentences

    [[nodiscard]] bool established() const { return session == "established"; }
    /// "198.51.100.253 (core1)"
    [[nodiscard]] std::string name() const;
    [[nodiscard]] const ToldPrefix* told_of(const IpAddress& prefix) const;
    friend bool operator==(const NeighborSession&, const NeighborSession&) = default;
};

struct DaemonState {
    std::string daemon;      ///< "BIRD", "FRR"
    std::string socket;      ///< where it is asked; of FRR the folder
    bool answering = false;  ///< it gave the last answer that it was asked for
    std::string problem;     ///< why it does not, or what else is wrong with it; "": nothing
    WallTime since;          ///< of answering and problem
    std::vector<NeighborSession> neighbors;  ///< in the order of the configuration

    friend bool operator==(const DaemonState&, const DaemonState&) = default;
};

/// A line for the log.
struct SessionEvent {
    bool is_bad = false;
    std::string text;

    friend bool operator==(const SessionEvent&, const SessionEvent&) = default;
};

// ---- as the daemon says it -------------------------------------------------------------

/// One neighbour at one look.
struct NeighborReport {
    bool known = false;  ///< the daemon has it at all
    std::string session;
    std::optional<Nanoseconds> age;  ///< how long it is established, by the daemon's clock
    /// How often it was lost, by the daemon's own count.
    std::optional<std::uint64_t> lost;
    std::uint64_t accepted = 0;
    std::optional<std::uint64_t> told;  ///< how many prefixes, by the daemon's own count
    /// Changes whenever it was told something.
    std::string mark;
    std::string last_error;
    std::string bfd;

    friend bool operator==(const NeighborReport&, const NeighborReport&) = default;
};

/// What one neighbour was told, at one look.
struct ToldReport {
    struct Route {
        IpAddress prefix;
        std::optional<std::uint32_t> med;
        std::optional<core::Communities> communities;
        std::optional<Nanoseconds> age;  ///< of the route
    };
    std::vector<Route> routes;           ///< host prefixes
    std::vector<std::string> strangers;  ///< others: "10.0.0.0/8"
};

}  // namespace dnsdirector::announce
