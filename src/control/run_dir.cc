// SPDX-License-Identifier: Apache-2.0
#include "control/run_dir.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace dnsdirector::control {

Result<bool> RunDir::make(const std::string& path) {
    constexpr mode_t mode = 0755;
    std::error_code error;
    std::filesystem::path parent = std::filesystem::path(path).parent_path();
    if (path.ends_with('/')) parent = parent.parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, error);
    // Not create_directories for the last one: with an umask of 0 it would be
    // everybody's for a moment.
    if (!error && mkdir(path.c_str(), mode) != 0) {
        if (errno == EEXIST && std::filesystem::is_directory(path)) return false;
        error.assign(errno, std::generic_category());
    }
    if (!error && chmod(path.c_str(), mode) != 0) error.assign(errno, std::generic_category());
    if (error) return fail_errno("cannot make the run directory " + path, error.value());
    return true;
}

Result<RunDir> RunDir::open(const std::string& path) {
    const auto made = make(path);
    if (!made) return tl::unexpected(made.error());
    struct stat found{};
    if (stat(path.c_str(), &found) == 0 && (found.st_mode & S_IWOTH) != 0 &&
        (found.st_mode & S_ISVTX) == 0)
        spdlog::warn(
            "everybody may write to the run directory {} (mode {:04o}), and so replace the API's "
            "socket and the saved drains; chmod 0755 {}",
            path, found.st_mode & 07777U, path);
    // In /tmp anybody may have been there first.
    if (found.st_uid != geteuid() && found.st_uid != 0)
        return fail(
            "the run directory {} belongs to another user (number {}); choose another one with "
            "--run-dir",
            path, found.st_uid);
    const std::string lock_path = path + "/lock";
    const int lock = ::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock < 0) return fail_errno("cannot open " + lock_path, errno);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        close(lock);
        return fail(
            "another director runs with the run directory {}; stop it, or choose another "
            "one with --run-dir (and --pin-dir)",
            path);
    }
    return RunDir(path, lock, *made);
}

RunDir::RunDir(std::string path, int lock, bool made)
    : path_(std::move(path)), lock_(lock), made_(made) {}

RunDir::RunDir(RunDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)), made_(other.made_) {}

RunDir::~RunDir() {
    if (lock_ >= 0) close(lock_);
}

void RunDir::clean() {
    unlink(file("lock").c_str());
    if (made_) rmdir(path_.c_str());  // fails while files are in it, as it should
}

}  // namespace dnsdirector::control
