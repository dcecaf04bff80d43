// SPDX-License-Identifier: Apache-2.0
#include "realserver/listeners.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "base/socket_table.h"

namespace dnsdirector::realserver {
namespace {

namespace fs = std::filesystem;

std::string whole_text(const std::string& path) {
    std::ifstream file{path};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

bool is_a_process(const fs::path& path) {
    const std::string name = path.filename().string();
    return !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
}

std::uint64_t inode_of(const std::string& link) {
    constexpr std::string_view head = "socket:[";
    std::uint64_t inode = 0;
    if (link.starts_with(head))
        std::from_chars(link.data() + head.size(), link.data() + link.size(), inode);
    return inode;
}

/// By the number of a socket, the program that has it; of several the first one found.
std::map<std::uint64_t, std::string> programs_of(const std::set<std::uint64_t>& inodes) {
    std::map<std::uint64_t, std::string> programs;
    std::error_code error;  // processes end while one looks, and others' are not shown
    for (const auto& process : fs::directory_iterator("/proc", error)) {
        if (!is_a_process(process.path())) continue;
        std::error_code unreadable;
        for (const auto& file : fs::directory_iterator(process.path() / "fd", unreadable)) {
            std::error_code gone;
            const std::uint64_t inode = inode_of(fs::read_symlink(file.path(), gone).string());
            if (!inodes.contains(inode) || programs.contains(inode)) continue;
            std::string name = whole_text((process.path() / "comm").string());
            while (!name.empty() && name.back() == '\n')
                name.pop_back();
            programs.emplace(inode, std::move(name));
        }
    }
    return programs;
}

}  // namespace

std::vector<Listener> read_listeners(const std::set<std::uint16_t>& ports) {
    std::vector<std::pair<Listener, std::uint64_t>> found;
    std::set<std::uint64_t> inodes;
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
        for (const char* version : {"", "6"}) {
            const std::string path =
                fmt::format("/proc/thread-self/net/{}{}", to_string(protocol), version);
            for (const SocketEntry& entry : parse_socket_table(whole_text(path))) {
                if (!entry.is_open(protocol) || !ports.contains(entry.local.port)) continue;
                found.push_back({{protocol, entry.local, ""}, entry.inode});
                inodes.insert(entry.inode);
            }
        }
    const auto programs = programs_of(inodes);
    std::vector<Listener> listeners;
    for (auto& [listener, inode] : found) {
        if (const auto program = programs.find(inode); program != programs.end())
            listener.program = program->second;
        // A program that has several sockets at one port (SO_REUSEPORT) is one.
        if (std::ranges::find(listeners, listener) == listeners.end())
            listeners.push_back(std::move(listener));
    }
    return listeners;
}

}  // namespace dnsdirector::realserver
