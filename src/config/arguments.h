// SPDX-License-Identifier: Apache-2.0
//
// The words behind a keyword, read by its kind.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "config/keywords.h"

namespace dnsdirector::config {

/// How many words a kind takes, and how the manual writes them.
struct Shape {
    Kind kind;
    std::size_t least;
    std::size_t most;  ///< 0: any number
    std::string_view text;
};

[[nodiscard]] const Shape& shape_of(Kind kind);

/// Reads all arguments of `statement`; false when one was wrong, which has been
/// said then.
[[nodiscard]] bool read_arguments(const Keyword& keyword, const Statement& statement,
                                  Diagnostics& diagnostics, Arguments& arguments);

/// How the manual writes what a keyword takes: "NUMBER", "udp|tcp …".
[[nodiscard]] std::string argument_text(const Keyword& keyword);

/// The range of a number or duration: "1 to 10", "50ms to 24h"; "" without one.
[[nodiscard]] std::string range_text(const Keyword& keyword);

}  // namespace dnsdirector::config
