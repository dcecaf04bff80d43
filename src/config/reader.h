// SPDX-License-Identifier: Apache-2.0
//
// Tree → drafts: walks the statements with the keyword table.
#pragma once

#include <vector>

#include "config/diagnostics.h"
#include "config/draft.h"
#include "config/tree.h"

namespace dnsdirector::config {

/// Reads a whole tree. Every mistake that can be seen within a block is said.
[[nodiscard]] Drafts read_drafts(const std::vector<Statement>& tree, Diagnostics& diagnostics);

}  // namespace dnsdirector::config
