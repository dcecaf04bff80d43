// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "core/desired.h"

namespace dnsdirector::control {

/// The operator's overrides as a JSON file in the run directory, written whole
/// and renamed into place, so that they outlive restarts and kill -9.
[[nodiscard]] Result<core::Overrides> load_overrides(const std::string& path);
[[nodiscard]] Result<void> save_overrides(const std::string& path,
                                          const core::Overrides& overrides);

}  // namespace dnsdirector::control
