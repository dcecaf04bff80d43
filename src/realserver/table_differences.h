// SPDX-License-Identifier: Apache-2.0
//
// What somebody has changed in our nftables table. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dnsdirector::realserver {

/// Of two tables as comparable() gives them: "chain prerouting: 2 rules are gone", "chain
/// process.one: 1 rule is not ours", "set direct.udp4 is gone". None: equal.
[[nodiscard]] std::vector<std::string> table_differences(std::string_view wished,
                                                         std::string_view found);

/// How many rules a listed table has.
[[nodiscard]] std::size_t rules_in(std::string_view listed);

}  // namespace dnsdirector::realserver
