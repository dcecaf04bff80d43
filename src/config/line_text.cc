// SPDX-License-Identifier: Apache-2.0
#include "config/line_text.h"

#include <algorithm>

#include "config/definitions.h"
#include "config/sequences.h"

namespace dnsdirector::config {

std::size_t skip_blanks(std::string_view text, std::size_t at) {
    return std::min(text.find_first_not_of(blanks, at), text.size());
}

std::size_t end_without_comment(std::string_view text) {
    bool quoted = false;
    std::size_t end = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '\\' && at + 1 < text.size()) {
            end = ++at + 1;
            continue;
        }
        if (c == '"') quoted = !quoted;
        if (!quoted && (c == '#' || c == '!')) break;
        if (blanks.find(c) == std::string_view::npos) end = at + 1;
    }
    return end;
}

MappedText cleaned(const MappedText& line) {
    const std::size_t end = end_without_comment(line.text());
    MappedText out = line.slice(std::min(skip_blanks(line.text(), 0), end), end);
    bool quoted = false;
    for (std::size_t at = 0; at + 1 < out.size(); ++at) {
        const char c = out.text()[at];
        const char next = out.text()[at + 1];
        if (c == '"') quoted = !quoted;
        if (c == '\\' && !quoted && (next == '#' || next == '!'))
            out.replace(at, at + 1, {});
        else if (c == '\\')
            ++at;
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    return text.substr(skip_blanks(text, 0));
}

bool continues(std::string_view text) {
    return text.ends_with('\\');
}

MappedText without_backslash(const MappedText& line) {
    const auto last = line.text().find_last_not_of(" \t\\");
    const std::size_t all = line.size() - 1;
    return line.slice(0, last == std::string::npos ? 0 : std::min(last + 1, all));
}

bool starts_anew(std::string_view rest) {
    return rest.starts_with('@') || starts_repetition(rest) || definition_head(rest).length > 0;
}

std::size_t rest_behind_brace(std::string_view text) {
    bool quoted = false;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == '$') {
            if (const auto reference = reference_at(text, at)) at += reference->length - 1;
            continue;
        }
        if (c != '{' && c != '}') continue;
        const std::size_t rest = skip_blanks(text, at + 1);
        if (starts_anew(text.substr(rest))) return rest;
    }
    return std::string_view::npos;
}

}  // namespace dnsdirector::config
