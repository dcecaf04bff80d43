// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/ranges.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <iterator>

namespace dnsdirector::dataplane::xdp {

void Ranges::reset(std::uint32_t capacity) {
    capacity_ = capacity;
    free_.clear();
    if (capacity > 1) free_.emplace(1, capacity - 1);
}

std::optional<Range> Ranges::take(std::uint32_t length) {
    for (const auto& [first, free] : free_)
        if (free >= length) {
            const Range range{first, length};
            (void)take_exactly(range);
            return range;
        }
    return std::nullopt;
}

bool Ranges::take_exactly(Range range) {
    auto at = free_.upper_bound(range.first);
    if (at == free_.begin()) return false;
    --at;
    const auto [first, length] = *at;
    const std::uint32_t before = range.first - first;
    if (before > length || length - before < range.length) return false;
    const std::uint32_t after = length - before - range.length;
    if (before == 0)
        free_.erase(at);
    else
        at->second = before;
    if (after != 0) free_.emplace(range.first + range.length, after);
    return true;
}

void Ranges::give_back(Range range) {
    if (range.length == 0) return;
    auto next = free_.lower_bound(range.first);
    if (next != free_.end() && range.first + range.length == next->first) {
        range.length += next->second;
        next = free_.erase(next);
    }
    if (next != free_.begin()) {
        const auto before = std::prev(next);
        if (before->first + before->second == range.first) {
            before->second += range.length;
            return;
        }
    }
    free_.emplace(range.first, range.length);
}

std::uint32_t Ranges::end() const {
    if (free_.empty()) return capacity_;
    const auto last = std::prev(free_.end());
    return last->first + last->second == capacity_ ? last->first : capacity_;
}

bool wait_for_programs() {
    // MEMBARRIER_CMD_GLOBAL is synchronize_rcu() (kernel/sched/membarrier.c); XDP
    // programs run under RCU. Refused with nohz_full CPUs.
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

void Grace::give_back(Ranges& owner, Range range, TimePoint now) {
    if (range.length != 0) waiting_.push_back({now + period, &owner, range});
}

void Grace::release(TimePoint now) {
    while (!waiting_.empty() && waiting_.front().until <= now) {
        waiting_.front().owner->give_back(waiting_.front().range);
        waiting_.pop_front();
    }
}

std::optional<TimePoint> Grace::deadline() const {
    if (waiting_.empty()) return std::nullopt;
    return waiting_.front().until;
}

bool Grace::hurry() {
    if (waiting_.empty()) return true;
    if (!wait_for_programs()) return false;
    release(waiting_.back().until);
    return true;
}

void Grace::take_again(Ranges& owner) {
    for (const Waiting& waiting : waiting_)
        if (waiting.owner == &owner) (void)owner.take_exactly(waiting.range);
}

}  // namespace dnsdirector::dataplane::xdp
