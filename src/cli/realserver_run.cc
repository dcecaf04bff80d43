// SPDX-License-Identifier: Apache-2.0
#include "cli/realserver.h"
#include "cli/run.h"

namespace dnsdirector::cli {

void add_realserver_run(const Program& program, CLI::App& realserver) {
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
        program.action = [program, options] { return run_until_stopped(program, *options); };
    });
}

}  // namespace dnsdirector::cli
