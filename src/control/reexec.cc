// SPDX-License-Identifier: Apache-2.0
#include "control/reexec.h"

#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <thread>

namespace dnsdirector::control {
namespace {

/// The file that we were started from; after an upgrade the new one lies there.
std::string own_path() {
    std::error_code error;
    std::string path = std::filesystem::read_symlink("/proc/self/exe", error).string();
    constexpr std::string_view deleted = " (deleted)";
    if (path.ends_with(deleted)) path.resize(path.size() - deleted.size());
    return path;
}

std::vector<char*> pointers(std::vector<std::string>& arguments) {
    std::vector<char*> list;
    for (std::string& argument : arguments)
        list.push_back(argument.data());
    list.push_back(nullptr);
    return list;
}

bool configuration_accepted(const std::string& binary, const std::string& config_path) {
    std::vector<std::string> arguments = {binary, "check-config", "-f", config_path};
    pid_t child = 0;
    if (const int error = posix_spawn(&child, binary.c_str(), nullptr, nullptr,
                                      pointers(arguments).data(), environ);
        error != 0) {
        spdlog::error("USR2: cannot run {}: {}", binary, std::strerror(error));
        return false;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void become(const std::string& binary, std::vector<std::string> arguments) {
    spdlog::info("USR2: re-executing {}", binary);
    // A signal between exec and the new program's handlers must not end it.
    for (const int number : {SIGHUP, SIGUSR2})
        std::signal(number, SIG_IGN);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // not closed yet: should exec fail, we go on
    execv(binary.c_str(), pointers(arguments).data());
    spdlog::error("USR2: cannot execute {}: {}; the old program goes on", binary,
                  std::strerror(errno));
}

}  // namespace

void check_then_reexec(const DirectorOptions& options,
                       std::function<void(std::function<void()>)> post_to_loop) {
    std::thread([options, post_to_loop = std::move(post_to_loop)] {
        const std::string binary = own_path();
        if (!configuration_accepted(binary, options.config_path)) {
            spdlog::error("USR2: {} does not accept {}; the running program stays", binary,
                          options.config_path);
            return;
        }
        post_to_loop([binary, arguments = options.arguments] { become(binary, arguments); });
    }).detach();
}

}  // namespace dnsdirector::control
