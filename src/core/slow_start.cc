// SPDX-License-Identifier: Apache-2.0
//
// decide(): who comes back gets its weight step by step.
#include <algorithm>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

/// Steps happen at multiples of this since the clock's epoch, not since each
/// server's return: thousands of servers that return one after another make
/// one new table a step together.
Nanoseconds grid(const Service& service) {
    return std::max(service.slow_start / slow_start_steps, Nanoseconds{1});
}

}  // namespace

std::uint32_t step_of(const DecisionInput& input, TimePoint returned_at) {
    const Nanoseconds cell = grid(input.service);
    const auto steps = input.now.time_since_epoch() / cell - returned_at.time_since_epoch() / cell;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(steps, 1, slow_start_steps));
}

void follow_slow_start(const DecisionInput& input, const Draft& draft, ServiceMemory::Seen& seen) {
    if (draft.place == Place::working) {
        if (seen.cold) seen.returned_at = input.now;
        seen.cold = false;
        if (seen.returned_at && (input.service.slow_start <= Nanoseconds{0} ||
                                 step_of(input, *seen.returned_at) == slow_start_steps))
            seen.returned_at.reset();
        return;
    }
    // Who is held by max_out has never stopped working.
    if (draft.place != Place::limited && (draft.health == Health::down || seen.returned_at))
        seen.cold = true;
    seen.returned_at.reset();
}

std::optional<TimePoint> next_step(const Deciding& deciding) {
    for (const ServiceMemory::Seen& seen : deciding.memory.servers) {
        if (!seen.returned_at) continue;
        const Nanoseconds cell = grid(deciding.service);
        return TimePoint{(deciding.input.now.time_since_epoch() / cell + 1) * cell};
    }
    return std::nullopt;
}

}  // namespace dnsdirector::core
