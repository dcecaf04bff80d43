// SPDX-License-Identifier: Apache-2.0
#include "cli/realserver.h"
#include "realserver/translation.h"

namespace dnsdirector::cli {
namespace {

struct RulesOptions {
    std::string path = default_config;
    std::string config_id;
};

int print_rules(const RulesOptions& options) {
    const auto file = read_machine_file(options.path, options.config_id);
    if (!file) return failed;
    const std::string rules = realserver::ruleset_of(file->order.machine);
    if (rules.empty())
        fmt::print(stderr,
                   "dnsdirector: {} needs no rules: its realserver block has neither processes "
                   "nor tunnel_from\n",
                   options.path);
    fmt::print("{}", rules);
    return ok;
}

}  // namespace

void add_realserver_rules(const Program& program, CLI::App& realserver) {
    auto* command =
        realserver.add_subcommand("rules", "What nft would be told for a configuration");
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
