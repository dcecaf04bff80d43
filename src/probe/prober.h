// SPDX-License-Identifier: Apache-2.0
//
// probe/ asks the questions, one class for each kind of check (make_probe.h),
// and decides when. It yields verdicts and knows nothing of services, health or
// data planes.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "base/event_source.h"
#include "base/result.h"
#include "core/health.h"
#include "core/model.h"

namespace dnsdirector::probe {

/// Given by the engine; stays with a check over reloads while its value stays equal.
using CheckId = std::uint32_t;

struct ProberSettings {
    std::string script_user;  ///< as DirectorSettings::script_user
    std::uint64_t seed = 0;   ///< of jitter and phases; 0: from the kernel
};

/// Rounds that started more than `very_late` after their time, together: whatever
/// held them up held up all that were due.
struct LateRounds {
    WallTime at;  ///< when the first of them started
    Nanoseconds worst{0};
    std::uint64_t rounds = 0;
};

struct ProberStatistics {
    std::uint64_t rounds = 0;           ///< verdicts given
    std::uint64_t sent = 0;             ///< queries sent, all tries
    std::uint64_t ignored_replies = 0;  ///< wrong ID or question
    std::uint64_t scripts = 0;
    /// How late rounds started against their schedule: bucket i counts those
    /// below 2^i microseconds (i = 0 … 31).
    std::uint64_t lateness[32] = {};
    static constexpr Nanoseconds very_late = Milliseconds{100};
    static constexpr std::size_t late_kept = 100;
    std::deque<LateRounds> late;  ///< the last times that it happened
};

class Prober : public EventSource {
public:
    static Result<std::unique_ptr<Prober>> create(ProberSettings settings);

    /// Starts a check. Its first round: at once when timing.warmup is zero and
    /// `first_round_at_once`, else somewhere in its first interval (spread).
    virtual void add(CheckId id, const core::Check& check, bool first_round_at_once) = 0;
    /// A round under way is dropped without a verdict; its script is killed.
    virtual void remove(CheckId id) = 0;
    /// The next round starts now; the schedule after it keeps its phase.
    virtual void hurry(CheckId id) = 0;
    /// The next round starts after `delay` (CheckTiming::retry_after), which slots
    /// of the schedule that come before it, or soon after it, make way for.
    virtual void retry(CheckId id, Nanoseconds delay) = 0;

    /// One call per finished round, from on_readable() or on_deadline(). The
    /// callee may call add, remove, hurry and retry.
    std::function<void(CheckId, core::Verdict)> on_verdict;

    [[nodiscard]] virtual const ProberStatistics& statistics() const = 0;
};

}  // namespace dnsdirector::probe
