// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.h"
#include "core/model.h"
#include "probe/pacing.h"

namespace dnsdirector::probe {

/// When the rounds of one check start. Rounds have slots, `every` apart, from a
/// random phase on; pacing moves a round near its slot and never the slots, so
/// nothing drifts. A round that overran its successor's time by less than
/// half an interval is followed at once; by more, and the slot is left out.
class Schedule {
public:
    /// `at_once`: the first round is due at `first`, outside the slots.
    Schedule(const core::CheckTiming& timing, bool at_once, TimePoint first, TimePoint now,
             Pacing& pacing);

    /// When the round that comes next should start.
    [[nodiscard]] TimePoint due() const { return due_; }
    /// The round that was due has ended (or could not start): on to the next one.
    void advance(TimePoint now, Pacing& pacing);
    /// A round now, besides those of the slots.
    void insert_round(TimePoint now);
    /// The next round at `time`, which is `delay` after the end of the last one.
    /// Slots before it are left out, and one so shortly after it that the server
    /// would have had less than half of `delay` to recover.
    void retry_round(TimePoint time, Nanoseconds delay, Pacing& pacing);

private:
    [[nodiscard]] TimePoint slot_time(Pacing& pacing) const;

    Nanoseconds every_;
    TimePoint base_;  ///< of slot 0
    std::int64_t slot_ = 0;
    TimePoint due_;
    TimePoint slot_due_;  ///< of slot_, kept while an inserted round runs
    bool inserted_ = false;
};

}  // namespace dnsdirector::probe
