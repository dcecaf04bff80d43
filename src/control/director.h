// SPDX-License-Identifier: Apache-2.0
//
// The running director: puts engine, data plane, prober, service IPs and API
// together on one event loop, and carries out commands and signals.
#pragma once

#include <string>
#include <vector>

#include "control/real_server.h"

namespace dnsdirector::control {

struct DirectorOptions {
    Role role = Role::director;
    std::string config_path;
    std::string config_id;  ///< chooses conditional lines; "": the host name does
    std::string run_dir = "/run/dnsdirector";
    std::string pin_dir = "/sys/fs/bpf/dnsdirector";
    std::string version;
    std::vector<std::string> arguments;  ///< argv, for the re-execution on USR2
};

/// Runs until TERM or INT. Returns the exit status: 0 after a clean stop, 1
/// when the start was refused (the reason is on standard error).
int run_director(const DirectorOptions& options);

}  // namespace dnsdirector::control
