// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "core/model.h"
#include "probe/file_reader.h"
#include "probe/probe.h"
#include "probe/script_runner.h"

namespace dnsdirector::probe {

/// What a new probe is made with.
struct ProbeMaker {
    Environment& environment;
    std::uint64_t token;                     ///< marks its events
    std::function<ScriptRunner&()> scripts;  ///< called for a script's probe only
    std::function<FileReader&()> files;      ///< called for a file's probe only
};

/// The way of asking for each kind of check. One that cannot be asked as it is
/// configured becomes a probe whose every round says why.
[[nodiscard]] std::unique_ptr<Probe> make_probe(const ProbeMaker& maker, const core::Check& check);

}  // namespace dnsdirector::probe
