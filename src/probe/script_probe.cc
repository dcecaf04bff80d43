// SPDX-License-Identifier: Apache-2.0
#include "probe/script_probe.h"

#include "probe/clock.h"

namespace dnsdirector::probe {

ScriptProbe::ScriptProbe(Environment& environment, ScriptRunner& runner, std::uint64_t token,
                         const core::ScriptCheck& check, Nanoseconds timeout)
    : environment_(environment),
      runner_(runner),
      token_(token),
      check_(std::make_shared<core::ScriptCheck>(check)),
      timeout_(timeout) {}

ScriptProbe::~ScriptProbe() {
    runner_.kill(run_);
}

Probe::Progress ScriptProbe::start(TimePoint now) {
    ++environment_.statistics.scripts;
    run_ = runner_.start(check_, token_);
    started_ = now;
    wake_ = now + timeout_;
    return std::nullopt;
}

Probe::Progress ScriptProbe::on_event(TimePoint now) {
    Progress outcome = runner_.collect(run_);
    if (outcome && outcome->failure != core::Failure::local)
        outcome->rtt = std::chrono::duration_cast<Microseconds>(now - started_);
    return outcome;
}

void ScriptProbe::abandon() {
    runner_.terminate(run_, now());
}

Probe::Progress ScriptProbe::on_timeout(TimePoint now) {
    if (Progress outcome = on_event(now)) return outcome;
    runner_.terminate(run_, now);
    return Outcome{core::Failure::silence, "timed out after " + to_text(timeout_), {}};
}

}  // namespace dnsdirector::probe
