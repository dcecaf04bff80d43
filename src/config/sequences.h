// SPDX-License-Identifier: Apache-2.0
//
// ~SEQ and ~LST, which repeat the rest of a line with other values of variables.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace dnsdirector::config {

/// The values that a sequence or a list goes through.
class Repetition {
public:
    /// ~SEQ and ~SEQx (hexadecimal): start, start+step, … up to end.
    struct Sequence {
        std::int64_t next;
        std::int64_t step;
        std::int64_t end;
        bool hexadecimal;
    };
    Repetition(std::string variable, const Sequence& sequence)
        : variables_{std::move(variable)}, sequence_(sequence) {}
    /// ~LST; each row has as many values as there are variables.
    Repetition(std::vector<std::string> variables, std::vector<std::vector<std::string>> rows)
        : variables_(std::move(variables)), rows_(std::move(rows)) {}

    [[nodiscard]] const std::vector<std::string>& variables() const { return variables_; }
    /// The next values, one for each variable; nothing behind the last ones.
    [[nodiscard]] std::optional<std::vector<std::string>> next();

private:
    std::vector<std::string> variables_;
    std::optional<Sequence> sequence_;
    std::vector<std::vector<std::string>> rows_;
    std::size_t row_ = 0;
};

/// Whether a line is one: it starts with `~SEQ` or `~LST`.
[[nodiscard]] bool starts_repetition(std::string_view line);

/// Reads `~SEQ(VARIABLE, [START, [STEP,]] END)`, `~SEQx(…)` or `~LST(…)` at the
/// line's start; `length` is what it takes. As keepalived: without START it is 1,
/// or -1 when END is negative; without STEP it is 1 or -1. Numbers may be written
/// in hexadecimal (0x10) and, as strtol(3) has it, in octal (010).
/// ~LST(VARIABLE, VALUE, …) or ~LST({VARIABLE, VARIABLE}, {VALUE, VALUE}, …).
[[nodiscard]] Result<Repetition> parse_repetition(std::string_view line, std::size_t& length);

}  // namespace dnsdirector::config
