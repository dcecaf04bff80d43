// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "core/model.h"
#include "probe/descriptor.h"

namespace dnsdirector::probe {

/// A script that runs, leader of a process group of its own.
struct ScriptChild {
    pid_t pid = -1;
    Descriptor pidfd;  ///< readable once it has ended
};

/// Starts a script without a shell: standard input from /dev/null, the outputs
/// to the files that the check names (opened as the script's user) or to
/// /dev/null, all other descriptors closed, a small environment, directory /.
/// Runs as check.user, else `default_user`, else keepalived_script where the
/// director is root and there is such a user, else as the director.
///
/// Blocks until the script's image is loaded, and looks up users: not for the
/// event loop's thread. `files` is the limit of open files that it gets. Errors
/// say what is missing: the user, the right to become it, a file, the program.
[[nodiscard]] Result<ScriptChild> start_script(const core::ScriptCheck& check,
                                               const std::string& default_user,
                                               const rlimit& files);

}  // namespace dnsdirector::probe
