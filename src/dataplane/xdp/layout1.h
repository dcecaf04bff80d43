// SPDX-License-Identifier: Apache-2.0
//
// Pins of layout 1, which had no ledger: what they hold is found in the kernel
// program's own tables.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "dataplane/xdp/ledger.h"

namespace dnsdirector::dataplane::xdp::layout1 {

/// What its map `layout` would say.
[[nodiscard]] std::string_view description();
/// All its maps are there, and have its sizes.
[[nodiscard]] bool is_whole(const std::string& directory);
/// What stands in the pins of `directory`. Tables that are damaged are read as
/// far as they go.
[[nodiscard]] Result<Ledger> read(const std::string& directory);

}  // namespace dnsdirector::dataplane::xdp::layout1
