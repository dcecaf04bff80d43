// SPDX-License-Identifier: Apache-2.0
//
// From verdicts to health: rise and fall counts of one check.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
    /// The DNS message that failed, as it came; absent where none came or it passed.
    std::shared_ptr<const std::vector<std::uint8_t>> reply = {};
    /// What the check says of the server's weight (misc_dynamic, FILE_CHECK).
    std::optional<Weight> weight = {};  ///< instead of the configured one
    std::int32_t weight_change = 0;     ///< added to it

    [[nodiscard]] bool passed() const { return failure == Failure::none; }
};

enum class Health : std::uint8_t { unknown, up, down };
[[nodiscard]] std::string_view to_string(Health health);

/// The rule that made a check's present health; of one that is down, the rule by
/// which its present reason came to be the reason.
enum class Turn : std::uint8_t {
    none,           ///< not judged yet
    adopted,        ///< up without a verdict: the kernel forwarded to its server already
    rise,           ///< `rise` passes in a row
    fall,           ///< `fall` failures in a row
    refusal,        ///< one refusal
    first_failure,  ///< its first verdict, while it was in untested
};
/// "rise", "fall", "refusal", "first failure", …
[[nodiscard]] std::string_view to_string(Turn turn);

/// Everything that is remembered of one check.
struct CheckState {
    Health health = Health::unknown;
    Turn turned_by = Turn::none;
    std::uint32_t passes_in_row = 0;  ///< saturating
    std::uint32_t failures_in_row = 0;
    bool any_verdict = false;
    Verdict last;                       ///< valid when any_verdict
    Failure down_kind = Failure::none;  ///< of the failure that keeps it down
    std::string down_reason;
    WallTime down_reason_since;  ///< `wall_since`, or later when the reason is another one since
    TimePoint since;             ///< of the present health
    WallTime wall_since;
    std::uint32_t transitions = 0;  ///< between up and down; the first verdict is none
    /// How it counts while `unknown`; Check::untested of the check it started with.
    Untested untested = Untested::out;
    /// While down: failures in a row that are of the other class than
    /// `down_kind` (the classes are answer, and all the rest).
    std::uint32_t other_class_in_row = 0;
    /// The same of failures of its class that have another kind or reason.
    std::uint32_t other_reason_in_row = 0;
    /// What the last passed round said of the server's weight.
    std::optional<Weight> weight = {};
    std::int32_t weight_change = 0;
};

/// The state of a check that starts now. `forwarded`: the kernel forwards to
/// its server already, so it counts as up until `fall` failures say otherwise.
[[nodiscard]] CheckState initial_state(const Check& check, bool forwarded, TimePoint now,
                                       WallTime wall_now);

struct Step {
    /// Health changed, or the weight that the check gives: services that list
    /// the check must be decided anew.
    bool changed = false;
    /// The next round should start now instead of at its time: the check is
    /// `unknown`, its server waits outside and has just passed, but not `rise`
    /// times yet (native form's "back to back"). Not after a failure: a server
    /// that does not answer well is not asked faster than its interval.
    bool hurry = false;
    /// The next round should start CheckTiming::retry_after from now instead of at
    /// its time: the check is up, has failed, and stays up for the time being. Not
    /// of a check that is out already (keepalived retries nobody who is down).
    bool retry = false;
};

/// Takes a verdict in. Up after `rise` passes in a row, from unknown as from
/// down. Down after `fall` failures in a row, from unknown as from up; at once
/// when the failure is a refusal, or when the check is unknown and
/// Untested::in. Failures to send (Failure::local) count like silence: a
/// director that cannot ask must not claim that a server is well.
///
/// While down, failures of the other class (answers, all the rest) take over
/// `down_kind` and `down_reason` after `fall` in a row, a refusal at once:
/// max_out may hold a server that answers wrongly, but not one that has gone
/// silent since. So do failures of the same class with another reason, for
/// people: who was refused once and is silent now is out for its silence.
/// `changed` is set then too; `since` and `transitions` stay.
///
/// The weight that a check gives follows every passed round at once, whatever
/// `rise` says of health; failed rounds leave it.
Step advance(CheckState& state, const Check& check, Verdict verdict);

}  // namespace dnsdirector::core
