// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/bgp.h"

namespace dnsdirector::control {

/// differences() of the bgp block. Passwords are not shown.
[[nodiscard]] std::vector<std::string> differences_of_bgp(const std::optional<core::Bgp>& present,
                                                          const std::optional<core::Bgp>& next);

}  // namespace dnsdirector::control
