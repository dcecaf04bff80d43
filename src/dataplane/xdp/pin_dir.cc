// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/pin_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "dataplane/xdp/survey.h"

namespace dnsdirector::dataplane::xdp {

Result<void> make_pin_dir(const std::string& path) {
    namespace fs = std::filesystem;
    const auto place = pin_place(path);
    if (!place) return tl::unexpected(place.error());
    if (!place->bpffs)
        return fail(
            "the pin directory {} does not lie on a BPF file system, where the tables outlive the "
            "daemon; mount one: mount -t bpf bpf {}",
            path, path.starts_with("/sys/fs/bpf") ? "/sys/fs/bpf" : place->nearest);
    std::error_code error;
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

bool is_there(const std::string& path) {
    return access(path.c_str(), F_OK) == 0;
}

std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(path, error))
        names.push_back(entry.path().filename().string());
    return names;
}

bool holds_links(const std::string& path) {
    const std::vector<std::string> names = names_in(path);
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with(link_prefix); });
}

std::uint32_t layout_of_pins(const std::string& path) {
    const std::string name = path.substr(path.rfind('/') + 1);
    std::uint32_t layout = 0;
    const char* end = name.data() + name.size();
    if (!name.starts_with('v')) return 0;
    const auto [rest, error] = std::from_chars(name.data() + 1, end, layout);
    return error == std::errc{} && rest == end ? layout : 0;
}

std::vector<std::string> sets_of_pins(const std::string& pin_dir) {
    std::vector<std::string> sets;
    for (const std::string& name : names_in(pin_dir))
        if (layout_of_pins(name) != 0) sets.push_back(fmt::format("{}/{}", pin_dir, name));
    std::sort(sets.begin(), sets.end(), [](const std::string& left, const std::string& right) {
        return layout_of_pins(left) < layout_of_pins(right);
    });
    return sets;
}

Result<void> remove_set_of_pins(const std::string& path) {
    std::vector<std::string> names = names_in(path);
    std::erase_if(names, [](const std::string& name) { return name.starts_with(link_prefix); });
    std::stable_partition(names.begin(), names.end(),
                          [](const std::string& name) { return name == "layout"; });
    for (const std::string& name : names)
        if (const auto pin = fmt::format("{}/{}", path, name);
            unlink(pin.c_str()) != 0 && errno != ENOENT)
            return fail_errno("cannot remove the pinned BPF map " + pin, errno);
    remove_pin_dir(path);
    return {};
}

Result<PinLock> PinLock::take(const std::string& path) {
    // A director that ends removes the directory: what was opened may be no more
    // what the path names when the lock is had.
    for (int attempt = 0; attempt < 10; ++attempt) {
        if (auto made = make_pin_dir(path); !made) return tl::unexpected(made.error());
        PinLock lock;
        lock.directory_ = Fd{open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!lock.directory_) {
            if (errno == ENOENT) continue;
            return fail_errno("cannot open the pin directory " + path, errno);
        }
        if (flock(lock.directory_.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK)
                return fail(
                    "another director uses the pin directory {}; give this one its own "
                    "--pin-dir, or stop that one",
                    path);
            return fail_errno("cannot lock the pin directory " + path, errno);
        }
        if (lock.holds(path)) return lock;
    }
    return fail("the pin directory {} is removed again and again by somebody", path);
}

bool PinLock::holds(const std::string& path) const {
    struct stat locked{};
    struct stat named{};
    return directory_ && fstat(directory_.get(), &locked) == 0 && stat(path.c_str(), &named) == 0 &&
           locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

}  // namespace dnsdirector::dataplane::xdp
