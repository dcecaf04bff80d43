// SPDX-License-Identifier: Apache-2.0
//
// What a line's text says by itself: its blanks, its comment, its backslash, and
// where in it something starts anew.
#pragma once

#include <cstddef>
#include <string_view>

#include "config/mapped_text.h"

namespace dnsdirector::config {

inline constexpr std::string_view blanks = " \t\r";

/// The first place from `at` on that is no blank, or the end.
[[nodiscard]] std::size_t skip_blanks(std::string_view text, std::size_t at);

[[nodiscard]] std::string_view trimmed(std::string_view text);

/// Where a line without its comment and without blanks at its end ends.
[[nodiscard]] std::size_t end_without_comment(std::string_view text);

/// The line without its comment, blanks around it, and backslashes that made a
/// `#` or `!` of a comment's start.
[[nodiscard]] MappedText cleaned(const MappedText& line);

/// Whether a definition goes on in the next line.
[[nodiscard]] bool continues(std::string_view text);

/// The line without the backslash at its end and blanks before it.
[[nodiscard]] MappedText without_backslash(const MappedText& line);

/// Whether a conditional line, a sequence or a definition starts here.
[[nodiscard]] bool starts_anew(std::string_view rest);

/// Behind a brace a line may start anew, as in `{ ~SEQ(N, 1, 4) real_server …`:
/// where the first such rest begins, or npos.
[[nodiscard]] std::size_t rest_behind_brace(std::string_view text);

}  // namespace dnsdirector::config
