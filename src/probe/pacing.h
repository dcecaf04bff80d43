// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/time.h"
#include "probe/random.h"

namespace dnsdirector::probe {

/// Where in time rounds are placed, so that few checks wake the machine seldom
/// and many are spread evenly. Waking an idle core, and a network stack that has
/// left the caches, costs several times what the next round in a row does
/// (measured: 80 us against 10). So rounds start at the beginnings of cells of
/// time: a cell is as long as twelve rounds take to come together, at most a
/// quarter of the interval (a tenth where that is below a second), and never
/// less than four milliseconds.
class Pacing {
public:
    /// 0: from the kernel.
    explicit Pacing(std::uint64_t seed) : spread_(seed) {}

    void add(Nanoseconds every) { rounds_a_second_ += rate_of(every); }
    void remove(Nanoseconds every) { rounds_a_second_ -= rate_of(every); }

    /// When the round of a slot starts: at the beginning of the next cell, which
    /// is moved by up to a quarter cell; where cells are short, the slot has been
    /// moved by up to 2% of the interval before.
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
