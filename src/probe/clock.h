// SPDX-License-Identifier: Apache-2.0
//
// The clocks that probes read themselves: answer times cannot be passed in.
#pragma once

#include <ctime>

#include "base/time.h"

namespace dnsdirector::probe {

[[nodiscard]] inline Nanoseconds read_clock(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return Seconds{time.tv_sec} + Nanoseconds{time.tv_nsec};
}
[[nodiscard]] inline TimePoint now() {
    return TimePoint{read_clock(CLOCK_MONOTONIC)};
}
[[nodiscard]] inline WallTime wall_now() {
    return WallTime{std::chrono::duration_cast<Microseconds>(read_clock(CLOCK_REALTIME))};
}

}  // namespace dnsdirector::probe
