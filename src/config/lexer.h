// SPDX-License-Identifier: Apache-2.0
//
// Text → tokens, by keepalived's rules (docs/configuration.md, "Lexical rules").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/diagnostics.h"
#include "config/lines.h"

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
    /// Words that are not a slice of `text` are kept in the state's arena.
    Lexer(std::string_view text, std::uint32_t file, std::string path, TextState& state);

    [[nodiscard]] Token next(bool semicolons, Style style);

private:
    void skip_blank();
    [[nodiscard]] Position here();
    [[nodiscard]] Token quoted_word();
    [[nodiscard]] Token script_word(std::string_view ends);
    [[nodiscard]] Token plain_word(std::string_view ends, Style style);
    [[nodiscard]] std::string_view rest_of_line() const { return line_.text.substr(at_); }
    [[nodiscard]] bool comment(char c) const;
    void start_line();

    Lines lines_;
    TextState& state_;
    Line line_;
    /// The next line is taken when its first token is asked for: an include before
    /// it is read by then, and may define what the line holds.
    bool line_wanted_ = true;
    bool ended_ = false;
    std::size_t at_ = 0;          ///< in the line
    std::size_t last_close_ = 0;  ///< behind the line's last `}`
    bool control_reported_ = false;
};

}  // namespace dnsdirector::config
