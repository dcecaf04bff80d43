// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cli/cli.h"

namespace dnsdirector::cli {

struct ApiAnswer {
    bool reached = false;    ///< false: no director answers there
    bool denied = false;     ///< not for this user
    bool connected = false;  ///< somebody listens, even where no answer came
    int status = 0;          ///< HTTP status
    std::string text;        ///< the body as it came
    nlohmann::json body;
    std::string error;  ///< why it was not reached
};

/// One request to the director of this run directory; waits 15 s at most.
[[nodiscard]] ApiAnswer call_api(const std::string& run_dir, const std::string& method,
                                 const std::string& path, const nlohmann::json& body = {});

/// Prints why the answer is no success, to standard error. Returns the exit
/// status: no_director or failed; ok when there is nothing to print.
int print_errors(const ApiAnswer& answer, const std::string& run_dir);

/// --run-dir with its default.
void add_run_dir(CLI::App& command, std::string& run_dir);

}  // namespace dnsdirector::cli
