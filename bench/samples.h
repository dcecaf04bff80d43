// SPDX-License-Identifier: Apache-2.0
//
// Times of many repetitions, and how they are told.
#pragma once

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/time.h"

namespace dnsdirector::bench {

inline Nanoseconds read_clock(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return Seconds{time.tv_sec} + Nanoseconds{time.tv_nsec};
}
inline TimePoint monotonic_now() {
    return TimePoint{read_clock(CLOCK_MONOTONIC)};
}

/// Milliseconds for people.
inline double ms(Nanoseconds time) {
    return static_cast<double>(time.count()) / 1e6;
}

class Samples {
public:
    void add(Nanoseconds time) { times_.push_back(time); }
    [[nodiscard]] std::size_t count() const { return times_.size(); }

    /// The smallest value that at least this share (0 to 1) of all do not exceed.
    [[nodiscard]] Nanoseconds quantile(double share) const {
        if (times_.empty()) return Nanoseconds{0};
        std::vector<Nanoseconds> sorted = times_;
        std::sort(sorted.begin(), sorted.end());
        const double rank = share * static_cast<double>(sorted.size());
        auto index = static_cast<std::size_t>(rank);
        if (static_cast<double>(index) == rank && index > 0) --index;
        return sorted[std::min(index, sorted.size() - 1)];
    }
    [[nodiscard]] Nanoseconds median() const { return quantile(0.5); }

    [[nodiscard]] nlohmann::json json() const {
        return {{"count", count()},
                {"min_us", us(quantile(0))},
                {"median_us", us(median())},
                {"p99_us", us(quantile(0.99))},
                {"max_us", us(quantile(1))}};
    }

private:
    static double us(Nanoseconds time) { return static_cast<double>(time.count()) / 1e3; }

    std::vector<Nanoseconds> times_;
};

/// Time of one stretch of code: as the clock says, and without what the thread
/// stood in line for a processor that others had (run delay of
/// Documentation/scheduler/sched-stats.rst). Sleeping and waiting for the kernel
/// are the code's own.
class Stopwatch {
public:
    Stopwatch() : wall_(read_clock(CLOCK_MONOTONIC)), queued_(queued()) {}

    struct Times {
        Nanoseconds wall, own;
    };
    [[nodiscard]] Times times() const {
        // The wall clock is read first and last, so that no waiting is taken off
        // that it did not see.
        const Nanoseconds in_line = queued() - queued_;
        const Nanoseconds wall = read_clock(CLOCK_MONOTONIC) - wall_;
        return {wall, wall - in_line};
    }

private:
    /// Zero always where the kernel does not say.
    static Nanoseconds queued() {
        static const int file = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
        char text[96] = "";
        unsigned long long ran = 0;
        unsigned long long waited = 0;
        if (file < 0 || pread(file, text, sizeof text - 1, 0) <= 0 ||
            std::sscanf(text, "%llu %llu", &ran, &waited) != 2)
            return Nanoseconds{0};
        return Nanoseconds{waited};
    }

    Nanoseconds wall_;
    Nanoseconds queued_;
};

}  // namespace dnsdirector::bench
