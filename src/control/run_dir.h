// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"

namespace dnsdirector::control {

/// The run directory, made if need be and locked (flock) against a second
/// director. Its files: api.sock, overrides.json, addresses, lock.
class RunDir {
public:
    static Result<RunDir> open(const std::string& path);
    /// Makes it where it is missing, with mode 0755 whatever the umask says:
    /// its socket has a mode of its own. Returns whether it was missing.
    static Result<bool> make(const std::string& path);
    RunDir(RunDir&& other) noexcept;
    RunDir& operator=(RunDir&&) = delete;
    ~RunDir();  ///< lets the lock go; files stay

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string file(const std::string& name) const { return path_ + "/" + name; }
    /// After a clean stop: removes the lock file, and the directory if it is
    /// empty then and was made here.
    void clean();

private:
    RunDir(std::string path, int lock, bool made);

    std::string path_;
    int lock_ = -1;
    bool made_ = false;
};

}  // namespace dnsdirector::control
