// SPDX-License-Identifier: Apache-2.0
#include "config/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace dnsdirector::config {
namespace {

/// Far above any configuration: what is larger was named by mistake.
constexpr std::size_t largest_file = std::size_t{64} << 20;

class Descriptor {
public:
    explicit Descriptor(int value) : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return value_; }

private:
    int value_;
};

Result<std::string> read_file(const std::string& path) {
    // Without O_NONBLOCK the open of a FIFO waits for a writer, and a reload with it.
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
    if (file.get() < 0) return fail_errno("cannot open " + path, errno);
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return fail_errno("cannot look at " + path, errno);
    if (!S_ISREG(status.st_mode))
        return fail("{} is not a regular file; name a configuration file", path);

    std::string text;
    char buffer[65536];
    for (;;) {
        const ssize_t length = ::read(file.get(), buffer, sizeof buffer);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return fail_errno("cannot read " + path, errno);
        if (length == 0) return text;
        text.append(buffer, static_cast<std::size_t>(length));
        if (text.size() > largest_file)
            return fail("{} is larger than {} MiB, which no configuration is", path,
                        largest_file >> 20);
    }
}

/// What a pattern may look at, so that one such as /*/*/*/* ends soon: far more
/// than a directory of configurations has.
constexpr std::size_t most_entries = 100000;
thread_local std::size_t entries_left = 0;  // glob(3) hands no context to its callbacks

dirent* next_entry(void* directory) {
    if (entries_left == 0) return nullptr;
    --entries_left;
    return ::readdir(static_cast<DIR*>(directory));
}

std::vector<std::string> expand(const std::string& pattern) {
    glob_t found{};
    found.gl_opendir = [](const char* path) -> void* {
        return entries_left == 0 ? nullptr : ::opendir(path);
    };
    found.gl_readdir = next_entry;
    found.gl_closedir = [](void* directory) { ::closedir(static_cast<DIR*>(directory)); };
    found.gl_stat = [](const char* path, struct stat* status) { return ::stat(path, status); };
    found.gl_lstat = [](const char* path, struct stat* status) { return ::lstat(path, status); };
    entries_left = most_entries;
    std::vector<std::string> paths;
    constexpr int flags = GLOB_MARK | GLOB_BRACE | GLOB_ALTDIRFUNC;
    if (::glob(pattern.c_str(), flags, nullptr, &found) == 0 && entries_left != 0) {
        for (std::size_t i = 0; i < found.gl_pathc; ++i) {
            std::string path = found.gl_pathv[i];
            if (!path.ends_with('/')) paths.push_back(std::move(path));  // directories are skipped
        }
    }
    ::globfree(&found);
    return paths;
}

std::string identity(const std::string& path) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                           &std::free);
    return real ? std::string(real.get()) : path;
}

/// As a person with another account could change it, it may not be run: whoever
/// writes the script of a check is its user (root, perhaps).
std::string judge_program(const std::string& path) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0)
        return errno == ENOENT ? "does not exist"
                               : std::string("cannot be looked at: ") + std::strerror(errno);
    if (!S_ISREG(status.st_mode)) return "is not a file that can be run";
    if ((status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
        return "is not executable; chmod +x it";
    if ((status.st_mode & S_IWOTH) != 0) return "may be written by everybody; chmod o-w it";
    std::string folder = identity(path);
    for (auto slash = folder.rfind('/'); slash != std::string::npos && slash != 0;
         slash = folder.rfind('/')) {
        folder.resize(slash);
        if (::stat(folder.c_str(), &status) == 0 && (status.st_mode & S_IWOTH) != 0 &&
            (status.st_mode & S_ISVTX) == 0)
            return "may be replaced by everybody, since they may write to " + folder;
    }
    return "";
}

std::string find_program(const std::string& name) {
    std::string_view folders = program_folders;
    while (!folders.empty()) {
        const std::size_t length = std::min(folders.find(':'), folders.size());
        const std::string path = std::string(folders.substr(0, length)) + '/' + name;
        folders.remove_prefix(std::min(length + 1, folders.size()));
        struct stat status{};
        if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
            (status.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) != 0)
            return path;
    }
    return {};
}

std::string judge_user(const std::string& name) {
    std::array<char, 16384> buffer;
    passwd entry{};
    passwd* found = nullptr;
    const int error = ::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (error != 0) return std::string("cannot be looked up: ") + std::strerror(error);
    return found == nullptr ? "is no user of this machine" : "";
}

/// The first part of the host name, as keepalived's default.
std::string machine_id() {
    utsname machine{};
    if (::uname(&machine) != 0) return {};
    const std::string_view name = machine.nodename;
    return std::string(name.substr(0, name.find('.')));
}

std::optional<std::string> environment(const std::string& name) {
    const char* value = ::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

}  // namespace

Files real_files(const std::string& config_id) {
    return {read_file,
            expand,
            identity,
            judge_program,
            find_program,
            judge_user,
            config_id.empty() ? machine_id() : config_id,
            environment};
}

}  // namespace dnsdirector::config
