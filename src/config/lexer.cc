// SPDX-License-Identifier: Apache-2.0
#include "config/lexer.h"

#include <algorithm>

#include "config/script_words.h"

namespace dnsdirector::config {
namespace {

/// White space within a line. A carriage return is part of a line's end in CRLF.
bool blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

bool control(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && !blank(c) && c != '\n') || c == 0x7f;
}

/// What ends a word: in a line with comments the whole, else without its first two.
constexpr std::string_view plain_ends = "#! \t\r\"{}";
constexpr std::string_view plain_ends_and_semicolon = "#! \t\r\"{};";
constexpr std::string_view script_ends = "#!{}";
constexpr std::string_view script_ends_and_semicolon = "#!{};";

}  // namespace

Lexer::Lexer(std::string_view text, std::uint32_t file, std::string path, TextState& state)
    : lines_(text, file, std::move(path), state), state_(state) {}

void Lexer::start_line() {
    line_wanted_ = false;
    ended_ = !lines_.next(line_);
    at_ = 0;
    const auto close = line_.text.rfind('}');
    last_close_ = close == std::string_view::npos ? 0 : close + 1;
}

Position Lexer::here() {
    Position at = line_.place(at_);
    at.order = ++state_.order;
    return at;
}

bool Lexer::comment(char c) const {
    return (c == '#' || c == '!') && !line_.without_comments();
}

/// Moves over white space, comments and what has no business in a text.
void Lexer::skip_blank() {
    for (; at_ < line_.text.size(); ++at_) {
        const char c = line_.text[at_];
        if (blank(c)) continue;
        if (comment(c)) {
            at_ = line_.text.size();
            return;
        }
        if (!control(c)) return;
        if (control_reported_) continue;
        control_reported_ = true;
        state_.diagnostics.error(here(), "a control character (byte {:#04x}): is this a text file?",
                                 static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
}

Token Lexer::quoted_word() {
    Token token{TokenKind::word, {}, here(), true};
    ++at_;
    const std::string_view rest = rest_of_line();
    const auto close = rest.find('"');
    if (close == std::string_view::npos) {
        state_.diagnostics.error(token.position, "the closing \" is missing on this line");
        token.text = rest;
        token.broken = true;
        at_ += rest.size();
        return token;
    }
    token.text = rest.substr(0, close);
    at_ += close + 1;
    return token;
}

Token Lexer::script_word(std::string_view ends) {
    Token token{TokenKind::word, {}, here(), false};
    const std::string_view rest = rest_of_line();
    std::size_t length = 0;
    auto word = read_script_word(rest, length, ends);
    if (!word) {
        state_.diagnostics.error(token.position, "{} on this line", word.error().message);
        token.text = rest;
        token.broken = true;
        at_ += rest.size();
        return token;
    }
    at_ += length;
    token.quoted = word->quoted;
    token.text = state_.arena.emplace_back(std::move(word->text));
    return token;
}

Token Lexer::plain_word(std::string_view ends, Style style) {
    Token token{TokenKind::word, {}, here(), false};
    const std::size_t start = at_;
    std::size_t depth = 0;  // of braces that belong to the word
    for (; at_ < line_.text.size(); ++at_) {
        const char c = line_.text[at_];
        const bool takes_brace =
            style == Style::file_name || (at_ > start && line_.text[at_ - 1] == '$') || depth > 0;
        if (c == '{' && takes_brace && at_ < last_close_) {
            ++depth;
        } else if (c == '}' && depth > 0) {
            --depth;
        } else if (ends.find(c) != std::string_view::npos || control(c)) {
            break;
        }
    }
    token.text = line_.text.substr(start, at_ - start);
    return token;
}

Token Lexer::next(bool semicolons, Style style) {
    if (line_wanted_) start_line();
    skip_blank();
    if (at_ >= line_.text.size()) {
        if (ended_) return {TokenKind::end_of_file, {}, here()};
        line_wanted_ = true;
        return {TokenKind::end_statement, {}, here()};
    }
    const char c = line_.text[at_];
    if (c == '"' && style != Style::script) return quoted_word();
    const bool opens = c == '{' && style != Style::file_name;
    if (opens || c == '}' || (c == ';' && semicolons)) {
        Token token{TokenKind::end_statement, line_.text.substr(at_, 1), here()};
        token.semicolon = c == ';';
        if (c != ';') token.kind = opens ? TokenKind::open : TokenKind::close;
        ++at_;
        return token;
    }
    std::string_view ends = semicolons ? plain_ends_and_semicolon : plain_ends;
    if (style == Style::script) ends = semicolons ? script_ends_and_semicolon : script_ends;
    if (line_.without_comments()) ends.remove_prefix(2);
    if (style == Style::script) return script_word(ends);
    Token token = plain_word(ends, style);
    // A `{` of a file name that nothing closes is a brace after all.
    if (token.text.empty()) {
        token.kind = TokenKind::open;
        ++at_;
    }
    return token;
}

}  // namespace dnsdirector::config
