// SPDX-License-Identifier: Apache-2.0
//
// The real file system behind config::Files.
#pragma once

#include "config/config.h"

namespace dnsdirector::config {

/// `config_id` chooses conditional lines; "" is the first part of the host name.
[[nodiscard]] Files real_files(const std::string& config_id = {});

}  // namespace dnsdirector::config
