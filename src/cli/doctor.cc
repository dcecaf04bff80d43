// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"
#include "cli/finding_text.h"
#include "config/findings.h"
#include "doctor/judges.h"

namespace dnsdirector::cli {
namespace {

struct DoctorOptions {
    std::string path;  ///< "": the machine alone
    std::string config_id;
    std::string run_dir = default_run_dir;
    std::string pin_dir = default_pin_dir;
    FindingStyle style;
};

/// Errors as findings of their own. Warnings are about the file, not the machine: check-config's.
doctor::Findings of_file(const config::Loaded& loaded, const std::string& path) {
    doctor::Findings findings;
    const std::string check = "dnsdirector check-config -f " + path;
    for (const config::Message& message : loaded.messages) {
        if (message.severity != config::Severity::error) continue;
        const std::string place =
            message.line == 0 ? message.file
                              : fmt::format("{}:{}:{}", message.file, message.line, message.column);
        findings.push_back({doctor::Level::fail, "file", place, message.text, check});
    }
    if (!findings.empty()) return findings;
    const auto warnings = loaded.messages.size();
    findings.push_back({doctor::Level::ok, "file", path,
                        warnings == 0
                            ? "is right"
                            : fmt::format("is right, with {} warnings: {}", warnings, check),
                        ""});
    return findings;
}

int run_doctor(const DoctorOptions& options) {
    doctor::Findings findings;
    const core::Configuration* configuration = nullptr;
    config::Loaded loaded;
    if (!options.path.empty()) {
        loaded = config::examine(options.path, options.config_id);
        findings = of_file(loaded, options.path);
        if (loaded.ok()) configuration = &*loaded.configuration;
    }
    const bool answers = call_api(options.run_dir, "GET", "/v1/status").reached;
    const auto machine =
        doctor::read_machine(configuration, {options.run_dir, options.pin_dir, answers});
    if (!machine) {
        fmt::print(stderr, "dnsdirector: {}\n", machine.error().message);
        return failed;
    }
    for (doctor::Finding& finding : doctor::judge(configuration, *machine))
        findings.push_back(std::move(finding));
    print_findings(findings, options.style);
    return doctor::any_trouble(findings) ? failed : ok;
}

}  // namespace

void add_doctor(Program program) {
    auto* command = program.app.add_subcommand(
        "doctor", "What on this machine stands in the way, each with its mend");
    auto options = std::make_shared<DoctorOptions>();
    command->add_option("-f,--file", options->path,
                        "Configuration; without it the machine alone is looked at");
    add_config_id(*command, options->config_id);
    add_run_dir(*command, options->run_dir);
    command->add_option("--pin-dir", options->pin_dir, "Pinned maps and links, on a bpffs")
        ->capture_default_str();
    command->add_flag("--json", options->style.json, "For monitoring");
    command->add_flag("-q,--quiet", options->style.quiet, "Only what is to be done");
    command->footer(
        "A line each: ok, warn (works, but not as well as it could), fail (does not work), or\n"
        "unknown (could not be looked at; as root it sees more). It changes nothing.\n"
        "Exit status: 0 nothing to be done (unknown does not count), 1 findings.\n"
        "\n"
        "  sudo dnsdirector doctor -f resolvers.conf\n"
        "  sudo dnsdirector doctor -f resolvers.conf --json | jq '.findings[] | "
        "select(.level==\"fail\")'");
    command->callback(
        [program, options] { program.action = [options] { return run_doctor(*options); }; });
}

}  // namespace dnsdirector::cli
