// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <poll.h>

#include <chrono>
#include <functional>
#include <optional>
#include <vector>

#include "probe/prober.h"

namespace dnsdirector::probe::test {

using Steady = std::chrono::steady_clock;

/// Drives a prober with poll(), as an event loop would, until `done` or the
/// deadline; whether it was done.
inline bool drive(Prober& prober, const std::function<bool()>& done,
                  Milliseconds at_most = Milliseconds{5000}) {
    const auto end = Steady::now() + at_most;
    while (!done()) {
        const auto now = Steady::now();
        if (now >= end) return false;
        auto wait = end - now;
        if (const std::optional<TimePoint> deadline = prober.deadline()) {
            const auto left = deadline->time_since_epoch() - now.time_since_epoch();
            wait = std::min(wait, std::max(left, Nanoseconds{0}));
        }
        const timespec time{wait.count() / 1'000'000'000, wait.count() % 1'000'000'000};
        pollfd one{prober.descriptor(), POLLIN, 0};
        const int ready = ::ppoll(&one, 1, &time, nullptr);
        if (ready > 0) prober.on_readable();
        const TimePoint after{Steady::now().time_since_epoch()};
        if (prober.deadline() && *prober.deadline() <= after) prober.on_deadline(after);
    }
    return true;
}

/// A prober that keeps its verdicts.
struct Recorder {
    struct Entry {
        CheckId id;
        core::Verdict verdict;
    };

    explicit Recorder(ProberSettings settings = {.seed = 1})
        : prober(Prober::create(std::move(settings)).value()) {
        prober->on_verdict = [this](CheckId id, core::Verdict verdict) {
            verdicts.push_back({id, std::move(verdict)});
        };
    }
    bool wait_for(std::size_t count, Milliseconds at_most = Milliseconds{5000}) {
        return drive(*prober, [&] { return verdicts.size() >= count; }, at_most);
    }
    /// Runs one round of one check; a verdict of Failure::none with the reason
    /// "no verdict" when there was none.
    core::Verdict ask(const core::Check& check, Milliseconds at_most = Seconds{10}) {
        verdicts.clear();
        prober->add(1, check, true);
        const bool came = wait_for(1, at_most);
        prober->remove(1);
        return came ? verdicts[0].verdict : core::Verdict{.reason = "no verdict"};
    }

    std::vector<Entry> verdicts;
    std::unique_ptr<Prober> prober;
};

}  // namespace dnsdirector::probe::test
