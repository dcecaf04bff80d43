// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/model.h"
#include "probe/probe.h"

namespace dnsdirector::probe {

/// What probes have in common whose rounds are up to `tries` tries, each with
/// `timeout` of its own: a try that stays without an answer is followed by the
/// next one, anything else ends the round.
class RetryingProbe : public Probe {
public:
    Progress start(TimePoint now) final;
    Progress on_event(TimePoint now) final;
    Progress on_timeout(TimePoint now) final;
    void abandon() final;

protected:
    RetryingProbe(Environment& environment, std::uint64_t token, const core::CheckTiming& timing);

    /// Asks; what an earlier try of the round opened may still be open.
    virtual Progress begin_try(TimePoint now) = 0;
    /// Looks at what has come.
    virtual Progress look() = 0;
    /// Closes what the round opened.
    virtual void end() = 0;
    /// The verdict after the last try.
    [[nodiscard]] virtual Outcome unanswered() const;

    Progress finish(Outcome outcome);
    /// Passed, with the time since the try began.
    Progress pass();
    /// The present try has its whole time again, from now on.
    void more_time(TimePoint now) { wake_ = now + timeout_; }
    [[nodiscard]] Microseconds since_try() const;

    Environment& environment_;
    std::uint64_t token_;

private:
    Progress next_try(TimePoint now);

    Nanoseconds timeout_;
    std::uint32_t tries_;
    std::uint32_t tried_ = 0;
    bool in_round_ = false;
    TimePoint try_began_;
};

}  // namespace dnsdirector::probe
