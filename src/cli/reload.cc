// SPDX-License-Identifier: Apache-2.0
#include <filesystem>

#include "cli/client.h"

namespace dnsdirector::cli {
namespace {

void print_lines(const ApiAnswer& answer) {
    for (const auto& message : answer.body.value("messages", nlohmann::json::array()))
        fmt::print(stderr, "{}\n", message.get<std::string>());
    const auto changes_list = answer.body.value("changes", nlohmann::json::array());
    for (const auto& line : changes_list)
        fmt::print("{}\n", line.get<std::string>());
    if (changes_list.empty()) fmt::print("no changes\n");
}

}  // namespace

void add_reload(Program program) {
    auto* command = program.app.add_subcommand("reload", "The running director re-reads its file");
    auto run_dir = std::make_shared<std::string>();
    add_run_dir(*command, *run_dir);
    command->footer(
        "All or nothing: with an error in the file the old configuration stays in force.\n"
        "Exit status: 0 done, 1 refused, 3 no director.\n"
        "\n"
        "  dnsdirector plan -f /etc/dnsdirector/dnsdirector.conf && dnsdirector reload");
    command->callback([program, run_dir] {
        program.action = [run_dir]() -> int {
            const ApiAnswer answer = call_api(*run_dir, "POST", "/v1/reload");
            if (const int status = print_errors(answer, *run_dir); status != ok) return status;
            print_lines(answer);
            return ok;
        };
    });
}

void add_plan(Program program) {
    auto* command = program.app.add_subcommand(
        "plan", "What a reload with this file would change on the running director");
    auto run_dir = std::make_shared<std::string>();
    auto path = std::make_shared<std::string>(default_config);
    add_run_dir(*command, *run_dir);
    command->add_option("-f,--file", *path, "Configuration")->capture_default_str();
    auto config_id = std::make_shared<std::string>();
    add_config_id(*command, *config_id);
    command->footer(
        "One change a line; nothing is changed.\n"
        "Exit status: 0 no change, 2 changes, 1 error, 3 no director.\n"
        "\n"
        "  dnsdirector plan -f new.conf");
    command->callback([program, run_dir, path, config_id] {
        program.action = [run_dir, path, config_id]() -> int {
            std::error_code ignored;
            const std::string absolute = std::filesystem::absolute(*path, ignored).string();
            nlohmann::json request = {{"path", absolute}};
            if (!config_id->empty()) request["config_id"] = *config_id;
            const ApiAnswer answer = call_api(*run_dir, "POST", "/v1/plan", request);
            if (const int status = print_errors(answer, *run_dir); status != ok) return status;
            print_lines(answer);
            return answer.body.value("changes", nlohmann::json::array()).empty() ? ok : changes;
        };
    });
}

}  // namespace dnsdirector::cli
