// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "announce/bgp_check.h"
#include "announce/bgp_groups.h"
#include "announce/bird_config.h"

namespace dnsdirector::announce {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(std::string_view text) {
    Lines lines;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

/// A protocol as `show protocols all` has it.
struct Protocol {
    std::string kind;                           ///< "BGP", "Kernel" …
    std::string state;                          ///< "up", "start", "down"
    std::map<std::string, std::string> values;  ///< "Neighbor AS", "ipv4 Input filter" …
};

std::map<std::string, Protocol> protocols_of(std::string_view text) {
    std::map<std::string, Protocol> protocols;
    Protocol* current = nullptr;
    std::string channel;
    for (const std::string& line : lines_of(text)) {
        const auto margin = line.find_first_not_of(' ');
        if (margin == std::string::npos) continue;
        if (margin == 0) {
            std::vector<std::string> words;
            for (std::size_t at = 0; at < line.size();) {
                const auto end = std::min(line.find(' ', at), line.size());
                if (end > at) words.push_back(line.substr(at, end - at));
                at = end + 1;
            }
            if (words.size() < 4 || words[0] == "Name") continue;
            current = &protocols[words[0]];
            *current = {words[1], words[3], {}};
            channel.clear();
            continue;
        }
        if (current == nullptr) continue;
        const std::string_view said = std::string_view(line).substr(margin);
        if (said.starts_with("Channel ")) {
            channel = std::string(said.substr(8)) + ' ';
            continue;
        }
        const auto colon = said.find(':');
        if (colon == std::string_view::npos) continue;
        const auto value = said.find_first_not_of(' ', colon + 1);
        current->values.emplace(channel + std::string(said.substr(0, colon)),
                                value == std::string_view::npos ? "" : said.substr(value));
    }
    return protocols;
}

class Comparison {
public:
    Comparison(const core::Bgp& bgp, const BirdState& state)
        : bgp_(bgp), state_(state), protocols_(protocols_of(state.protocols)) {}

    Lines differences();

private:
    template <typename... Args>
    void say(fmt::format_string<Args...> format, Args&&... args) {
        out_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    void file();
    void reading();
    void kernel(Family family);
    void bfd();
    void neighbor(const core::BgpNeighbor& neighbor);
    void value(const std::string& name, const Protocol& protocol, const std::string& key,
               std::string_view wanted);
    void others();

    const core::Bgp& bgp_;
    const BirdState& state_;
    std::map<std::string, Protocol> protocols_;
    Lines out_;
};

/// What is put in or left out of `have` against `want`, a few lines of it.
void Comparison::file() {
    const std::string wanted = bird_config(bgp_);
    if (state_.text == wanted) return;
    const Lines have = lines_of(state_.text);
    const Lines want = lines_of(wanted);
    const auto [mine, theirs] = std::mismatch(want.begin(), want.end(), have.begin(), have.end());
    const auto quoted = [](const Lines& lines, Lines::const_iterator at) {
        if (at == lines.end()) return std::string("ends");
        const auto first = at->find_first_not_of(' ');
        const std::string text = first == std::string::npos ? "" : at->substr(first);
        return text.starts_with("password ") ? std::string("has `password …`")
                                             : fmt::format("has `{}`", text);
    };
    say("{}:{}: {} where `dnsdirector bgp config` {}; write it anew", state_.file,
        std::distance(have.begin(), theirs) + 1, quoted(have, theirs), quoted(want, mine));
}

/// The file may be right, and BIRD not have read it.
void Comparison::reading() {
    constexpr std::string_view key = "Last reconfiguration on ";
    constexpr std::size_t to_the_second = 19;
    for (const std::string& line : lines_of(state_.status)) {
        if (!line.starts_with(key)) continue;
        const std::string at = line.substr(key.size(), to_the_second);
        const bool comparable = at.size() == to_the_second && at[4] == '-' && at[10] == ' ';
        if (comparable && at < state_.changed_at)
            say("{} was written at {}, and BIRD has last read its configuration at {}; `birdc "
                "configure` makes it read",
                state_.file, state_.changed_at, at);
    }
}

void Comparison::value(const std::string& name, const Protocol& protocol, const std::string& key,
                       std::string_view wanted) {
    const auto found = protocol.values.find(key);
    const std::string has = found == protocol.values.end() ? "nothing" : found->second;
    if (has != wanted)
        say("BIRD's protocol {} has {} as its {}, and should have {}", name, has, key, wanted);
}

void Comparison::kernel(Family family) {
    const std::string key = fmt::format("{} Input filter", word_of(family));
    const std::string filter = bird_filter("learn", family);
    const auto found = std::find_if(protocols_.begin(), protocols_.end(), [&](const auto& each) {
        const auto& values = each.second.values;
        return each.second.kind == "Kernel" && values.contains(key) && values.at(key) == filter;
    });
    if (found == protocols_.end())
        say("no kernel protocol of BIRD has the import filter {}; without it, or a filter that "
            "accepts what it does, the director's routes are not learnt",
            filter);
    else if (found->second.state != "up")
        say("BIRD's kernel protocol {} is not up, but in state {}; another one has the table, and "
            "BIRD takes one only",
            found->first, found->second.state);
}

void Comparison::bfd() {
    const auto count = std::count_if(protocols_.begin(), protocols_.end(),
                                     [](const auto& each) { return each.second.kind == "BFD"; });
    if (count == 0)
        say("BIRD has no BFD protocol, which neighbours are to be watched by; add `protocol bfd "
            "{{ }}`");
    if (count > 1)
        say("BIRD has {} BFD protocols, and with more than one no session comes up; keep one",
            count);
}

void Comparison::neighbor(const core::BgpNeighbor& neighbor) {
    const std::string name = bird_protocol(neighbor);
    const auto found = protocols_.find(name);
    if (found == protocols_.end()) {
        say("BIRD has no protocol {}, for the neighbor {}", name, neighbor.address.to_string());
        return;
    }
    const Protocol& protocol = found->second;
    if (protocol.state == "down") say("BIRD's protocol {} is down, by somebody's word", name);
    value(name, protocol, "Neighbor address", neighbor.address.to_string());
    value(name, protocol, "Neighbor AS", std::to_string(neighbor.remote_as));
    value(name, protocol, "Local AS", std::to_string(bgp_.local_as));
    for (const Family family : families) {
        if (!neighbor.carries(family)) continue;
        value(name, protocol, fmt::format("{} Input filter", word_of(family)),
              neighbor.accept_default ? bird_filter("default", family) : "REJECT");
        value(name, protocol, fmt::format("{} Output filter", word_of(family)),
              announces(bgp_, family) ? bird_filter("tell", family) : "REJECT");
    }
}

/// Sessions under our names that the configuration has not.
void Comparison::others() {
    for (const auto& [name, protocol] : protocols_)
        if (protocol.kind == "BGP" && name.starts_with("dnsdirector_") &&
            std::none_of(bgp_.neighbors.begin(), bgp_.neighbors.end(),
                         [&](const auto& each) { return bird_protocol(each) == name; }))
            say("BIRD has a protocol {} besides, of no neighbor in the configuration", name);
}

Lines Comparison::differences() {
    file();
    reading();
    for (const Family family : families)
        if (announces(bgp_, family)) kernel(family);
    if (uses_bfd(bgp_)) bfd();
    for (const core::BgpNeighbor& each : bgp_.neighbors)
        neighbor(each);
    others();
    return std::move(out_);
}

}  // namespace

std::vector<std::string> bird_differences(const core::Bgp& bgp, const BirdState& state) {
    return Comparison(bgp, state).differences();
}

}  // namespace dnsdirector::announce
