// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dnsdirector::control {

/// Of hooks.h, since the start.
struct HookStatistics {
    std::uint64_t started = 0;
    std::uint64_t failed = 0;   ///< another exit status than 0, killed, or could not be run
    std::uint64_t dropped = 0;  ///< left out, since later ones say more
    std::uint64_t waiting = 0;  ///< now
    std::uint64_t running = 0;  ///< now
};

}  // namespace dnsdirector::control
