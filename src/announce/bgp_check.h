// SPDX-License-Identifier: Apache-2.0
//
// Whether a routing daemon runs what the bgp block says: pure functions over what it says of
// itself. Each difference is a sentence; passwords are not shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/bgp.h"

namespace dnsdirector::announce {

/// `running`: `show running-config` of FRR's daemons (bgpd, zebra, bfdd), one behind the other.
/// What ours has beside it is none of this.
[[nodiscard]] std::vector<std::string> frr_differences(const core::Bgp& bgp,
                                                       std::string_view running);

/// What BIRD says of itself, and the file that it should have read.
struct BirdState {
    std::string file;        ///< its path
    std::string text;        ///< what stands in it
    std::string changed_at;  ///< when it was, as "2026-11-29 01:27:44"; "": not known
    std::string status;      ///< `show status`
    std::string protocols;   ///< `show protocols all`
};

[[nodiscard]] std::vector<std::string> bird_differences(const core::Bgp& bgp,
                                                        const BirdState& state);

}  // namespace dnsdirector::announce
