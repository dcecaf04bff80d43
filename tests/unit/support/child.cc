// SPDX-License-Identifier: Apache-2.0
#include "unit/support/child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "unit/support/wait.h"

namespace dnsdirector::support {

Child::Child(std::vector<std::string> arguments) {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0 || pipe2(from_child, O_CLOEXEC) != 0) return;
    std::vector<char*> words;
    words.reserve(arguments.size() + 1);
    for (std::string& argument : arguments)
        words.push_back(argument.data());
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, to_child[0], 0);
    posix_spawn_file_actions_adddup2(&actions, from_child[1], 1);
    if (posix_spawn(&pid_, words[0], &actions, nullptr, words.data(), environ) != 0) pid_ = -1;
    posix_spawn_file_actions_destroy(&actions);
    close(to_child[0]);
    close(from_child[1]);
    input_ = to_child[1];
    output_ = from_child[0];
}

Child::~Child() {
    close(input_);
    close(output_);
    if (pid_ < 0) return;
    const auto ended = [this] { return waitpid(pid_, nullptr, WNOHANG) == pid_; };
    if (eventually(ended, std::chrono::seconds{3})) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
}

std::string Child::read_line(std::chrono::milliseconds at_most) {
    using Clock = std::chrono::steady_clock;
    const auto until = Clock::now() + at_most;
    std::string line;
    while (true) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
        pollfd one{output_, POLLIN, 0};
        char character = 0;
        if (left <= 0 || poll(&one, 1, static_cast<int>(left)) != 1 ||
            read(output_, &character, 1) != 1)
            return {};
        if (character == '\n') return line;
        line += character;
    }
}

}  // namespace dnsdirector::support
