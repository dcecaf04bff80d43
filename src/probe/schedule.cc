// SPDX-License-Identifier: Apache-2.0
#include "probe/schedule.h"

#include <algorithm>

namespace dnsdirector::probe {
Schedule::Schedule(const core::CheckTiming& timing, bool at_once, TimePoint first, TimePoint now,
                   Pacing& pacing)
    : every_(std::max<Nanoseconds>(timing.every, Milliseconds{1})) {
    const bool warm_up = timing.warmup > Nanoseconds{0};
    base_ = warm_up ? now + Seconds{1} + pacing.part_of(timing.warmup)
                    : std::max(first, now) + pacing.part_of(every_);
    slot_due_ = due_ = slot_time(pacing);
    if (at_once && !warm_up) insert_round(first);
}

TimePoint Schedule::slot_time(Pacing& pacing) const {
    return pacing.place(base_ + slot_ * every_, every_);
}

void Schedule::insert_round(TimePoint now) {
    due_ = now;
    inserted_ = true;
}

void Schedule::retry_round(TimePoint time, Nanoseconds delay, Pacing& pacing) {
    const TimePoint earliest = time + std::min(delay, every_) / 2;
    if (slot_due_ < earliest) {
        slot_ = std::max(slot_, (earliest - base_) / every_ + 1);
        slot_due_ = slot_time(pacing);
    }
    insert_round(time);
}

void Schedule::advance(TimePoint now, Pacing& pacing) {
    if (!inserted_) {
        ++slot_;
        slot_due_ = slot_time(pacing);
    }
    inserted_ = false;
    if (slot_due_ + every_ / 2 < now) {
        slot_ = (now - base_) / every_ + 1;
        slot_due_ = slot_time(pacing);
    }
    due_ = std::max(slot_due_, now);
}

}  // namespace dnsdirector::probe
