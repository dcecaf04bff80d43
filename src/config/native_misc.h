// SPDX-License-Identifier: Apache-2.0
//
// MISC_CHECKs that need no process.
#pragma once

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::config {

/// What is done instead of running a script, with the script's verdict.
struct NativeMisc {
    Endpoint target;  ///< the server that the command asks
    core::Check::What what;
    Nanoseconds timeout;
    std::uint32_t tries;
};

/// A command that is a plain dig line (dig_line.h) becomes a DigCheck, our own
/// `probe` with the classic nine words a DnsCheck. Errors: in a few words, why
/// the command is run as it stands.
[[nodiscard]] Result<NativeMisc> native_misc(const core::ScriptCheck& script);

}  // namespace dnsdirector::config
