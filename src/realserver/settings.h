// SPDX-License-Identifier: Apache-2.0
//
// The kernel's network settings as files (/proc/sys/net), or a test's.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace dnsdirector::realserver {

/// /proc/sys/net shows each thread its own network namespace.
inline constexpr const char* proc_sys_net = "/proc/sys/net";

/// One line without its end; absent where there is no such file, or it can't be read.
[[nodiscard]] std::optional<std::string> read_setting(const std::string& root,
                                                      const std::string& path);
[[nodiscard]] Result<void> write_setting(const std::string& root, const std::string& path,
                                         const std::string& value);

}  // namespace dnsdirector::realserver
