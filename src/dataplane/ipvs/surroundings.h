// SPDX-License-Identifier: Apache-2.0
//
// The kernel's settings that decide whether flows follow a change of servers
// (Documentation/networking/ipvs-sysctl.rst). They are looked at, never set: they
// are the whole machine's. `sync_*` is nobody's business here.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/model.h"

namespace dnsdirector::dataplane::ipvs {

/// A number below /proc/sys/net, by its path there ("ipv4/vs/conntrack").
using ReadSetting = std::function<std::optional<long>(const std::string& path)>;
[[nodiscard]] std::optional<long> read_setting(const std::string& path);

/// What stands in the way of this configuration, a sentence with its mend each.
[[nodiscard]] std::vector<std::string> judge_surroundings(const core::Configuration& configuration,
                                                          const ReadSetting& read);

}  // namespace dnsdirector::dataplane::ipvs
