// SPDX-License-Identifier: Apache-2.0
//
// Drafts → core::Configuration: defaults, names that refer to others, what the
// data plane can do, and what would contradict itself over several blocks.
#pragma once

#include <optional>

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/draft.h"
#include "config/places.h"
#include "core/model.h"

namespace dnsdirector::config {

/// The configuration; it is whole only when `diagnostics` holds no error then.
[[nodiscard]] core::Configuration build(const Drafts& drafts, const Files& files,
                                        Diagnostics& diagnostics, Places& places);

}  // namespace dnsdirector::config
