// SPDX-License-Identifier: Apache-2.0
//
// What BIRD 2 says of its sessions. Pure functions over replies without their codes
// (control_protocol.h); whatever stands there, they yield what they understand of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "announce/session_state.h"

namespace dnsdirector::announce {

struct BirdStatus {
    std::string problem;  ///< "": up and running
    /// "Current server time", as seconds of BIRD's time zone.
    std::optional<Nanoseconds> time;
};

/// `show status`.
[[nodiscard]] BirdStatus bird_status(std::string_view reply);

/// `show protocols all`: the BGP protocols by name. `time`: of the same moment.
[[nodiscard]] std::map<std::string, NeighborReport> bird_neighbors(
    std::string_view reply, const std::optional<Nanoseconds>& time);

/// `show bfd sessions`: "up", "down", "init", "admindown" by address.
[[nodiscard]] std::map<IpAddress, std::string> bird_bfd(std::string_view reply);

/// `show route export NAME all`, added to `report`.
void bird_told(std::string_view reply, const std::optional<Nanoseconds>& time, ToldReport& report);

}  // namespace dnsdirector::announce
