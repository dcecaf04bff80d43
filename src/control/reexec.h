// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "control/director.h"

namespace dnsdirector::control {

/// USR2: runs `check-config` of the binary that now lies at our path; when it
/// accepts the configuration, this process becomes that binary. The kernel goes
/// on forwarding meanwhile, and the new program adopts what it finds. Otherwise
/// nothing changes but a line in the log.
void check_then_reexec(const DirectorOptions& options,
                       std::function<void(std::function<void()>)> post_to_loop);

}  // namespace dnsdirector::control
