// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace dnsdirector::realserver {

struct ProgramOutput {
    int status = 0;  ///< as a shell has it: 128 and the signal's number when one ended it
    std::string out;
    std::string err;
};

/// Runs a program of the system in the calling thread's network namespace, with messages in
/// English, and waits for its end. `arguments[0]` is looked for in PATH, then in /usr/sbin, where
/// users' paths do not lead. When `limit` has passed it is killed, which is an error, as it is
/// when there is no such program.
[[nodiscard]] Result<ProgramOutput> run_program(const std::vector<std::string>& arguments,
                                                const std::string& input, Nanoseconds limit);

}  // namespace dnsdirector::realserver
