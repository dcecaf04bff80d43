// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/pin_dir.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace dnsdirector::dataplane::xdp {

Result<void> make_pin_dir(const std::string& path) {
    namespace fs = std::filesystem;
    std::error_code error;
    // The nearest directory that is there says what file system it would be.
    fs::path there = fs::absolute(path, error);
    while (!fs::exists(there, error) && there.has_relative_path())
        there = there.parent_path();
    struct statfs system{};
    if (statfs(there.c_str(), &system) != 0)
        return fail_errno("cannot look at the pin directory " + there.string(), errno);
    if (system.f_type != BPF_FS_MAGIC)
        return fail(
            "the pin directory {} does not lie on a BPF file system, where the tables outlive the "
            "daemon; mount one: mount -t bpf bpf {}",
            path, path.rfind("/sys/fs/bpf", 0) == 0 ? "/sys/fs/bpf" : there.string());
    fs::path made;
    for (const fs::path& part : fs::absolute(path, error)) {
        made /= part;
        if (mkdir(made.c_str(), 0700) != 0 && errno != EEXIST)
            return fail_errno("cannot make the pin directory " + made.string(), errno);
    }
    return {};
}

void remove_pin_dir(const std::string& path) {
    // Not empty, or a mount point: then it is not ours to remove.
    (void)rmdir(path.c_str());
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
        names.push_back(entry.path().filename().string());
    return names;
}

}  // namespace dnsdirector::dataplane::xdp
