// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

namespace dnsdirector::cli {
namespace {

struct DrainOptions {
    std::string run_dir;
    std::string target;
    bool all = false;
};

constexpr const char* target_help =
    "A drained server gets no new query. Its open TCP connections stay with it until they end.\n"
    "\n"
    "TARGET is [CLUSTER/]NAME or ADDRESS[:PORT][/udp|/tcp], IPv6 in brackets; every match in all\n"
    "clusters, families and protocols is meant, and listed. Kept over restarts.\n"
    "Exit status: 0 done, 1 unknown target, 3 no director.\n"
    "\n"
    "  dnsdirector drain ns1                     everywhere\n"
    "  dnsdirector drain resolvers/ns1           in one cluster\n"
    "  dnsdirector drain 203.0.113.11/udp        one address, one protocol\n"
    "  dnsdirector drain '[2001:db8:1::1]:53'\n"
    "  dnsdirector undrain ns1                   back to work";

int send(const DrainOptions& options, const std::string& verb) {
    const nlohmann::json body =
        options.all ? nlohmann::json{{"all", true}} : nlohmann::json{{"target", options.target}};
    const ApiAnswer answer = call_api(options.run_dir, "POST", "/v1/" + verb, body);
    if (const int status = print_errors(answer, options.run_dir); status != ok) return status;
    for (const auto& match : answer.body.value("matches", nlohmann::json::array()))
        fmt::print("{}ed: {}\n", verb, match.get<std::string>());
    for (const auto& warning : answer.body.value("warnings", nlohmann::json::array()))
        fmt::print(stderr, "warning: {}\n", warning.get<std::string>());
    if (options.all) fmt::print("{}ed: this director\n", verb);
    return ok;
}

void add(Program program, const std::string& verb, const std::string& help) {
    auto* command = program.app.add_subcommand(verb, help);
    auto options = std::make_shared<DrainOptions>();
    add_run_dir(*command, options->run_dir);
    auto* target = command->add_option("target", options->target, "A real server, see below");
    auto* all = command->add_flag("--all", options->all, "The director itself");
    target->excludes(all);
    command->footer(target_help);
    command->callback([program, options, verb] {
        if (!options->all && options->target.empty()) throw CLI::RequiredError("a TARGET or --all");
        program.action = [options, verb] { return send(*options, verb); };
    });
}

}  // namespace

void add_drain(Program program) {
    add(program, "drain", "No new work for a real server");
    add(program, "undrain", "A drained real server works again");
}

}  // namespace dnsdirector::cli
