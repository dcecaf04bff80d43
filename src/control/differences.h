// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace dnsdirector::control {

/// What putting `next` into force in place of `present` changes, one line each,
/// for `plan` and `reload`. Nothing: both mean the same.
[[nodiscard]] std::vector<std::string> differences(const core::Configuration& present,
                                                   const core::Configuration& next);

/// Settings that a running director can't change; "" when there is none. Names
/// the setting and what to do.
[[nodiscard]] std::string needs_restart(const core::DirectorSettings& present,
                                        const core::DirectorSettings& next);

}  // namespace dnsdirector::control
