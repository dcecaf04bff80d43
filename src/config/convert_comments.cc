// SPDX-License-Identifier: Apache-2.0
#include "config/convert_comments.h"

#include <algorithm>

namespace dnsdirector::config {
namespace {

constexpr std::string_view white_space = " \t\r";

std::string_view trimmed(std::string_view text) {
    const auto from = text.find_first_not_of(white_space);
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(white_space) - from + 1);
}

bool is_comment(std::string_view line) {
    line = trimmed(line);
    return !line.empty() && (line.front() == '#' || line.front() == '!');
}

/// What a comment says: without its marks, and what a terminal should not see.
std::string said_in(std::string_view comment) {
    comment = trimmed(comment);
    const auto from = comment.find_first_not_of("#! \t");
    std::string text(from == std::string_view::npos ? std::string_view{} : comment.substr(from));
    std::replace_if(
        text.begin(), text.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return text;
}

/// The comment behind the statements of a line; empty without one.
std::string_view trailing_comment(std::string_view line) {
    bool quoted = false;
    for (std::size_t at = 0; at < line.size(); ++at) {
        if (line[at] == '"') quoted = !quoted;
        if (!quoted && (line[at] == '#' || line[at] == '!')) return line.substr(at);
    }
    return {};
}

}  // namespace

Comments::File& Comments::file_of(std::uint32_t index) {
    const auto [found, fresh] = files_.try_emplace(index);
    File& file = found->second;
    if (!fresh) return file;
    std::string_view text = diagnostics_.file_text(index);
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        file.lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return file;
}

std::vector<std::string> Comments::take(const Position& at) {
    std::vector<std::string> out;
    File& file = file_of(at.file);
    if (at.line == 0 || at.line > file.lines.size()) return out;
    const std::size_t line = at.line - 1;
    std::size_t first = line;
    while (first > 0 && is_comment(file.lines[first - 1]) && !file.taken.contains(first - 1))
        --first;
    for (std::size_t i = first; i < line; ++i) {
        file.taken.insert(i);
        out.push_back(said_in(file.lines[i]));
    }
    if (!is_comment(file.lines[line]) && !file.taken.contains(line))
        if (const auto behind = trailing_comment(file.lines[line]); !behind.empty()) {
            file.taken.insert(line);
            out.push_back(said_in(behind));
        }
    std::erase(out, "");
    return out;
}

std::vector<std::string> Comments::take_head() {
    std::vector<std::string> out;
    if (diagnostics_.file_count() == 0) return out;
    File& file = file_of(0);
    std::size_t end = 0;
    while (end < file.lines.size() && is_comment(file.lines[end]))
        ++end;
    if (end < file.lines.size() && !trimmed(file.lines[end]).empty()) return out;
    for (std::size_t i = 0; i < end; ++i) {
        file.taken.insert(i);
        out.push_back(said_in(file.lines[i]));
    }
    return out;
}

std::string Comments::definitions() {
    std::string out;
    for (std::uint32_t index = 0; index < diagnostics_.file_count(); ++index) {
        bool within = false;  // a definition goes on behind a backslash
        for (const std::string_view line : file_of(index).lines) {
            const std::string_view text = trimmed(line);
            const auto equals = text.find('=');
            within = within || (text.starts_with('$') && equals != std::string_view::npos &&
                                text.find_first_of(" \t{") > equals);
            if (!within) continue;
            out += std::string(text) + "\n";
            within = text.ends_with('\\');
        }
    }
    return out;
}

std::string Comments::verbatim(const Statement& statement) {
    const Position& from = statement.position();
    const Position& to = statement.block ? statement.block->close : from;
    std::string out;
    for (const std::string& comment : take(from))
        out += "# " + comment + "\n";
    File& file = file_of(from.file);
    if (from.line == 0 || to.line > file.lines.size() || to.file != from.file) return out;
    for (std::size_t line = from.line; line <= to.line; ++line) {
        const std::string_view text = file.lines[line - 1];
        std::size_t begin = line == from.line ? from.column - 1 : 0;
        std::size_t end = statement.block && line == to.line ? to.column : text.size();
        begin = std::min(begin, text.size());
        end = std::min(end, text.size());
        out += std::string(text.substr(begin, end - begin)) + "\n";
        file.taken.insert(line - 1);
    }
    return out;
}

}  // namespace dnsdirector::config
