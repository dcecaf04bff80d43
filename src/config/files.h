// SPDX-License-Identifier: Apache-2.0
//
// The real file system behind config::Files.
#pragma once

#include "config/config.h"

namespace dnsdirector::config {

[[nodiscard]] Files real_files();

}  // namespace dnsdirector::config
