// SPDX-License-Identifier: Apache-2.0
//
// Messages on a configuration as people and programs read them.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace dnsdirector::cli {

/// The message's line, the line of the file with a caret under the column, and
/// what would be right where that is known. Each line ends with a newline.
///
///     resolvers.conf:3:5: error: unknown keyword `qurum`; did you mean `quorum`?
///         3 |     qurum 2
///           |     ^~~~~
[[nodiscard]] std::string text_with_caret(const config::Message& message);

/// An array of {file, line, column, severity, code?, text, hint?}; a message on
/// a file as a whole has line and column 0.
[[nodiscard]] std::string messages_json(const std::vector<config::Message>& messages);

}  // namespace dnsdirector::cli
