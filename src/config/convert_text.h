// SPDX-License-Identifier: Apache-2.0
//
// Planned clusters as text of the native form.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/convert_plan.h"

namespace dnsdirector::config {

/// The lines of a check's block, without indentation and braces; statements that belong
/// together share a line. What stands at its default is left out.
[[nodiscard]] std::vector<std::string> lines_of_check(const PlannedCheck& check);

/// What of the block is there for the sake of keepalived's ways alone; "" when nothing is.
[[nodiscard]] std::string better_without(const PlannedCheck& check);

/// The lines of a cluster's policies, likewise.
[[nodiscard]] std::vector<std::string> lines_of_policies(const PlannedCluster& cluster);

/// The statements of a server, in their order.
[[nodiscard]] std::vector<std::string> statements_of_server(const PlannedServer& server,
                                                            const PlannedCluster& cluster);

/// A command line in double quotes, as `script` and `notify_up` take it.
[[nodiscard]] std::string quoted_command(const std::vector<std::string>& arguments);

}  // namespace dnsdirector::config
