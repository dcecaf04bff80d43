// SPDX-License-Identifier: Apache-2.0
#include "cli/message_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

namespace dnsdirector::cli {
namespace {

constexpr std::size_t widest = 160;  ///< bytes of a line that are shown
constexpr std::size_t lead = 60;     ///< of them before the column, where the line is longer

bool continues(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U;  // within a UTF-8 character
}

/// The part of the line that is shown, and where the column is in it.
struct Excerpt {
    std::string text;
    std::size_t caret = 0;
    std::size_t length = 1;  ///< bytes of the word there
};

std::size_t word_length(std::string_view rest) {
    if (rest.empty()) return 1;
    if (rest.front() == '"') {
        const auto close = rest.find('"', 1);
        return close == std::string_view::npos ? rest.size() : close + 1;
    }
    return std::max<std::size_t>(1, std::min(rest.find_first_of(" \t{};#!\""), rest.size()));
}

Excerpt excerpt_of(const std::string& line, std::size_t column) {
    const std::size_t at = std::min(column - 1, line.size());
    std::size_t from = 0;
    if (line.size() > widest && at > lead) from = at - lead;
    while (from > 0 && from < line.size() && continues(line[from]))
        ++from;
    std::size_t to = std::min(line.size(), from + widest);
    while (to < line.size() && continues(line[to]))
        ++to;
    Excerpt excerpt{line.substr(from, to - from), at - from, 1};
    excerpt.length =
        std::min(word_length(std::string_view(line).substr(at)), to - std::min(at, to));
    // What a terminal would take for a command is shown as what it is not.
    for (char& c : excerpt.text)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) c = '?';
    if (from > 0) {
        excerpt.text.insert(0, "...");
        excerpt.caret += 3;
    }
    if (to < line.size()) excerpt.text += "...";
    return excerpt;
}

/// Blanks as wide as the text, tabs kept: the caret then stands under its column.
std::string blanks_for(std::string_view text) {
    std::string blanks;
    for (const char c : text)
        if (!continues(c)) blanks += c == '\t' ? '\t' : ' ';
    return blanks;
}

std::string quoted_line(const config::Message& message) {
    const Excerpt excerpt = excerpt_of(message.source, message.column);
    const std::string_view text = excerpt.text;
    const std::string_view word = text.substr(excerpt.caret, excerpt.length);
    const auto characters =
        std::count_if(word.begin(), word.end(), [](char c) { return !continues(c); });
    return fmt::format(
        "{:5} | {}\n{:5} | {}^{}\n", message.line, text, "",
        blanks_for(text.substr(0, excerpt.caret)),
        std::string(characters > 1 ? static_cast<std::size_t>(characters - 1) : 0, '~'));
}

std::string indented(std::string_view hint) {
    std::string out;
    for (std::string_view start = "      = "; !hint.empty(); start = "        ") {
        const auto end = std::min(hint.find('\n'), hint.size());
        out += fmt::format("{}{}\n", start, hint.substr(0, end));
        hint.remove_prefix(std::min(end + 1, hint.size()));
    }
    return out;
}

}  // namespace

std::string text_with_caret(const config::Message& message) {
    std::string out = message.to_string() + '\n';
    if (message.line != 0 && message.column != 0 && !message.source.empty())
        out += quoted_line(message);
    return out + indented(message.hint);
}

std::string messages_json(const std::vector<config::Message>& messages) {
    auto out = nlohmann::ordered_json::array();
    for (const config::Message& message : messages) {
        nlohmann::ordered_json one = {
            {"file", message.file},
            {"line", message.line},
            {"column", message.column},
            {"severity", message.severity == config::Severity::error ? "error" : "warning"}};
        if (!message.code.empty()) one["code"] = message.code;
        one["text"] = message.text;
        if (!message.hint.empty()) one["hint"] = message.hint;
        out.push_back(std::move(one));
    }
    // What is no UTF-8 in the file, or in its name, is replaced: JSON has nothing else.
    return out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + '\n';
}

}  // namespace dnsdirector::cli
