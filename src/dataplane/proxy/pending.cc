// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/pending.h"

#include <algorithm>
#include <bit>
#include <new>
#include <type_traits>

namespace dnsdirector::dataplane::proxy {

PendingPool::PendingPool(std::uint32_t places)
    : memory_(static_cast<Pending*>(::operator new(places * sizeof(Pending)))),
      places_(memory_.get()),
      most_(places) {
    static_assert(std::is_trivially_destructible_v<Pending>);
    free_.reserve(places);
    wheel_.fill(no_pending);
}

PendingIndex PendingPool::take(TimePoint now) {
    PendingIndex index = no_pending;
    if (!free_.empty()) {
        index = free_.back();
        free_.pop_back();
    } else if (fresh_ < most_) {
        index = fresh_++;
        new (&places_[index]) Pending;
    } else {
        return no_pending;
    }
    Pending& pending = places_[index];
    pending.tcp = pending.answered = pending.may_try_again = pending.servfail_seen = false;
    pending.brought = pending.counts = pending.repeats = false;
    pending.added = Added::nothing;
    pending.tries = pending.sends = 0;
    pending.fan_out = no_fan_out;
    pending.failure = Charge::none;
    pending.attempts = {};
    pending.whole = nullptr;
    pending.started = now;
    pending.bucket = UINT32_MAX;
    pending.older = newest_;
    pending.newer = no_pending;
    if (newest_ != no_pending)
        places_[newest_].newer = index;
    else
        oldest_ = index;
    newest_ = index;
    ++taken_;
    return index;
}

void PendingPool::give_back(PendingIndex index) {
    stop_timer(index);
    Pending& pending = places_[index];
    if (pending.older != no_pending)
        places_[pending.older].newer = pending.newer;
    else
        oldest_ = pending.newer;
    if (pending.newer != no_pending)
        places_[pending.newer].older = pending.older;
    else
        newest_ = pending.older;
    --taken_;
    free_.push_back(index);
}

void PendingPool::put_into_bucket(PendingIndex index, std::int64_t tick) {
    Pending& pending = places_[index];
    pending.bucket = static_cast<std::uint32_t>(tick) % buckets;
    pending.wheel_before = no_pending;
    pending.wheel_after = wheel_[pending.bucket];
    if (pending.wheel_after != no_pending) places_[pending.wheel_after].wheel_before = index;
    wheel_[pending.bucket] = index;
    filled_[pending.bucket / 64] |= std::uint64_t{1} << (pending.bucket % 64);
    ++timers_;
}

void PendingPool::set_timer(PendingIndex index, TimePoint due, TimePoint now) {
    stop_timer(index);
    places_[index].due = due;
    if (timers_ == 0) hand_ = std::max(hand_, tick_of(now));
    // What is further away than the wheel is large comes by, and is put in again.
    put_into_bucket(index, std::clamp(tick_of(due) + 1, hand_, hand_ + buckets - 1));
}

void PendingPool::stop_timer(PendingIndex index) {
    Pending& pending = places_[index];
    if (pending.bucket == UINT32_MAX) return;
    if (pending.wheel_before != no_pending)
        places_[pending.wheel_before].wheel_after = pending.wheel_after;
    else
        wheel_[pending.bucket] = pending.wheel_after;
    if (pending.wheel_after != no_pending)
        places_[pending.wheel_after].wheel_before = pending.wheel_before;
    if (wheel_[pending.bucket] == no_pending)
        filled_[pending.bucket / 64] &= ~(std::uint64_t{1} << (pending.bucket % 64));
    pending.bucket = UINT32_MAX;
    --timers_;
}

PendingIndex PendingPool::next_due(TimePoint now) {
    const std::int64_t tick = tick_of(now);
    // More than a turn was slept through: each bucket once is all.
    if (tick - hand_ >= buckets) hand_ = tick - buckets + 1;
    while (timers_ != 0 && hand_ <= tick) {
        const std::uint32_t bucket = static_cast<std::uint32_t>(hand_) % buckets;
        const PendingIndex index = wheel_[bucket];
        if (index == no_pending) {
            ++hand_;
            continue;
        }
        const TimePoint due = places_[index].due;
        stop_timer(index);
        if (due <= now) return index;
        put_into_bucket(index, std::clamp(tick_of(due) + 1, hand_ + 1, hand_ + buckets - 1));
    }
    if (timers_ == 0) hand_ = std::max(hand_, tick);
    return no_pending;
}

int PendingPool::until_next(TimePoint now) const {
    if (timers_ == 0) return -1;
    std::uint32_t passed = 0;
    std::uint32_t bucket = static_cast<std::uint32_t>(hand_) % buckets;
    while (passed < buckets) {
        const std::uint64_t word = filled_[bucket / 64] >> (bucket % 64);
        if (word != 0) {
            passed += static_cast<std::uint32_t>(std::countr_zero(word));
            break;
        }
        const std::uint32_t step = 64 - bucket % 64;
        passed += step;
        bucket = (bucket + step) % buckets;
    }
    const std::int64_t milliseconds = hand_ + passed - tick_of(now);
    return static_cast<int>(std::clamp<std::int64_t>(milliseconds, 0, buckets));
}

}  // namespace dnsdirector::dataplane::proxy
