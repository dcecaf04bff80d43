// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"
#include "cli/screen.h"

namespace dnsdirector::cli {
namespace {

using nlohmann::json;

void print_check(const json& check, const std::string& now) {
    fmt::print("    check {}: {}", text_of(check, "what"), text_of(check, "state"));
    const auto last = check.find("last");
    if (last == check.end() || !last->is_object()) {
        fmt::print(", no verdict yet\n");
        return;
    }
    fmt::print(", last verdict {} ago: {}", age(text_of(*last, "at"), now),
               text_of(*last, "result"));
    if (const auto rtt = last->value("rtt_us", std::int64_t{0}); rtt > 0)
        fmt::print(" after {}", short_rtt(rtt));
    fmt::print("\n");
}

void print_server(const json& service, const json& server, const std::string& now) {
    const std::string cluster = text_of(service, "cluster");
    const std::string name = text_of(server, "name");
    const std::string address = endpoint_of(server);
    fmt::print("{}{} in {}/{}{}\n", name == address ? "" : name + " ", address,
               endpoint_of(service), text_of(service, "protocol"),
               cluster.empty() ? "" : " (" + cluster + ")");
    const std::string reason = text_of(server, "reason");
    fmt::print("    {}{}{}{} for {}; weight {} of {}\n", text_of(server, "state"),
               server.value("held", false) ? ", held" : "", reason.empty() ? "" : ": ", reason,
               age(text_of(server, "since"), now), server.value("effective_weight", 0),
               server.value("weight", 0));
    for (const json& check : server.value("checks", json::array()))
        print_check(check, now);
}

}  // namespace

void add_why(Program program) {
    auto* command =
        program.app.add_subcommand("why", "Why a real server is in or out, with its last verdicts");
    auto run_dir = std::make_shared<std::string>();
    auto target = std::make_shared<std::string>();
    add_run_dir(*command, *run_dir);
    command->add_option("target", *target, "[CLUSTER/]NAME or ADDRESS[:PORT][/udp|/tcp]")
        ->required();
    command->footer(
        "Exit status: 0, 1 unknown target, 3 no director.\n"
        "\n"
        "  dnsdirector why ns2\n"
        "  dnsdirector why 203.0.113.12/tcp");
    command->callback([program, run_dir, target] {
        program.action = [run_dir, target]() -> int {
            const ApiAnswer answer =
                call_api(*run_dir, "POST", "/v1/why", json{{"target", *target}});
            if (const int status = print_errors(answer, *run_dir); status != ok) return status;
            const std::string now = text_of(answer.body, "at");
            for (const json& service : answer.body.value("services", json::array()))
                for (const json& server : service.value("real_servers", json::array()))
                    print_server(service, server, now);
            return ok;
        };
    });
}

}  // namespace dnsdirector::cli
