// SPDX-License-Identifier: Apache-2.0
//
// Tree → drafts: walks the statements with the keyword table.
#pragma once

#include <string>
#include <vector>

#include "config/diagnostics.h"
#include "config/draft.h"
#include "config/tree.h"

namespace dnsdirector::config {

/// Reads a whole tree. Every mistake that can be seen within a block is said.
/// `definitions` are the names that are defined, for suggestions. Of `files` it asks for
/// the users and programs that are named.
[[nodiscard]] Drafts read_drafts(const std::vector<Statement>& tree,
                                 const std::vector<std::string>& definitions, const Files& files,
                                 Diagnostics& diagnostics);

}  // namespace dnsdirector::config
