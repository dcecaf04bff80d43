// SPDX-License-Identifier: Apache-2.0
#include <string_view>

#include "cli/cli.h"
#include "cli/probe.h"

namespace dnsdirector::cli {
namespace {

constexpr const char* description =
    "dnsdirector hands DNS queries for a service IP to many real servers, checks each of\n"
    "them with real questions, and keeps forwarding whatever happens to itself.";

constexpr const char* examples =
    "A first day:\n"
    "  dnsdirector check-config -f resolvers.conf      is the file right?\n"
    "  dnsdirector doctor -f resolvers.conf            does this machine stand in the way?\n"
    "  dnsdirector convert -f keepalived.conf          the shorter native form of it\n"
    "  dnsdirector run -f resolvers.conf               forward, check, log to standard error\n"
    "  dnsdirector status                              who gets what, who is out and why\n"
    "  dnsdirector drain ns1                           no new work for ns1\n"
    "  dnsdirector plan -f resolvers.conf              what would a reload change?\n"
    "  dnsdirector reload                              read the file again, all or nothing\n"
    "\n"
    "`dnsdirector COMMAND --help` shows each command with examples.";

}  // namespace

/// The program but for its name.
int run_command_line(int argc, char** argv) {
    // probe has a positional form of its own, older than this program's options.
    if (argc >= 2 && std::string_view(argv[1]) == "probe") return run_probe(argc - 2, argv + 2);

    CLI::App app{description, "dnsdirector"};
    app.footer(examples);
    app.set_version_flag("--version", version);
    app.require_subcommand(1);

    Action action;
    const Program program{app, action, argc, argv};
    add_run(program);
    add_check_config(program);
    add_convert(program);
    add_also_notify(program);
    add_bgp(program);
    add_plan(program);
    add_reload(program);
    add_status(program);
    add_drain(program);
    add_withdraw(program);
    add_why(program);
    add_doctor(program);
    add_realserver(program);
    app.add_subcommand("probe", "Ask one server one DNS question and judge the answer");
    add_reference(program);

    const auto is_named = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
    if (argc >= 2 && argv[1][0] != '-' &&
        app.get_subcommands(std::function<bool(CLI::App*)>(is_named)).empty()) {
        fmt::print(stderr, "dnsdirector: no command '{}'; `dnsdirector --help` lists them\n",
                   argv[1]);
        return failed;
    }

    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? ok : failed;
    }
    return action();
}

}  // namespace dnsdirector::cli

int main(int argc, char** argv) {
    return dnsdirector::cli::run_command_line(argc, argv);
}
