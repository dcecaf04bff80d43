// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace dnsdirector::control {

/// Root's, and the packaged unit's (RuntimeDirectory=, docs/operations.md).
inline constexpr const char* system_run_dir = "/run/dnsdirector";

/// Where a director of this user lies that was not told: /run/dnsdirector for who may write
/// there, else $XDG_RUNTIME_DIR/dnsdirector, else /tmp/dnsdirector-UID.
[[nodiscard]] std::string default_run_dir();

/// Where commands look for a director: this user's own if there is one that listens, else the
/// system's.
[[nodiscard]] std::string run_dir_to_ask();

}  // namespace dnsdirector::control
