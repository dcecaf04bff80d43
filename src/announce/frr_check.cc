// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "announce/bgp_check.h"
#include "announce/frr_config.h"

namespace dnsdirector::announce {
namespace {

/// A command with the blocks that it stands in before it; no command has such a character.
using Path = std::string;
constexpr char within = '\x1f';

std::string joined(std::string_view block, std::string_view text) {
    return block.empty() ? std::string(text) : fmt::format("{}{}{}", block, within, text);
}

void flatten(const FrrStatement& statement, const Path& block, std::vector<Path>& shown,
             std::set<Path>& all) {
    const Path path = joined(block, statement.text);
    if (!statement.silent) shown.push_back(path);
    all.insert(path);
    for (const FrrStatement& each : statement.inner)
        flatten(each, path, shown, all);
}

/// By its margins: a line that stands further in belongs to the one before it.
std::vector<Path> paths_of(std::string_view running) {
    std::vector<Path> paths;
    std::vector<std::pair<std::size_t, Path>> open;
    while (!running.empty()) {
        const auto end = std::min(running.find('\n'), running.size());
        std::string_view line = running.substr(0, end);
        running.remove_prefix(std::min(end + 1, running.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
            line.remove_suffix(1);
        const auto margin = line.find_first_not_of(' ');
        if (margin == std::string_view::npos) continue;
        line.remove_prefix(margin);
        if (line.front() == '!' || line.starts_with("exit") || line == "end") continue;
        while (!open.empty() && open.back().first >= margin)
            open.pop_back();
        paths.push_back(joined(open.empty() ? "" : open.back().second, line));
        open.emplace_back(margin, paths.back());
    }
    return paths;
}

/// The last command of a path, and the blocks before it.
std::pair<std::string_view, std::string_view> split(std::string_view path) {
    const auto at = path.rfind(within);
    if (at == std::string_view::npos) return {"", path};
    return {path.substr(0, at), path.substr(at + 1)};
}

/// "router bgp 64512 / bgp router-id 198.51.100.1"; a password is nobody's business.
std::string shown_as(std::string_view path) {
    constexpr std::string_view secret = " password ";
    std::string text;
    const auto at = path.find(secret);
    for (const char c : path.substr(0, at))
        text += c == within ? std::string(" / ") : std::string(1, c);
    return at == std::string_view::npos ? text : text + " password …";
}

class Comparison {
public:
    Comparison(const core::Bgp& bgp, std::string_view running)
        : bgp_(bgp), running_(paths_of(running)), has_(running_.begin(), running_.end()) {
        for (const FrrStatement& each : frr_statements(bgp))
            flatten(each, "", shown_, all_);
    }

    std::vector<std::string> differences() {
        for (const Path& path : shown_)
            if (!has_.contains(path) && !missing_block(path))
                out_.push_back(fmt::format("FRR has not: {}", shown_as(path)));
        for (const Path& path : running_)
            // Several daemons show the same lists and maps.
            if (!all_.contains(path) && is_ours(path) && said_.insert(path).second)
                out_.push_back(fmt::format("FRR has besides: {}", shown_as(path)));
        return std::move(out_);
    }

private:
    /// Whether a block that the command stands in is missing as a whole, which was said.
    bool missing_block(std::string_view path) const {
        for (auto [block, command] = split(path); !block.empty();
             std::tie(block, command) = split(block))
            if (!has_.contains(std::string(block))) return true;
        return false;
    }

    /// Whether what FRR has concerns what we want of it.
    bool is_ours(std::string_view path) const {
        const auto [block, command] = split(path);
        if (path.find(frr_prefix) != std::string_view::npos) return true;
        if (command.starts_with("router bgp ") && block.empty())
            return command.find(" vrf ") == std::string_view::npos;
        if (command.starts_with("no ") && all_.contains(joined(block, command.substr(3))))
            return true;
        for (const core::BgpNeighbor& each : bgp_.neighbors) {
            const std::string name = "neighbor " + each.address.to_string() + ' ';
            if (command.starts_with(name) || command.starts_with("no " + name)) return true;
        }
        return false;
    }

    const core::Bgp& bgp_;
    std::vector<Path> running_;
    std::set<Path> has_;
    std::vector<Path> shown_;
    std::set<Path> all_;
    std::set<Path> said_;
    std::vector<std::string> out_;
};

}  // namespace

std::vector<std::string> frr_differences(const core::Bgp& bgp, std::string_view running) {
    return Comparison(bgp, running).differences();
}

}  // namespace dnsdirector::announce
