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

constexpr std::string_view plain_ends = " \t\r\n\"{}#!";
constexpr std::string_view plain_ends_and_semicolon = " \t\r\n\"{}#!;";
constexpr std::string_view script_ends = "{}#!";
constexpr std::string_view script_ends_and_semicolon = "{}#!;";

}  // namespace

Lexer::Lexer(std::string_view text, std::uint32_t file, Diagnostics& diagnostics,
             std::uint32_t& order, std::deque<std::string>& arena)
    : text_(text), file_(file), diagnostics_(diagnostics), order_(order), arena_(arena) {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    start_line();
}

void Lexer::start_line() {
    line_start_ = at_;
    line_end_ = std::min(text_.find('\n', at_), text_.size());
    const auto close = text_.substr(at_, line_end_ - at_).rfind('}');
    last_close_ = close == std::string_view::npos ? at_ : at_ + close + 1;
}

Position Lexer::here() {
    return {++order_, file_, line_, static_cast<std::uint32_t>(at_ - line_start_ + 1)};
}

std::string_view Lexer::rest_of_line() const {
    return text_.substr(at_, line_end_ - at_);
}

/// Moves over white space, comments and what has no business in a text.
void Lexer::skip_blank() {
    for (; at_ < text_.size(); ++at_) {
        const char c = text_[at_];
        if (blank(c)) continue;
        if (c == '#' || c == '!') {
            at_ += rest_of_line().size();
            return;
        }
        if (!control(c)) return;
        if (control_reported_) continue;
        control_reported_ = true;
        diagnostics_.error(here(), "a control character (byte {:#04x}): is this a text file?",
                           static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
}

Token Lexer::quoted_word() {
    Token token{TokenKind::word, {}, here(), true};
    ++at_;
    const std::string_view rest = rest_of_line();
    const auto close = rest.find('"');
    if (close == std::string_view::npos) {
        diagnostics_.error(token.position, "the closing \" is missing on this line");
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
        diagnostics_.error(token.position, "{} on this line", word.error().message);
        token.text = rest;
        token.broken = true;
        at_ += rest.size();
        return token;
    }
    at_ += length;
    token.quoted = word->quoted;
    token.text = arena_.emplace_back(std::move(word->text));
    return token;
}

Token Lexer::plain_word(std::string_view ends, Style style) {
    Token token{TokenKind::word, {}, here(), false};
    const std::size_t start = at_;
    std::size_t depth = 0;  // of braces that belong to the word
    for (; at_ < text_.size(); ++at_) {
        const char c = text_[at_];
        const bool takes_brace =
            style == Style::file_name || (at_ > start && text_[at_ - 1] == '$') || depth > 0;
        if (c == '{' && takes_brace && at_ < last_close_) {
            ++depth;
        } else if (c == '}' && depth > 0) {
            --depth;
        } else if (ends.find(c) != std::string_view::npos || control(c)) {
            break;
        }
    }
    token.text = text_.substr(start, at_ - start);
    return token;
}

Token Lexer::next(bool semicolons, Style style) {
    skip_blank();
    if (at_ >= text_.size()) return {TokenKind::end_of_file, {}, here()};
    const char c = text_[at_];
    if (c == '\n') {
        const Token token{TokenKind::end_statement, {}, here()};
        ++at_;
        ++line_;
        start_line();
        return token;
    }
    if (c == '"' && style != Style::script) return quoted_word();
    const bool opens = c == '{' && style != Style::file_name;
    if (opens || c == '}' || (c == ';' && semicolons)) {
        Token token{TokenKind::end_statement, text_.substr(at_, 1), here()};
        token.semicolon = c == ';';
        if (c != ';') token.kind = opens ? TokenKind::open : TokenKind::close;
        ++at_;
        return token;
    }
    if (style == Style::script)
        return script_word(semicolons ? script_ends_and_semicolon : script_ends);
    Token token = plain_word(semicolons ? plain_ends_and_semicolon : plain_ends, style);
    // A `{` of a file name that nothing closes is a brace after all.
    if (token.text.empty()) {
        token.kind = TokenKind::open;
        ++at_;
    }
    return token;
}

}  // namespace dnsdirector::config
