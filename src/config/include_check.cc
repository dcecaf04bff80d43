// SPDX-License-Identifier: Apache-2.0
#include "config/include_check.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::config {
namespace {

constexpr std::size_t most_alternatives = 1000;

/// The `}` that closes the `{` at `open`, or npos.
std::size_t closing(std::string_view pattern, std::size_t open) {
    int depth = 0;
    for (std::size_t at = open; at < pattern.size(); ++at) {
        if (pattern[at] == '{') ++depth;
        if (pattern[at] == '}' && --depth == 0) return at;
    }
    return std::string_view::npos;
}

}  // namespace

std::optional<IncludeCheck> include_variant(std::string_view keyword) {
    static constexpr std::pair<std::string_view, IncludeCheck> variants[] = {
        {"include", {false, false}}, {"includer", {false, false}}, {"includem", {false, false}},
        {"includew", {true, false}}, {"includeb", {false, true}},  {"includea", {true, true}},
    };
    for (const auto& [name, check] : variants)
        if (name == keyword) return check;
    return std::nullopt;
}

Result<IncludeCheck> set_include_check(const std::vector<std::string_view>& words,
                                       IncludeCheck present) {
    if (words.empty()) return IncludeCheck{true, true};
    const bool changes = std::all_of(words.begin(), words.end(), [](std::string_view word) {
        return word.starts_with('+') || word.starts_with('-');
    });
    if (!changes) present = {};
    for (std::string_view word : words) {
        const bool on = !word.starts_with('-');
        if (word.starts_with('+') || word.starts_with('-')) word.remove_prefix(1);
        if (word == "wildcard_match")
            present.wildcard_match = on;
        else if (word == "brace_match")
            present.brace_match = on;
        else if (word != "readable" && word != "match")
            return fail(
                "include_check: `{}` is not one of readable, match, wildcard_match, brace_match",
                word);
    }
    return present;
}

Result<std::vector<std::string>> brace_alternatives(const std::string& pattern) {
    std::vector<std::string> done;
    std::vector<std::string> open = {pattern};
    while (!open.empty()) {
        const std::string text = std::move(open.back());
        open.pop_back();
        const std::size_t start = text.find('{');
        const std::size_t end = start == std::string::npos ? start : closing(text, start);
        if (end == std::string::npos) {
            done.push_back(text);
        } else {
            int depth = 0;
            for (std::size_t at = start + 1, from = at; at <= end; ++at) {
                if (text[at] == '{') ++depth;
                if (text[at] == '}' && at < end) --depth;
                if (at != end && (text[at] != ',' || depth > 0)) continue;
                open.push_back(text.substr(0, start) + text.substr(from, at - from) +
                               text.substr(end + 1));
                from = at + 1;
            }
        }
        if (done.size() + open.size() > most_alternatives)
            return fail("{} stands for more than {} names", pattern, most_alternatives);
    }
    std::sort(done.begin(), done.end());
    return done;
}

}  // namespace dnsdirector::config
