// SPDX-License-Identifier: Apache-2.0
#include "realserver/table_differences.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

namespace dnsdirector::realserver {
namespace {

struct Line {
    bool rule = false;
    std::string place;  ///< "chain prerouting", of a rule the one that it is in
};

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (end != 0) lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

Line read_line(std::string_view line) {
    const auto object = nlohmann::json::parse(line, nullptr, false);
    if (!object.is_object() || object.empty() || !object.front().is_object())
        return {false, std::string{line}};
    const std::string kind = object.begin().key();
    const auto& body = object.front();
    if (kind == "rule") return {true, "chain " + body.value("chain", "")};
    return {false, kind + " " + body.value("name", "")};
}

std::string rules(int count) {
    return fmt::format("{} rule{}", count, count == 1 ? "" : "s");
}

}  // namespace

std::vector<std::string> table_differences(std::string_view wished, std::string_view found) {
    // More of a line in one of them than in the other.
    std::map<std::string_view, int> surplus;
    for (const std::string_view line : lines_of(found))
        ++surplus[line];
    for (const std::string_view line : lines_of(wished))
        --surplus[line];
    struct Count {
        int gone = 0, foreign = 0;
    };
    std::map<std::string, Count> rule_counts;
    std::map<std::string, Count> other_counts;
    for (const auto& [line, count] : surplus) {
        if (count == 0) continue;
        const Line read = read_line(line);
        Count& each = (read.rule ? rule_counts : other_counts)[read.place];
        (count < 0 ? each.gone : each.foreign) += std::abs(count);
    }
    std::vector<std::string> differences;
    differences.reserve(other_counts.size() + 2 * rule_counts.size());
    for (const auto& [place, count] : other_counts)
        differences.push_back(fmt::format("{} is {}", place,
                                          count.gone == 0      ? "not ours"
                                          : count.foreign == 0 ? "gone"
                                                               : "another one"));
    for (const auto& [place, count] : rule_counts) {
        if (count.gone != 0)
            differences.push_back(fmt::format("{}: {} {} gone", place, rules(count.gone),
                                              count.gone == 1 ? "is" : "are"));
        if (count.foreign != 0)
            differences.push_back(fmt::format("{}: {} {} not ours", place, rules(count.foreign),
                                              count.foreign == 1 ? "is" : "are"));
    }
    if (differences.empty() && wished != found)
        differences.emplace_back("its rules are in another order");
    return differences;
}

std::size_t rules_in(std::string_view listed) {
    const auto lines = lines_of(listed);
    return static_cast<std::size_t>(
        std::ranges::count_if(lines, [](std::string_view line) { return read_line(line).rule; }));
}

}  // namespace dnsdirector::realserver
