// SPDX-License-Identifier: Apache-2.0
#include "control/reexec.h"

#include <fcntl.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
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
    list.reserve(arguments.size() + 1);
    for (std::string& argument : arguments)
        list.push_back(argument.data());
    list.push_back(nullptr);
    return list;
}

bool configuration_accepted(const std::string& binary, const DirectorOptions& options) {
    std::vector<std::string> arguments = {binary, "check-config", "-f", options.config_path};
    if (!options.config_id.empty()) arguments.insert(arguments.end(), {"-i", options.config_id});
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

}  // namespace

std::thread check_then(const DirectorOptions& options, std::function<void(bool)> done) {
    return std::thread([options, done = std::move(done)] {
        const std::string binary = own_path();
        const bool accepted = configuration_accepted(binary, options);
        if (!accepted)
            spdlog::error("USR2: {} does not accept {}; the running program stays", binary,
                          options.config_path);
        done(accepted);
    });
}

void reexec(const DirectorOptions& options, int kept,
            const std::optional<dataplane::KeptOverExec>& of_plane) {
    const std::string binary = own_path();
    std::vector<std::string> arguments = options.arguments;
    spdlog::info("USR2: re-executing {}", binary);
    // A signal between exec and the new program's handlers must not end it.
    // Scripts that end with us are nobody's children then: the kernel reaps them.
    constexpr int ignored_over_exec[] = {SIGHUP, SIGUSR2, SIGCHLD};
    struct sigaction before[std::size(ignored_over_exec)];
    struct sigaction ignore{};
    ignore.sa_handler = SIG_IGN;
    for (std::size_t i = 0; i < std::size(ignored_over_exec); ++i)
        sigaction(ignored_over_exec[i], &ignore, &before[i]);
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);  // not closed yet: should exec fail, we go on
    if (kept >= 0) {
        (void)fcntl(kept, F_SETFD, 0);
        setenv(kept_descriptor_variable, std::to_string(kept).c_str(), /*overwrite=*/1);
    }
    if (of_plane) {
        for (const int descriptor : of_plane->others)
            (void)fcntl(descriptor, F_SETFD, 0);
        (void)fcntl(of_plane->descriptor, F_SETFD, 0);
        setenv(of_plane->variable, std::to_string(of_plane->descriptor).c_str(), /*overwrite=*/1);
    }
    execv(binary.c_str(), pointers(arguments).data());
    spdlog::error("USR2: cannot execute {}: {}; the old program goes on", binary,
                  std::strerror(errno));
    unsetenv(kept_descriptor_variable);
    if (kept >= 0) (void)fcntl(kept, F_SETFD, FD_CLOEXEC);
    if (of_plane) {
        unsetenv(of_plane->variable);
        close(of_plane->descriptor);
        for (const int descriptor : of_plane->others)
            (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    }
    for (std::size_t i = 0; i < std::size(ignored_over_exec); ++i)
        sigaction(ignored_over_exec[i], &before[i], nullptr);
}

}  // namespace dnsdirector::control
