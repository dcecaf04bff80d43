// SPDX-License-Identifier: Apache-2.0
//
// Our table in the kernel, through the program nft, which ends within ten seconds or is killed.
// No other table is read or changed. All of it acts on the calling thread's network namespace.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "realserver/listing.h"

namespace dnsdirector::realserver {

/// Our table as nft lists it, without handles, counter values and what rules remember, for
/// comparison; nullopt: none. It stays the same until somebody changes the table.
[[nodiscard]] Result<std::optional<std::string>> read_table();

/// Puts what ruleset_of() yields in the place of our table, all or nothing; no packet meets half
/// of it. "" removes the table. An error names what nft said. Counters begin anew, and what the
/// rules remember is lost.
Result<void> replace_table(const std::string& ruleset);

Result<void> remove_table();  ///< nothing there: fine

/// What the rules have seen, in one listing: packets and bytes by process, protocol and way, and
/// what `tunnel_from` refused. Without a table there is nothing.
[[nodiscard]] Result<Counters> read_counters();

}  // namespace dnsdirector::realserver
