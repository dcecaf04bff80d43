// SPDX-License-Identifier: Apache-2.0
//
// Who uses which part of an array in the kernel. What is given back may still be
// read by a program that started before; it is used again only after a grace
// period.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>

#include "base/time.h"

namespace dnsdirector::dataplane::xdp {

struct Range {
    std::uint32_t first = 0;
    std::uint32_t length = 0;

    friend bool operator==(const Range&, const Range&) = default;
};

/// First fit over the free ranges, which are kept merged. Index 0 is never given.
class Ranges {
public:
    explicit Ranges(std::uint32_t capacity) { reset(capacity); }

    /// Everything but index 0 is free again.
    void reset(std::uint32_t capacity);
    /// The lowest range that fits; nothing when there is none.
    [[nodiscard]] std::optional<Range> take(std::uint32_t length);
    /// This very range, if all of it is free.
    [[nodiscard]] bool take_exactly(Range range);
    void give_back(Range range);

    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    /// One beyond the highest index in use.
    [[nodiscard]] std::uint32_t end() const;

private:
    std::uint32_t capacity_ = 0;
    std::map<std::uint32_t, std::uint32_t> free_;  ///< first → length
};

/// Waits (tens of milliseconds) until every run of a kernel program that had
/// begun has ended. False where the kernel can't say.
bool wait_for_programs();

/// What was given back and waits. The program runs for microseconds, but the
/// virtual machine around it may stand still for longer.
class Grace {
public:
    static constexpr Nanoseconds period = Seconds{1};

    void give_back(Ranges& owner, Range range, TimePoint now);
    /// Hands on what has waited long enough.
    void release(TimePoint now);
    /// When release() has work; nothing waits: none.
    [[nodiscard]] std::optional<TimePoint> deadline() const;
    /// Waits for the kernel (tens of milliseconds) and hands on everything: for
    /// when there is no room left. False where the kernel can't say.
    bool hurry();
    /// After `owner` was reset: what waits stays out of use.
    void take_again(Ranges& owner);

private:
    struct Waiting {
        TimePoint until;
        Ranges* owner;
        Range range;
    };
    std::deque<Waiting> waiting_;
};

}  // namespace dnsdirector::dataplane::xdp
