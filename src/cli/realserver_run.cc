// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli/cli.h"
#include "control/director.h"

namespace dnsdirector::cli {

void add_realserver_run(CLI::App& realserver, Program program) {
    auto* command =
        realserver.add_subcommand("run", "Keep this machine the real server: `up` as a service");
    auto options = std::make_shared<control::DirectorOptions>();
    options->role = control::Role::real_server;
    options->config_path = default_config;
    options->version = version;
    command->add_option("-f,--file", options->config_path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command->add_option("--run-dir", options->run_dir, "API socket, and what was there before")
        ->capture_default_str();
    command->footer(
        "Does what `up` does, undoes within a second or two what others change of it, checks the\n"
        "DNS processes, and withdraws service IPs that none of them answers for, where the file\n"
        "says `withdraw_on_failure` or has a bgp block. `dnsdirector status`, `reload`, `plan`,\n"
        "`why` and `drain` speak to it as to a director.\n"
        "Signals: HUP reloads; USR2 re-executes the (upgraded) binary; TERM and INT stop cleanly:\n"
        "announcements are withdrawn, then all is taken back as `down` does it, unless systemd\n"
        "stops it for a restart. After kill -9 everything stays as it is.\n"
        "\n"
        "  sudo dnsdirector realserver run -f realserver.conf");
    command->callback([program, options] {
        program.action = [program, options] {
            // Reloads and re-executions find the file wherever they run.
            std::error_code ignored;
            options->config_path =
                std::filesystem::absolute(options->config_path, ignored).string();
            options->arguments.assign(program.argv, program.argv + program.argc);
            return control::run_director(*options);
        };
    });
}

}  // namespace dnsdirector::cli
