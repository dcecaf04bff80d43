// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "config/diagnostics.h"
#include "config/places.h"
#include "core/model.h"

namespace dnsdirector::config {

/// Holds the whole against the director block's limits, and on the xdp plane those against
/// what its layout can number. Errors say which limit, how much is wanted, and the keyword to
/// raise. Warns of each block whose weights have to be rounded. `services` and `servers`:
/// how many the text asked for, which may be more than were made.
void check_limits(const core::Configuration& configuration, const Places& places,
                  std::uint64_t services, std::uint64_t servers, Diagnostics& diagnostics);

}  // namespace dnsdirector::config
