// SPDX-License-Identifier: Apache-2.0
//
// How one real server stands in one service, with everything that led to it, and
// how a service stands: values, taken from the engine when somebody asks `why`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/announcement.h"
#include "core/history.h"

namespace dnsdirector::control {

struct CheckStanding {
    core::Check check;
    core::CheckState state;
    std::vector<core::PastVerdict> verdicts;  ///< oldest first
    std::uint32_t shared_by = 1;              ///< services that list it
    bool needed = false;  ///< its server waits for it to pass; core::checks_in_the_way
};

struct ServerStanding {
    core::Service service;  ///< without its servers
    core::RealServer server;
    core::ServerDecision decision;
    core::QuorumDecision quorum;
    core::Rule rule = core::Rule::no_checks;
    std::optional<std::size_t> check;  ///< position in `checks` of the one that decided
    double share = 0;                  ///< of the service's new work, 0 to 1
    std::string unreachable;           ///< the data plane's word, asked of every server; "" it can
    std::vector<CheckStanding> checks;
    std::vector<core::PastDecision> decisions;  ///< oldest first
};

struct ServiceStanding {
    core::Service service;  ///< without its servers
    core::QuorumDecision quorum;
    std::optional<core::SorryDecision> sorry;
    /// Of its service IP, where a bgp block names it.
    std::optional<core::AnnouncementDecision> announcement;
    bool asked_for_sorry = false;  ///< the target is its sorry server, not the service IP
    std::vector<ServerStanding> servers;
};

/// What a target of `why` means; not both empty.
struct Standings {
    std::vector<ServerStanding> servers;
    std::vector<ServiceStanding> services;
};

}  // namespace dnsdirector::control
