// SPDX-License-Identifier: Apache-2.0
#include "control/default_run_dir.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

namespace dnsdirector::control {

std::string default_run_dir() {
    if (geteuid() == 0 || access(system_run_dir, W_OK) == 0) return system_run_dir;
    if (const char* own = std::getenv("XDG_RUNTIME_DIR"); own != nullptr && access(own, W_OK) == 0)
        return fmt::format("{}/dnsdirector", own);
    return fmt::format("/tmp/dnsdirector-{}", geteuid());
}

std::string run_dir_to_ask() {
    std::string own = default_run_dir();
    if (own != system_run_dir && access((own + "/api.sock").c_str(), F_OK) == 0) return own;
    return system_run_dir;
}

}  // namespace dnsdirector::control
