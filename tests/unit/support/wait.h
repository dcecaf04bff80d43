// SPDX-License-Identifier: Apache-2.0
//
// Drives event sources as the director's loop does, until a condition holds.
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>

#include "base/event_source.h"

namespace dnsdirector::support {

/// Polls the source and hands it its readiness until `done` or the deadline.
/// True when `done` held.
inline bool drive(EventSource& source, const std::function<bool()>& done,
                  std::chrono::milliseconds limit = std::chrono::seconds{10}) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + limit;
    while (!done()) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        if (left <= 0) return false;
        pollfd ready{source.descriptor(), POLLIN, 0};
        poll(&ready, 1, static_cast<int>(left < 100 ? left : 100));
        if (ready.revents != 0) source.on_readable();
        const TimePoint now{
            std::chrono::duration_cast<Nanoseconds>(Clock::now().time_since_epoch())};
        if (const auto deadline = source.deadline(); deadline && *deadline <= now)
            source.on_deadline(now);
    }
    return true;
}

/// Repeats `done` until it holds or the deadline passes, a few milliseconds apart.
inline bool eventually(const std::function<bool()>& done,
                       std::chrono::milliseconds limit = std::chrono::seconds{10}) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + limit;
    while (!done()) {
        if (Clock::now() >= until) return false;
        poll(nullptr, 0, 5);
    }
    return true;
}

}  // namespace dnsdirector::support
