// SPDX-License-Identifier: Apache-2.0
//
// From verdicts to health: rise and fall counts of one check.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"
#include "core/model.h"

namespace dnsdirector::core {

/// Why a round failed, as far as the rules tell failures apart.
enum class Failure : std::uint8_t {
    none,
    silence,  ///< no valid reply in time
    refused,  ///< ICMP unreachable, TCP reset: an answer, down at once
    answer,   ///< the server spoke, and wrongly: status, data, malformed, script's exit code
    local,    ///< the probe could not be sent: our own interface, route, descriptor
};

[[nodiscard]] std::string_view to_string(Failure failure);

/// The outcome of one round (all its tries) of one check.
struct Verdict {
    Failure failure = Failure::none;
    /// In an operator's words: "timeout", "SERVFAIL", "wrong answer: got … expected …".
    /// Empty when passed.
    std::string reason;
    Microseconds rtt{0};  ///< of the try that decided; 0 when there was no reply
    TimePoint at;         ///< when it was known
    WallTime wall_at;

    [[nodiscard]] bool passed() const { return failure == Failure::none; }
};

enum class Health : std::uint8_t { unknown, up, down };
[[nodiscard]] std::string_view to_string(Health health);

/// Everything that is remembered of one check.
struct CheckState {
    Health health = Health::unknown;
    std::uint32_t passes_in_row = 0;  ///< saturating
    std::uint32_t failures_in_row = 0;
    bool any_verdict = false;
    Verdict last;                       ///< valid when any_verdict
    Failure down_kind = Failure::none;  ///< of the failure that took it down
    std::string down_reason;
    TimePoint since;  ///< of the present health
    WallTime wall_since;
    std::uint32_t transitions = 0;  ///< between up and down; the first verdict is none
};

/// The state of a check that starts now. `forwarded`: the kernel forwards to
/// its server already, so it counts as up until `fall` failures say otherwise.
[[nodiscard]] CheckState initial_state(bool forwarded, TimePoint now, WallTime wall_now);

struct Step {
    bool changed = false;  ///< health changed: services that list the check must be decided anew
    /// The next round should start now instead of at its time: the check is
    /// `unknown` and not yet settled (native form's "back to back").
    bool hurry = false;
};

/// Takes a verdict in. Rules (interface.md): up after `rise` passes in a row,
/// down after `fall` failures; a refusal takes down at once; `Untested::in` and
/// unknown: the first failure takes it down.
Step advance(CheckState& state, const Check& check, Verdict verdict);

}  // namespace dnsdirector::core
