// SPDX-License-Identifier: Apache-2.0
#include "probe/pacing.h"

#include <algorithm>

namespace dnsdirector::probe {
namespace {

constexpr double rounds_a_cell = 12;
constexpr Nanoseconds longest_cell = Milliseconds{256};
/// Also when checks are many; some forty of ten thousand a second share one.
constexpr Nanoseconds shortest_cell = Milliseconds{4};
/// More jitter would delay the discovery of a failure without spreading better.
constexpr double jitter = 0.02;

Nanoseconds scale(Nanoseconds duration, double factor) {
    return Nanoseconds{static_cast<std::int64_t>(static_cast<double>(duration.count()) * factor)};
}

}  // namespace

double Pacing::rate_of(Nanoseconds every) {
    return 1e9 / static_cast<double>(std::max<Nanoseconds>(every, Milliseconds{1}).count());
}

Nanoseconds Pacing::part_of(Nanoseconds duration) {
    return scale(duration, spread_.next());
}

Nanoseconds Pacing::cell_of(Nanoseconds every) const {
    const Nanoseconds wished = scale(Seconds{1}, rounds_a_cell / std::max(rounds_a_second_, 0.1));
    // Who asks more than once a second wants to know soon.
    const Nanoseconds allowed = every < Seconds{1} ? every / 10 : every / 4;
    const Nanoseconds cell = std::max(std::min({wished, allowed, longest_cell}), shortest_cell);
    return std::chrono::floor<Milliseconds>(cell);
}

TimePoint Pacing::place(TimePoint slot, Nanoseconds every) {
    const Nanoseconds cell = cell_of(every);
    // Where cells are longer than the jitter, theirs stands in for it.
    if (cell <= scale(every, 2 * jitter)) slot += scale(every, (2 * spread_.next() - 1) * jitter);
    const std::int64_t number = (slot.time_since_epoch() + cell - Nanoseconds{1}) / cell;
    // The same for all checks of the cell.
    Spread of_the_cell(static_cast<std::uint64_t>(number) + 1);
    return TimePoint{number * cell} + scale(cell, of_the_cell.next() / 4);
}

}  // namespace dnsdirector::probe
