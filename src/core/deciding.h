// SPDX-License-Identifier: Apache-2.0
//
// The inside of decide(): what it works on while it decides, and its steps.
// For desired.cc and its neighbours only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/desired.h"

namespace dnsdirector::core {

/// One server while the decision is made; in the order of the file.
struct Draft {
    Health health = Health::up;
    bool well = true;       ///< up, or unknown and in until tested
    bool by_answer = true;  ///< down, and by wrong answers only
    bool drained = false;
    bool displaced = false;  ///< would work, were it not for the sorry server
    Place place = Place::out;
    Weight weight = 0;  ///< as its checks make it
    bool weight_by_script = false;
    bool weight_by_file = false;
    TimePoint since;
    WallTime wall_since;
    std::uint32_t seen = 0;  ///< position in the memory
    std::string unreachable;
};

struct Deciding {
    const DecisionInput& input;
    const Service& service;
    std::vector<std::uint32_t> order;  ///< positions of servers, sorted by endpoint
    std::vector<Draft> drafts;
    ServiceMemory memory;

    [[nodiscard]] const RealServer& server(std::size_t at) const {
        return service.real_servers[at];
    }
    [[nodiscard]] bool eligible(std::size_t at) const {  ///< for work, were it well
        return drafts[at].weight != 0 && !drafts[at].drained;
    }
};

// server_health.cc: what its checks say of a server.
[[nodiscard]] Draft examine(const DecisionInput& input, const RealServer& server);

// placing.cc: who works.
[[nodiscard]] std::vector<std::uint32_t> sorted_by_endpoint(const std::vector<RealServer>& servers);
void mark_drained(Deciding& deciding);
/// What was seen of each server until now, sorted; the new ones are seen first
/// with the health they have.
void remember(Deciding& deciding);
void place(Deciding& deciding);
[[nodiscard]] QuorumDecision quorum_of(const Deciding& deciding);
/// Gives the work to the sorry server where the quorum is not met.
[[nodiscard]] SorryDecision turn_to_sorry_server(Deciding& deciding, const QuorumDecision& quorum);

// slow_start.cc
void follow_slow_start(const DecisionInput& input, const Draft& draft, ServiceMemory::Seen& seen);
/// 1 to slow_start_steps.
[[nodiscard]] std::uint32_t step_of(const DecisionInput& input, TimePoint returned_at);
[[nodiscard]] std::optional<TimePoint> next_step(const Deciding& deciding);

// words.cc: why a server is not simply up.
[[nodiscard]] std::string reason_of(const Deciding& deciding, std::size_t at);
/// Joined by "; ".
void append(std::string& reason, std::string_view words);

}  // namespace dnsdirector::core
