// SPDX-License-Identifier: Apache-2.0
#include "probe/retrying_probe.h"

#include <algorithm>

#include "probe/clock.h"

namespace dnsdirector::probe {

RetryingProbe::RetryingProbe(Environment& environment, std::uint64_t token,
                             const core::CheckTiming& timing)
    : environment_(environment),
      token_(token),
      timeout_(timing.timeout),
      tries_(std::max(timing.tries, 1U)) {}

Probe::Progress RetryingProbe::start(TimePoint now) {
    in_round_ = true;
    tried_ = 0;
    return next_try(now);
}

Probe::Progress RetryingProbe::next_try(TimePoint now) {
    ++tried_;
    try_began_ = now;
    more_time(now);
    ++environment_.statistics.sent;
    return begin_try(now);
}

Probe::Progress RetryingProbe::on_event(TimePoint /*now*/) {
    return in_round_ ? look() : std::nullopt;
}

Probe::Progress RetryingProbe::on_timeout(TimePoint now) {
    // It may have come in time and we are late to look.
    if (Progress outcome = on_event(now)) return outcome;
    if (wake_ > now) return std::nullopt;
    return tried_ < tries_ ? next_try(now) : finish(unanswered());
}

void RetryingProbe::abandon() {
    in_round_ = false;
    end();
}

Outcome RetryingProbe::unanswered() const {
    return {core::Failure::silence, "timeout", {}};
}

Probe::Progress RetryingProbe::finish(Outcome outcome) {
    abandon();
    return outcome;
}

Microseconds RetryingProbe::since_try() const {
    return std::chrono::duration_cast<Microseconds>(now() - try_began_);
}

Probe::Progress RetryingProbe::pass() {
    return finish({core::Failure::none, {}, since_try()});
}

}  // namespace dnsdirector::probe
