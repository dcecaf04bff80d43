// SPDX-License-Identifier: Apache-2.0
//
// Times of many repetitions, and how they are told.
#pragma once

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
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

/// Wall time and the thread's own processor time of one stretch of code.
class Stopwatch {
public:
    Stopwatch()
        : preemptions_(preemptions()),
          cpu_(read_clock(CLOCK_THREAD_CPUTIME_ID)),
          wall_(read_clock(CLOCK_MONOTONIC)) {}
    [[nodiscard]] Nanoseconds wall() const { return read_clock(CLOCK_MONOTONIC) - wall_; }
    [[nodiscard]] Nanoseconds cpu() const { return read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu_; }
    /// Somebody else was given the processor meanwhile, although the thread
    /// wanted it: the wall time is not the code's own.
    [[nodiscard]] bool preempted() const { return preemptions() != preemptions_; }

private:
    static long preemptions() {
        rusage usage{};
        getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
    }

    long preemptions_;
    Nanoseconds cpu_;
    Nanoseconds wall_;
};

}  // namespace dnsdirector::bench
