// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "core/check.h"

namespace dnsdirector::core {

/// The command line that asks the same from a shell: dig for a DNS check, with
/// its source, transport and times (dig's own unit is a second); a script's own
/// command. What no option can say (an interface, a mark) stands behind it as a
/// comment. "" where there is no such command.
[[nodiscard]] std::string by_hand(const Check& check);

/// A word as a shell takes it: quoted where it must be.
[[nodiscard]] std::string shell_word(const std::string& word);

/// Words as a line for a shell.
[[nodiscard]] std::string shell_line(std::span<const std::string> words);

}  // namespace dnsdirector::core
