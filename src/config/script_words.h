// SPDX-License-Identifier: Apache-2.0
//
// The words of a script's command line, by keepalived's rules: both quotes,
// escapes in and out of them, no shell.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::config {

struct ScriptWord {
    std::string text;
    bool quoted = false;  ///< some of it was quoted or escaped: never a redirection
};

/// Reads one word of `text` from `at`, where it starts, and moves `at` behind
/// it. It ends before white space and before a character of `ends` that stands
/// outside quotes. Escapes are those of C (\n \t \x41 \101 …), \E and \cX; any
/// other character after a backslash stands for itself.
[[nodiscard]] Result<ScriptWord> read_script_word(std::string_view text, std::size_t& at,
                                                  std::string_view ends);

/// A command's arguments and redirections. `> F`, `>F`, `1> F`, `2> F`, `2>&1`,
/// `&> F` and their forms without a space go to stdout_to and stderr_to
/// ("/dev/null" is the default and becomes ""); everything else is a word of
/// argv, as no shell is there to see `|` or `;`. The program is an absolute path or a
/// name without a slash, which Files::find_program finds.
[[nodiscard]] Result<core::ScriptCheck> parse_script(std::string_view command);

/// The first word of argv that only a shell would understand, or "".
[[nodiscard]] std::string_view shell_word(const core::ScriptCheck& script);

}  // namespace dnsdirector::config
