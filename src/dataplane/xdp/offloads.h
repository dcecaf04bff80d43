// SPDX-License-Identifier: Apache-2.0
//
// Receive offloads (ethtool, linux/ethtool.h): in generic mode the kernel merges
// packets before the XDP program sees them, and the program would forward a
// frame that no link takes.
#pragma once

#include <string>

#include "base/result.h"

namespace dnsdirector::dataplane::xdp {

struct Offloads {
    bool gro = false;
    bool lro = false;
};

/// Turns both off; what was on is returned. An error where it may not be changed.
Result<Offloads> turn_off(const std::string& interface);
/// Turns on again what is true.
Result<void> turn_on(const std::string& interface, Offloads offloads);

}  // namespace dnsdirector::dataplane::xdp
