// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>

#include "cli/client.h"
#include "cli/screen.h"

namespace dnsdirector::cli {

void add_status(Program program) {
    auto* command = program.app.add_subcommand(
        "status", "Services, real servers, checks and counters of the running director");
    auto run_dir = std::make_shared<std::string>();
    auto json = std::make_shared<bool>(false);
    add_run_dir(*command, *run_dir);
    command->add_flag("--json", *json, "For programs");
    command->footer(
        "Exit status: 0, or 3 when no director answers.\n"
        "\n"
        "  dnsdirector status\n"
        "  watch --color -n1 'CLICOLOR_FORCE=1 dnsdirector status'\n"
        "  dnsdirector status --json | jq '.services[].real_servers[] | select(.state!=\"up\")'");
    command->callback([program, run_dir, json] {
        program.action = [run_dir, json]() -> int {
            const ApiAnswer answer = call_api(*run_dir, "GET", "/v1/status");
            if (const int status = print_errors(answer, *run_dir); status != ok) return status;
            const bool colour = std::getenv("CLICOLOR_FORCE") != nullptr ||
                                (isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr);
            if (*json)  // ordered: the keys stand as the director wrote them
                fmt::print("{}\n", nlohmann::ordered_json::parse(answer.text).dump(2));
            else
                fmt::print("{}", render_status(answer.body, colour));
            return ok;
        };
    });
}

}  // namespace dnsdirector::cli
