// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "cli/cli.h"
#include "cli/message_text.h"
#include "config/findings.h"
#include "realserver/translation.h"

namespace dnsdirector::cli {
namespace {

struct RulesOptions {
    std::string path = default_config;
    std::string config_id;
};

int print_rules(const RulesOptions& options) {
    const config::Loaded loaded = config::examine(options.path, options.config_id);
    for (const config::Message& message : loaded.messages)
        if (message.severity == config::Severity::error)
            fmt::print(stderr, "{}", text_with_caret(message));
    if (!loaded.ok()) return failed;
    if (!loaded.configuration->real_server_machine) {
        fmt::print(stderr, "dnsdirector: {} has no realserver block\n", options.path);
        return failed;
    }
    const std::string rules = realserver::ruleset_of(*loaded.configuration->real_server_machine);
    if (rules.empty())
        fmt::print(stderr,
                   "dnsdirector: {} needs no rules: its realserver block has neither processes "
                   "nor tunnel_from\n",
                   options.path);
    fmt::print("{}", rules);
    return ok;
}

/// `realserver`, whoever registered it first.
CLI::App& realserver_command(CLI::App& app) {
    const auto found = app.get_subcommands(
        [](const CLI::App* command) { return command->get_name() == "realserver"; });
    if (!found.empty()) return *found.front();
    auto* command = app.add_subcommand("realserver", "What makes this machine a real server");
    command->require_subcommand(1);
    return *command;
}

}  // namespace

void add_realserver_rules(Program program) {
    auto* command = realserver_command(program.app)
                        .add_subcommand("rules", "What nft would be told for a configuration");
    auto options = std::make_shared<RulesOptions>();
    command->add_option("-f,--file", options->path, "Configuration with a realserver block")
        ->capture_default_str();
    add_config_id(*command, options->config_id);
    command->footer(
        "The table that translates the service IPs to several DNS processes, and refuses tunnels\n"
        "that do not come from tunnel_from. It changes nothing, and needs no privileges.\n"
        "\n"
        "  dnsdirector realserver rules -f realserver.conf | sudo nft -c -f -");
    command->callback(
        [program, options] { program.action = [options] { return print_rules(*options); }; });
}

}  // namespace dnsdirector::cli
