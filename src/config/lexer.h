// SPDX-License-Identifier: Apache-2.0
//
// Text → tokens, by keepalived's rules (docs/configuration.md, "Lexical rules").
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "config/diagnostics.h"

namespace dnsdirector::config {

enum class TokenKind : std::uint8_t {
    word,
    open,           ///< {
    close,          ///< }
    end_statement,  ///< the line's end, or `;` where it counts
    end_of_file,
};

struct Token {
    TokenKind kind = TokenKind::end_of_file;
    std::string_view text;  ///< a word without its quotes; lives as long as text and arena do
    Position position;
    bool quoted = false;
    bool broken = false;     ///< a word whose closing quote is missing; that has been said
    bool semicolon = false;  ///< the end_statement was a `;`
};

/// What the next token may look like, which the statement's first word decides.
enum class Style : std::uint8_t {
    plain,
    file_name,  ///< of include: {a,b} is part of a word
    script,     ///< both quotes, escapes
};

class Lexer {
public:
    /// `order` goes on over all files; words that are not a slice of `text` are
    /// kept in `arena`.
    Lexer(std::string_view text, std::uint32_t file, Diagnostics& diagnostics, std::uint32_t& order,
          std::deque<std::string>& arena);

    [[nodiscard]] Token next(bool semicolons, Style style);

private:
    void skip_blank();
    [[nodiscard]] Position here();
    [[nodiscard]] Token quoted_word();
    [[nodiscard]] Token script_word(std::string_view ends);
    [[nodiscard]] Token plain_word(std::string_view ends, Style style);
    [[nodiscard]] std::string_view rest_of_line() const;
    void start_line();

    std::string_view text_;
    std::size_t at_ = 0;
    std::size_t line_start_ = 0;
    std::size_t line_end_ = 0;    ///< of its \n, or the text's end
    std::size_t last_close_ = 0;  ///< behind the line's last `}`; line_start_ without one
    std::uint32_t line_ = 1;
    std::uint32_t file_;
    bool control_reported_ = false;
    Diagnostics& diagnostics_;
    std::uint32_t& order_;
    std::deque<std::string>& arena_;
};

}  // namespace dnsdirector::config
