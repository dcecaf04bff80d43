// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/model.h"
#include "probe/script_runner.h"

namespace dnsdirector::probe {

/// MISC_CHECK: exit status 0 passes. One run is one round (`tries` is for
/// questions); it has `timeout`, then its whole process group is ended. Never
/// two runs at a time: while a late one is ending, rounds are left out.
class ScriptProbe : public Probe {
public:
    ScriptProbe(Environment& environment, ScriptRunner& runner, std::uint64_t token,
                const core::ScriptCheck& check, Nanoseconds timeout);
    ~ScriptProbe() override;

    Progress start(TimePoint now) override;
    Progress on_event(TimePoint now) override;
    Progress on_timeout(TimePoint now) override;
    void abandon() override;
    [[nodiscard]] bool ready() const override { return !runner_.running(run_); }

private:
    Environment& environment_;
    ScriptRunner& runner_;
    std::uint64_t token_;
    std::shared_ptr<const core::ScriptCheck> check_;
    Nanoseconds timeout_;
    ScriptRunner::RunId run_ = ~ScriptRunner::RunId{0};
    TimePoint started_;
};

}  // namespace dnsdirector::probe
