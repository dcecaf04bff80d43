// SPDX-License-Identifier: Apache-2.0
#include "announce/bird_sessions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace dnsdirector::announce {
namespace {

/// A daemon that lies shall not make us keep more than a neighbour can be told by us.
constexpr std::size_t most_routes = 10000;

std::string_view next_line(std::string_view& text) {
    const auto end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

std::string_view next_word(std::string_view& line) {
    const auto start = std::min(line.find_first_not_of(" \t"), line.size());
    const auto end = std::min(line.find_first_of(" \t", start), line.size());
    const std::string_view word = line.substr(start, end - start);
    line.remove_prefix(end);
    return word;
}

std::string_view trimmed(std::string_view text) {
    const auto start = text.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) return {};
    return text.substr(start, text.find_last_not_of(" \t\r") + 1 - start);
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

template <typename Number>
std::optional<Number> number(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty())
        return std::nullopt;
    return value;
}

/// "05:10:53.129066", the fraction of any length or left out.
std::optional<Nanoseconds> time_of_day(std::string_view text) {
    if (text.size() < 8 || text[2] != ':' || text[5] != ':') return std::nullopt;
    const auto hours = number<unsigned>(text.substr(0, 2));
    const auto minutes = number<unsigned>(text.substr(3, 2));
    const auto seconds = number<unsigned>(text.substr(6, 2));
    if (!hours || !minutes || !seconds) return std::nullopt;
    Nanoseconds time = std::chrono::hours{*hours} + std::chrono::minutes{*minutes} +
                       std::chrono::seconds{*seconds};
    if (text.size() == 8) return time;
    if (text[8] != '.') return std::nullopt;
    Nanoseconds digit{Milliseconds{100}};
    for (const char c : text.substr(9, 9)) {
        if (c < '0' || c > '9') return std::nullopt;
        time += digit * (c - '0');
        digit /= 10;
    }
    return time;
}

/// "2026-11-29".
std::optional<Nanoseconds> date(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = number<int>(text.substr(0, 4));
    const auto month = number<unsigned>(text.substr(5, 2));
    const auto day = number<unsigned>(text.substr(8, 2));
    if (!year || !month || !day || *year < 1970 || *year > 2200) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year}, std::chrono::month{*month},
                                           std::chrono::day{*day}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date}.time_since_epoch();
}

/// "2026-11-29 05:10:53.129066".
std::optional<Nanoseconds> date_and_time(std::string_view text) {
    const auto day = date(next_word(text));
    const auto time = time_of_day(next_word(text));
    if (!day || !time) return std::nullopt;
    return *day + *time;
}

/// How long ago it was, of a time with its date (`iso long`) or, of the last 20 hours, without
/// (`iso short`, BIRD's default). A date alone says too little.
std::optional<Nanoseconds> age_of(std::string_view words, const std::optional<Nanoseconds>& now) {
    if (!now) return std::nullopt;
    if (const auto then = date_and_time(words))
        return std::max<Nanoseconds>(*now - *then, Nanoseconds{0});
    const auto then = time_of_day(next_word(words));
    if (!then) return std::nullopt;
    constexpr Nanoseconds day = std::chrono::hours{24};
    const Nanoseconds age = *now % day - *then;
    // A little negative: BIRD's clock is read anew for every line.
    if (age < Nanoseconds{0} && age > -Nanoseconds{Seconds{1}}) return Nanoseconds{0};
    return age < Nanoseconds{0} ? age + day : age;
}

/// "Routes:  0 imported, 2 exported, 0 preferred": the number before a word.
std::uint64_t count_of(std::string_view line, std::string_view what) {
    std::string_view before;
    while (!line.empty()) {
        std::string_view word = next_word(line);
        if (word.ends_with(',')) word.remove_suffix(1);
        if (word == what) return number<std::uint64_t>(before).value_or(0);
        before = word;
    }
    return 0;
}

/// "(64512,1)" and "(64512, 1, 1)", several of them behind each other.
std::vector<std::array<std::uint32_t, 3>> tuples(std::string_view text, std::size_t parts) {
    std::vector<std::array<std::uint32_t, 3>> out;
    for (auto at = text.find('('); at != std::string_view::npos; at = text.find('(')) {
        text.remove_prefix(at + 1);
        const std::string_view inside = text.substr(0, text.find(')'));
        std::array<std::uint32_t, 3> values{};
        std::size_t count = 0;
        for (std::size_t start = 0; start <= inside.size() && count < parts; ++count) {
            const auto end = std::min(inside.find(',', start), inside.size());
            const auto value = number<std::uint32_t>(trimmed(inside.substr(start, end - start)));
            if (!value) break;
            values[count] = *value;
            start = end + 1;
        }
        if (count == parts) out.push_back(values);
    }
    return out;
}

void add_communities(std::string_view value, bool large, core::Communities& to) {
    core::Communities found;
    for (const auto& [first, second, third] : tuples(value, large ? 3 : 2)) {
        if (large)
            found.large.push_back({first, second, third});
        else
            found.standard.push_back(
                {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(second)});
    }
    to.add(found);
}

void take_line_of_protocol(std::string_view said, NeighborReport& report) {
    const auto colon = said.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view key = said.substr(0, colon);
    const std::string_view value = trimmed(said.substr(colon + 1));
    if (key == "BGP state") {
        report.session = lower(value);
    } else if (key == "Last error") {
        report.last_error = value;
    } else if (key == "Routes") {
        report.accepted += count_of(value, "imported");
        report.told = report.told.value_or(0) + count_of(value, "exported");
    } else if (key == "Export updates" || key == "Export withdraws") {
        // Accepted stands last; what the filters refuse comes and goes in an existing BIRD.
        report.mark.append(value.substr(value.find_last_of(' ') + 1)).append(" ");
    }
}

}  // namespace

BirdStatus bird_status(std::string_view reply) {
    constexpr std::string_view time = "Current server time is ";
    BirdStatus status;
    std::string_view last;
    while (!reply.empty()) {
        const std::string_view line = trimmed(next_line(reply));
        if (line.empty()) continue;
        last = line;
        if (line.starts_with(time)) status.time = date_and_time(line.substr(time.size()));
    }
    if (last != "Daemon is up and running")
        status.problem = "BIRD says of itself: " + std::string(last.substr(0, 100));
    return status;
}

std::map<std::string, NeighborReport> bird_neighbors(std::string_view reply,
                                                     const std::optional<Nanoseconds>& time) {
    std::map<std::string, NeighborReport> neighbors;
    NeighborReport* current = nullptr;
    while (!reply.empty()) {
        std::string_view line = next_line(reply);
        if (trimmed(line).empty()) continue;
        if (line.front() == ' ') {
            if (current != nullptr) take_line_of_protocol(trimmed(line), *current);
            continue;
        }
        current = nullptr;
        const std::string_view name = next_word(line);
        if (next_word(line) != "BGP" || neighbors.size() >= most_routes) continue;
        next_word(line);  // the table
        const std::string_view state = next_word(line);
        current = &neighbors[std::string(name)];
        *current = {};
        current->known = true;
        current->session = lower(state);
        current->age = age_of(line, time);
    }
    return neighbors;
}

std::map<IpAddress, std::string> bird_bfd(std::string_view reply) {
    std::map<IpAddress, std::string> states;
    while (!reply.empty()) {
        std::string_view line = next_line(reply);
        const auto address = IpAddress::parse(next_word(line));
        next_word(line);  // the interface
        const std::string_view state = next_word(line);
        if (address && !state.empty() && states.size() < most_routes)
            states[*address] = lower(state);
    }
    return states;
}

void bird_told(std::string_view reply, const std::optional<Nanoseconds>& time, ToldReport& report) {
    ToldReport::Route* current = nullptr;
    while (!reply.empty() && report.routes.size() + report.strangers.size() < most_routes) {
        const std::string_view line = next_line(reply);
        if (trimmed(line).empty()) continue;
        if (line.front() == '\t') {
            const std::string_view said = trimmed(line);
            const auto colon = said.find(':');
            if (current == nullptr || colon == std::string_view::npos) continue;
            const std::string_view key = said.substr(0, colon);
            const std::string_view value = trimmed(said.substr(colon + 1));
            if (key == "BGP.med") current->med = number<std::uint32_t>(value);
            if (key == "BGP.community") add_communities(value, false, *current->communities);
            if (key == "BGP.large_community") add_communities(value, true, *current->communities);
            continue;
        }
        // "192.0.2.54/32        blackhole [dnsdirector_kernel_ipv4 2026-11-29 05:10:54.222603] *";
        // a second route of the same prefix begins with blanks, and is not told.
        current = nullptr;
        std::string_view rest = line;
        const std::string_view prefix = next_word(rest);
        const auto slash = prefix.find('/');
        if (line.front() == ' ' || slash == std::string_view::npos) continue;
        const auto address = IpAddress::parse(prefix.substr(0, slash));
        if (!address) continue;
        if (number<unsigned>(prefix.substr(slash + 1)) != address->host_prefix_length()) {
            report.strangers.emplace_back(prefix);
            continue;
        }
        report.routes.push_back({*address, std::nullopt, core::Communities{}, std::nullopt});
        current = &report.routes.back();
        const auto open = rest.find('[');
        if (open == std::string_view::npos) continue;
        std::string_view from = rest.substr(open + 1, rest.find(']', open) - open - 1);
        next_word(from);  // the protocol
        current->age = age_of(from, time);
    }
}

}  // namespace dnsdirector::announce
