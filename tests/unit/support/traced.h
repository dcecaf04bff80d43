// SPDX-License-Identifier: Apache-2.0
//
// A program run step by step, a step being a system call that changes something
// which outlives it: a BPF map, pin or link, a file's name. It can be killed at any
// of them, which is how tests see what each leaves behind.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace dnsdirector::support {

struct TracedRun {
    std::vector<std::string> steps;  ///< what was about to happen: "BPF_OBJ_PIN", "rename"
    bool killed = false;
    int status = 0;      ///< exit status, where it was not killed
    std::string output;  ///< standard output and error
};

/// Runs the program to its end, or kills it when it is about to make its step
/// `kill_at` (from 1; 0: none). `at_step` is called at each while it stands still.
[[nodiscard]] TracedRun run_traced(const std::vector<std::string>& command,
                                   const std::string& input, std::size_t kill_at = 0,
                                   const std::function<void()>& at_step = {});

/// Of the steps that a program could be killed at (from 1), those that this run has time for:
/// all where DNSDIRECTOR_LONG is 1, else `ordinary` of them, spread evenly. A build with
/// sanitizers takes those half way between, so that scripts/test sees twice as many.
[[nodiscard]] std::vector<std::size_t> for_this_run(const std::vector<std::size_t>& steps,
                                                    std::size_t ordinary);

}  // namespace dnsdirector::support
