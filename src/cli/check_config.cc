// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "cli/cli.h"
#include "config/config.h"

namespace dnsdirector::cli {

void add_check_config(Program program) {
    auto* command = program.app.add_subcommand("check-config", "Is this configuration right?");
    auto path = std::make_shared<std::string>(default_config);
    command->add_option("-f,--file", *path, "Configuration")->capture_default_str();
    command->footer(
        "Every message is FILE:LINE:COLUMN: error: what, and what would be right.\n"
        "Exit status: 0 fine (warnings included), 1 errors. Needs no privileges.\n"
        "\n"
        "  dnsdirector check-config -f resolvers.conf && dnsdirector reload");
    command->callback([program, path] {
        program.action = [path] {
            const config::Loaded loaded = config::load(*path);
            for (const config::Message& message : loaded.messages)
                fmt::print(stderr, "{}\n", message.to_string());
            if (!loaded.ok()) return failed;
            fmt::print("{}: fine: {} services, {} checks\n", *path,
                       loaded.configuration->services.size(), loaded.configuration->checks.size());
            return ok;
        };
    });
}

void add_reference(Program program) {
    auto* command = program.app.add_subcommand("reference",
                                               "Print the reference of the configuration language");
    auto markdown = std::make_shared<bool>(true);
    command->add_flag("--markdown", *markdown, "As docs/configuration.md (the default)");
    command->callback([program] {
        program.action = [] {
            fmt::print("{}", config::reference_markdown());
            return ok;
        };
    });
}

}  // namespace dnsdirector::cli
