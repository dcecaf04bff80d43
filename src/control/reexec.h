// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <thread>

#include "control/director.h"

namespace dnsdirector::control {

/// USR2, first step: runs `check-config` of the binary that now lies at our path,
/// on a thread of its own, and says whether it accepts the configuration.
[[nodiscard]] std::thread check_then(const DirectorOptions& options,
                                     std::function<void(bool accepted)> done);

/// Second step: this process becomes that binary. The kernel goes on forwarding
/// meanwhile, and the new program adopts what it finds. Returns only when the
/// binary cannot be executed; then nothing has changed but a line in the log.
void reexec(const DirectorOptions& options);

}  // namespace dnsdirector::control
