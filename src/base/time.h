// SPDX-License-Identifier: Apache-2.0
//
// Time is a value that callers pass in; only the event loop reads clocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace dnsdirector {

using Nanoseconds = std::chrono::nanoseconds;
using Microseconds = std::chrono::microseconds;
using Milliseconds = std::chrono::milliseconds;
using Seconds = std::chrono::seconds;

/// A point on CLOCK_MONOTONIC (what std::chrono::steady_clock is on Linux).
/// Declared without naming the clock type so that pure code cannot call now().
struct MonotonicEpoch {
    using rep = Nanoseconds::rep;
    using period = Nanoseconds::period;
    using duration = Nanoseconds;
};
using TimePoint = std::chrono::time_point<MonotonicEpoch, Nanoseconds>;

/// A point of calendar time, for people: status, events, logs.
using WallTime = std::chrono::sys_time<Microseconds>;

/// RFC 3339 in UTC with milliseconds: "2026-11-23T18:14:05.123Z".
[[nodiscard]] std::string to_rfc3339(WallTime time);

/// "50ms", "1.5s", "3m", "2h": the shortest exact form the configuration reads back.
[[nodiscard]] std::string to_text(Nanoseconds duration);

}  // namespace dnsdirector
