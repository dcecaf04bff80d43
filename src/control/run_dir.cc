// SPDX-License-Identifier: Apache-2.0
#include "control/run_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

namespace dnsdirector::control {

Result<RunDir> RunDir::open(const std::string& path) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(path, error);
    if (error) return fail_errno("cannot make the run directory " + path, error.value());
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
    return RunDir(path, lock, made);
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
