// SPDX-License-Identifier: Apache-2.0
#include "announce/presence_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string_view>

namespace dnsdirector::announce {
namespace {

/// Closes on every way out.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_;
};

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = write(fd, text.data(), text.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

PresenceFile read_presence_file(const std::string& path) {
    PresenceFile result;
    std::ifstream file{path};
    if (!file) {
        if (errno != ENOENT)
            result.complaints.push_back(
                system_error(fmt::format("cannot read {}: addresses that an earlier run added are "
                                         "now taken for somebody else's",
                                         path),
                             errno)
                    .message);
        return result;
    }
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        const auto space = line.find(' ');
        const auto address = space == std::string::npos || space == 0
                                 ? std::nullopt
                                 : IpAddress::parse(std::string_view{line}.substr(space + 1));
        if (address)
            result.own.emplace(line.substr(0, space), *address);
        else
            result.complaints.push_back(
                fmt::format("{}:{}: ignored; a line is \"INTERFACE ADDRESS\"", path, number));
    }
    return result;
}

Result<void> write_presence_file(const std::string& path,
                                 const std::set<std::pair<std::string, IpAddress>>& own) {
    std::string text;
    for (const auto& [interface, address] : own)
        text += interface + " " + address.to_string() + "\n";

    const std::string temporary = path + ".new";
    const auto failed = [&](const char* what) {
        const int error = errno;
        unlink(temporary.c_str());
        return fail_errno(fmt::format("cannot {} {}", what, temporary), error);
    };
    {
        const Descriptor file{
            open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
        if (file.get() < 0) return failed("create");
        // No fsync: the file must outlive the process, not the machine, and the
        // addresses do not outlive the machine either.
        if (!write_all(file.get(), text)) return failed("write");
    }
    if (rename(temporary.c_str(), path.c_str()) < 0) return failed("rename into place");
    return {};
}

Result<void> remove_presence_file(const std::string& path) {
    if (unlink(path.c_str()) < 0 && errno != ENOENT)
        return fail_errno(fmt::format("cannot remove {}", path), errno);
    return {};
}

}  // namespace dnsdirector::announce
