// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace dnsdirector::support {

/// A program that a test starts, in the thread's network namespace: ended with
/// the object, gently by the end of its standard input, else by force.
class Child {
public:
    explicit Child(std::vector<std::string> arguments);
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    [[nodiscard]] bool started() const { return pid_ > 0; }
    /// The next line of its standard output without its end; "" when none comes.
    std::string read_line(std::chrono::milliseconds at_most = std::chrono::seconds{10});

private:
    pid_t pid_ = -1;
    int input_ = -1, output_ = -1;
};

}  // namespace dnsdirector::support
