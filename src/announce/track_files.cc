// SPDX-License-Identifier: Apache-2.0
#include "announce/track_files.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>

namespace dnsdirector::announce {
namespace {

constexpr const char* everything = "all";

}  // namespace

int track_value(core::AnnouncementState state) {
    return -60 * static_cast<int>(state);
}

std::map<IpAddress, core::AnnouncementState> TrackFiles::read() const {
    std::map<IpAddress, core::AnnouncementState> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored)) {
        const auto service_ip = IpAddress::parse(entry.path().filename().string());
        if (!service_ip) continue;
        std::ifstream file(entry.path());
        int value = 1;
        file >> value;
        for (const auto state :
             {core::AnnouncementState::announced, core::AnnouncementState::degraded,
              core::AnnouncementState::draining, core::AnnouncementState::withdrawn})
            if (file && value == track_value(state)) found.emplace(*service_ip, state);
    }
    return found;
}

bool TrackFiles::lost() {
    // keepalived takes a file that is gone for one that says 0: all is well.
    return std::erase_if(written_, [&](const auto& each) {
               std::error_code ignored;
               return !std::filesystem::exists(directory_ + "/" + each.first, ignored);
           }) > 0;
}

Result<void> TrackFiles::hold(const std::map<IpAddress, core::AnnouncementState>& states) {
    std::map<std::string, int> wished;
    int worst = 0;
    for (const auto& [service_ip, state] : states) {
        const int value = track_value(state);
        wished[service_ip.to_string()] = value;
        worst = std::min(worst, value);
    }
    if (!wished.empty()) wished[everything] = worst;
    if (wished == written_) return {};
    std::error_code error;
    std::filesystem::create_directories(directory_, error);
    if (error) return fail_errno("cannot make the directory " + directory_, error.value());
    std::optional<Error> first;
    for (const auto& [name, value] : wished) {
        const auto before = written_.find(name);
        if (before != written_.end() && before->second == value) continue;
        if (const auto done = write(name, value); done)
            written_[name] = value;
        else if (!first)
            first = done.error();
    }
    std::erase_if(written_, [&](const auto& each) { return !wished.contains(each.first); });
    remove_others();
    if (first) return tl::unexpected{std::move(*first)};
    return {};
}

Result<void> TrackFiles::write(const std::string& name, int value) {
    const std::string path = directory_ + "/" + name;
    // Beside the files that are followed, so that nobody reads one that is half written.
    const std::string temporary = directory_ + "/." + name;
    std::ofstream file(temporary, std::ios::trunc);
    file << value << '\n';
    file.close();
    if (!file) return fail_errno("cannot write " + temporary, errno);
    std::error_code error;
    std::filesystem::rename(temporary, path, error);
    if (error) return fail_errno("cannot rename " + temporary + " to " + path, error.value());
    return {};
}

void TrackFiles::remove_others() const {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, ignored))
        if (!written_.contains(entry.path().filename().string()))
            std::filesystem::remove(entry.path(), ignored);
}

void TrackFiles::remove() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
    written_.clear();
}

}  // namespace dnsdirector::announce
