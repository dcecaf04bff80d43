// SPDX-License-Identifier: Apache-2.0
#include "realserver/settings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>

#include "realserver/actual.h"

namespace dnsdirector::realserver {

std::optional<std::string> read_setting(const std::string& root, const std::string& path) {
    std::ifstream file{root + "/" + path};
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    return line;
}

Result<void> write_setting(const std::string& root, const std::string& path,
                           const std::string& value) {
    const std::string what = fmt::format("cannot set {} to {}", sysctl_name(path), value);
    const int file = open((root + "/" + path).c_str(), O_WRONLY | O_CLOEXEC);
    if (file < 0) {
        if (errno == EROFS)
            return fail(
                "{}: {} is mounted read-only (in a container?); mount it to be written to, or set "
                "this where it can be set",
                what, root);
        return fail_errno(what, errno);
    }
    // In one piece: the kernel takes each write for a whole value.
    const ssize_t written = write(file, value.data(), value.size());
    const int error = errno;
    close(file);
    if (written != static_cast<ssize_t>(value.size())) return fail_errno(what, error);
    return {};
}

}  // namespace dnsdirector::realserver
