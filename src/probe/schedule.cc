// SPDX-License-Identifier: Apache-2.0
#include "probe/schedule.h"

#include <algorithm>

namespace dnsdirector::probe {
namespace {

/// A round starts up to this part of the interval before or after its slot.
/// More would delay the discovery of a failure without spreading better.
constexpr double jitter = 0.02;

Nanoseconds part_of(Nanoseconds duration, double part) {
    return Nanoseconds{static_cast<std::int64_t>(static_cast<double>(duration.count()) * part)};
}

}  // namespace

Schedule::Schedule(const core::CheckTiming& timing, bool at_once, TimePoint first, TimePoint now,
                   Spread& spread)
    : every_(std::max<Nanoseconds>(timing.every, Milliseconds{1})) {
    const bool warm_up = timing.warmup > Nanoseconds{0};
    base_ = warm_up ? now + Seconds{1} + part_of(timing.warmup, spread.next())
                    : std::max(first, now) + part_of(every_, spread.next());
    slot_due_ = due_ = base_;
    if (at_once && !warm_up) insert_round(first);
}

TimePoint Schedule::slot_time(Spread& spread) const {
    return base_ + slot_ * every_ + part_of(every_, (2 * spread.next() - 1) * jitter);
}

void Schedule::insert_round(TimePoint now) {
    due_ = now;
    inserted_ = true;
}

void Schedule::advance(TimePoint now, Spread& spread) {
    if (!inserted_) {
        ++slot_;
        slot_due_ = slot_time(spread);
    }
    inserted_ = false;
    if (slot_due_ + every_ / 2 < now) {
        slot_ = (now - base_) / every_ + 1;
        slot_due_ = slot_time(spread);
    }
    due_ = std::max(slot_due_, now);
}

}  // namespace dnsdirector::probe
