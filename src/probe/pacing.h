// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.h"
#include "probe/random.h"

namespace dnsdirector::probe {

/// Where in time rounds are placed, so that few checks wake the machine seldom
/// and many are spread evenly. Waking an idle core, and a network stack that has
/// left the caches, costs several times what the next round in a row does
/// (measured: 80 us against 10). So while all checks together start few rounds
/// a second, rounds gather in cells of time of some eight rounds each, a cell
/// being at most a quarter of the interval; from some hundred rounds a second
/// on each has a time of its own, a little before or after its slot.
class Pacing {
public:
    /// 0: from the kernel.
    explicit Pacing(std::uint64_t seed) : spread_(seed) {}

    void add(Nanoseconds every) { rounds_a_second_ += rate_of(every); }
    void remove(Nanoseconds every) { rounds_a_second_ -= rate_of(every); }

    /// When the round of a slot starts: up to 2% of the interval off, or at the
    /// next cell's beginning, which is itself moved by up to a quarter cell.
    [[nodiscard]] TimePoint place(TimePoint slot, Nanoseconds every);
    /// A random part of a duration.
    [[nodiscard]] Nanoseconds part_of(Nanoseconds duration);

private:
    static double rate_of(Nanoseconds every);
    [[nodiscard]] Nanoseconds cell_of(Nanoseconds every) const;

    Spread spread_;
    double rounds_a_second_ = 0;
};

}  // namespace dnsdirector::probe
