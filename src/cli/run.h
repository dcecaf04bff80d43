// SPDX-License-Identifier: Apache-2.0
//
// What `run` and `realserver run` have in common.
#pragma once

#include "cli/cli.h"
#include "control/director.h"

namespace dnsdirector::cli {

/// With this command line and the working directory of now. Returns the exit status.
[[nodiscard]] int run_until_stopped(const Program& program, control::DirectorOptions options);

}  // namespace dnsdirector::cli
