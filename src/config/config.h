// SPDX-License-Identifier: Apache-2.0
//
// config/: text → tokens → tree → typed model, every step with positions.
// keywords.* declares each keyword once (type, unit, range, default, help): the
// parser, the checks, the reference manual and completion come from it.
// It reads files and nothing else, and looks whether the programs and users that they
// name are there: no interface, no host name is looked up.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/model.h"

namespace dnsdirector::config {

enum class Severity : std::uint8_t { error, warning };

/// `FILE:LINE:COLUMN: error: text`; line and column count from 1, columns in bytes.
struct Message {
    Severity severity = Severity::error;
    std::string file;
    std::uint32_t line = 0;
    std::uint32_t column = 0;
    std::string text;         ///< what, and what would be right
    std::string code = {};    ///< of a finding (examine()): short, stable; "" for others
    std::string hint = {};    ///< of a finding: what would be right, one or more lines
    std::string source = {};  ///< the line of the file, as it stands there; "" without a position

    /// The one line of the position and the text; of a finding, its code behind it.
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const Message&, const Message&) = default;
};

/// How one MISC_CHECK is run.
struct MiscCheckNote {
    std::string file;
    std::uint32_t line = 0;  ///< of the MISC_CHECK
    std::uint32_t column = 0;
    bool native = false;  ///< without a process
    std::string why_not;  ///< "+trace is not run natively"; "" when native

    /// "FILE:LINE:COLUMN: native", "FILE:LINE:COLUMN: runs the program: WHY_NOT".
    [[nodiscard]] std::string to_string() const;
    friend bool operator==(const MiscCheckNote&, const MiscCheckNote&) = default;
};

struct Loaded {
    /// Absent when there is any error.
    std::optional<core::Configuration> configuration;
    std::vector<Message> messages;           ///< in the order of the file
    std::vector<MiscCheckNote> misc_checks;  ///< likewise, of blocks without an error

    [[nodiscard]] bool ok() const { return configuration.has_value(); }
};

/// Reads and validates a file with all that it includes. Never throws; a file
/// that cannot be read is a message too (line 0 is printed without a position).
/// `config_id` chooses conditional lines; "" is the first part of the host name.
[[nodiscard]] Loaded load(const std::string& path, const std::string& config_id = {});

/// As load(), from memory; `name` stands in messages.
[[nodiscard]] Loaded parse(std::string_view text, const std::string& name);

/// Where programs without a path are looked for, in this order; scripts have it as PATH, too.
constexpr std::string_view program_folders =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The machine as a text sees it (files above all), so that tests and fuzzers bring their own.
struct Files {
    /// The whole of a file.
    std::function<Result<std::string>(const std::string& path)> read;
    /// glob(3) with braces, sorted, without directories; no match: empty.
    std::function<std::vector<std::string>(const std::string& pattern)> expand;
    /// One text for one file, however it is called; finds include loops.
    std::function<std::string(const std::string& path)> identity;
    /// What is wrong with a program that the file wants to be run ("does not
    /// exist", …), or ""; absent: programs are not looked at.
    std::function<std::string(const std::string& path)> judge_program = {};
    /// The full path of a program given without one ("dig"), or "" where no folder of
    /// program_folders has it; absent: such names stay as they are.
    std::function<std::string(const std::string& name)> find_program = {};
    /// What is wrong with a user whom scripts shall run as ("there is no such user"),
    /// or ""; absent: users are not looked at.
    std::function<std::string(const std::string& name)> judge_user = {};
    /// Chooses conditional lines (`@main weight 2`), and is ${_INSTANCE}.
    std::string config_id = {};
    /// An environment variable, for ${_ENV NAME}; absent: there are none.
    std::function<std::optional<std::string>(const std::string& name)> environment = {};
};

[[nodiscard]] Loaded load(const std::string& path, const Files& files);
[[nodiscard]] Loaded parse(std::string_view text, const std::string& name, const Files& files);

/// docs/configuration.md, made from the keyword table.
[[nodiscard]] std::string reference_markdown();

}  // namespace dnsdirector::config
