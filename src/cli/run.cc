// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <filesystem>

#include "control/default_run_dir.h"

namespace dnsdirector::cli {

int run_until_stopped(const Program& program, control::DirectorOptions options) {
    // Reloads and re-executions find the file wherever they run.
    std::error_code ignored;
    options.config_path = std::filesystem::absolute(options.config_path, ignored).string();
    options.arguments.assign(program.argv, program.argv + program.argc);
    return control::run_director(options);
}

void add_run(Program program) {
    auto* command = program.app.add_subcommand("run", "Run the director in the foreground");
    auto options = std::make_shared<control::DirectorOptions>();
    options->config_path = default_config;
    options->version = version;
    options->run_dir = control::default_run_dir();
    command->add_option("-f,--file", options->config_path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command
        ->add_option("--run-dir", options->run_dir,
                     "API socket and saved overrides; of an ordinary user in $XDG_RUNTIME_DIR")
        ->capture_default_str();
    command->add_option("--pin-dir", options->pin_dir, "Pinned maps, programs and links (a bpffs)")
        ->capture_default_str();
    command->footer(
        "Signals: HUP reloads; USR2 re-executes the (upgraded) binary without losing a packet;\n"
        "TERM and INT stop cleanly, a second one at once. After kill -9 the kernel goes on\n"
        "forwarding, and the next start adopts what it finds.\n"
        "\n"
        "  dnsdirector run -f resolvers.conf\n"
        "  dnsdirector run -f a.conf --run-dir /run/dd-a --pin-dir /sys/fs/bpf/dd-a");
    command->callback([program, options] {
        program.action = [program, options] { return run_until_stopped(program, *options); };
    });
}

}  // namespace dnsdirector::cli
