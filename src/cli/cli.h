// SPDX-License-Identifier: Apache-2.0
//
// cli/: the subcommands, one file each. A subcommand registers its options and
// returns its exit status (interface.md of the docs lists them); it decides
// nothing that the director decides.
#pragma once

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace dnsdirector::cli {

inline constexpr const char* version = DNSDIRECTOR_VERSION;
inline constexpr const char* default_config = "/etc/dnsdirector/dnsdirector.conf";
inline constexpr const char* default_run_dir = "/run/dnsdirector";
inline constexpr const char* default_pin_dir = "/sys/fs/bpf/dnsdirector";

/// Exit statuses that several commands share.
enum ExitStatus : int { ok = 0, failed = 1, changes = 2, no_director = 3 };

/// What main() runs once the command line is understood.
using Action = std::function<int()>;

struct Program {
    CLI::App& app;
    Action& action;
    int argc;
    char** argv;
};

/// `-i`, as keepalived has it: chooses the configuration's conditional lines.
inline void add_config_id(CLI::App& command, std::string& config_id) {
    command.add_option("-i,--config-id", config_id,
                       "Which conditional lines (@ID …) count; without it, those of the host name");
}

void add_run(Program program);
void add_check_config(Program program);
void add_convert(Program program);
void add_also_notify(Program program);
void add_bgp(Program program);
void add_reference(Program program);
void add_plan(Program program);
void add_reload(Program program);
void add_status(Program program);
void add_drain(Program program);
void add_withdraw(Program program);
void add_why(Program program);
void add_doctor(Program program);
void add_realserver(Program program);

}  // namespace dnsdirector::cli
