// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "cli/finding_text.h"
#include "cli/realserver.h"
#include "realserver/examination.h"

namespace dnsdirector::cli {
namespace {

struct RealServerCheckOptions {
    std::string path = default_config;
    std::string config_id;
    std::string run_dir = default_run_dir;
    FindingStyle style;
};

/// The command that mends what is `up`'s.
std::string up_command(const RealServerCheckOptions& options) {
    std::string command = "dnsdirector realserver up -f " + options.path;
    if (!options.config_id.empty()) command += " -i " + options.config_id;
    if (options.run_dir != default_run_dir) command += " --run-dir " + options.run_dir;
    return command;
}

int check_realserver(const RealServerCheckOptions& options) {
    const auto file = read_machine_file(options.path, options.config_id);
    if (!file) return failed;
    const auto machine = realserver::open_machine();
    if (!machine) {
        fmt::print(stderr, "dnsdirector: {}\n", machine.error().message);
        return failed;
    }
    realserver::Examination examination;
    examination.order = file->order;
    examination.up = up_command(options);
    examination.privileged = may_administer();
    const auto examined = realserver::examine(
        examination, realserver::questions_of(file->configuration), options.run_dir, **machine);
    if (!examined) {
        fmt::print(stderr, "dnsdirector: {}\n", examined.error().message);
        return failed;
    }
    const core::Findings findings = realserver::judge(examination);
    print_findings(findings, options.style);
    return core::any_trouble(findings) ? failed : ok;
}

}  // namespace

void add_realserver_check(const Program& program, CLI::App& realserver) {
    auto* command = realserver.add_subcommand(
        "check", "Whether this machine is the real server that the file says");
    auto options = std::make_shared<RealServerCheckOptions>();
    command->add_option("-f,--file", options->path, "Configuration")->capture_default_str();
    add_config_id(*command, options->config_id);
    command
        ->add_option("--run-dir", options->run_dir, "Holds realserver.json: what `up` has changed")
        ->capture_default_str();
    command->add_flag("--json", options->style.json, "For monitoring");
    command->add_flag("-q,--quiet", options->style.quiet, "Only what is to be done");
    command->footer(
        "A line for each piece: ok, warn (works, but not in every case), fail (does not work), or\n"
        "unknown (cannot be seen from here; as root it sees more), and the command that mends it.\n"
        "The DNS processes are asked as a client would ask them. It changes nothing.\n"
        "Exit status: 0 nothing to be done (unknown does not count), 1 findings.\n"
        "\n"
        "  sudo dnsdirector realserver check -f realserver.conf\n"
        "  sudo dnsdirector realserver check -f realserver.conf --json | jq '.findings[] | "
        "select(.level==\"fail\")'");
    command->callback(
        [program, options] { program.action = [options] { return check_realserver(*options); }; });
}

}  // namespace dnsdirector::cli
