// SPDX-License-Identifier: Apache-2.0
//
// Where something stands in the files read, and what there is to say about it.
#pragma once

#include <fmt/core.h>

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"

namespace dnsdirector::config {

/// A place in one of the files. `order` grows with the order of reading, over
/// includes too: sorting by it gives the order in which a person meets things.
struct Position {
    std::uint32_t order = 0;
    std::uint32_t file = 0;  ///< index of Diagnostics::add_file
    std::uint32_t line = 0;  ///< from 1; 0: the file as a whole
    std::uint32_t column = 0;
    std::uint32_t expansion = 0;  ///< of Diagnostics::add_expansion; 0: the text stands as it is

    friend bool operator==(const Position&, const Position&) = default;
};

/// A value and where it was written.
template <typename T>
struct Placed {
    T value{};
    Position position;
};

/// Collects messages. Past `most` of one severity the rest is counted, not kept:
/// whoever has a hundred errors wants the first ones.
class Diagnostics {
public:
    static constexpr std::size_t most = 100;

    /// Registers a file's name for messages, and its text, which must live until take().
    std::uint32_t add_file(std::string name, std::string_view text = {});
    [[nodiscard]] const std::string& file_name(std::uint32_t file) const { return files_[file]; }
    [[nodiscard]] std::string_view file_text(std::uint32_t file) const { return texts_[file]; }
    [[nodiscard]] std::size_t file_count() const { return files_.size(); }

    /// Registers a line that was put together of definitions and sequences on account
    /// of the line at `used`; messages about it show it. `text` must outlive them.
    std::uint32_t add_expansion(std::string_view text, const Position& used);

    template <typename... Args>
    void error(const Position& at, fmt::format_string<Args...> format, Args&&... args) {
        if (count(Severity::error))
            add(Severity::error, at, fmt::format(format, std::forward<Args>(args)...));
    }
    template <typename... Args>
    void warning(const Position& at, fmt::format_string<Args...> format, Args&&... args) {
        if (count(Severity::warning))
            add(Severity::warning, at, fmt::format(format, std::forward<Args>(args)...));
    }

    /// What is right by the language, and yet probably not meant: a warning with a code.
    void finding(const Position& at, std::string_view code, std::string text, std::string hint);
    /// Whether the MISC_CHECK at `at` runs natively, and if not why.
    void misc_check(const Position& at, bool native, std::string why_not);

    [[nodiscard]] std::size_t errors() const { return errors_; }
    /// Enough errors: reading on would only cost time.
    [[nodiscard]] bool full() const { return errors_ >= most; }

    /// "FILE:LINE:COLUMN", to point at another place from within a message.
    [[nodiscard]] std::string where(const Position& at) const;

    /// All messages in the order of the files' text.
    [[nodiscard]] std::vector<Message> take();
    /// What misc_check() was told, in the order of the files' text.
    [[nodiscard]] std::vector<MiscCheckNote> take_misc_checks();

private:
    /// True while the message still is to be kept.
    bool count(Severity severity);
    void add(Severity severity, const Position& at, std::string text);

    struct Entry {
        Position at;
        std::size_t sequence;  ///< of what stands at one place, the first said comes first
        Message message;
    };
    /// Puts the line of the file into each message.
    void quote_lines();

    struct Expansion {
        std::string_view text;
        std::uint32_t file;
        std::uint32_t line;
    };
    struct MiscEntry {
        std::uint32_t order;
        MiscCheckNote note;
    };
    std::vector<std::string> files_;
    std::vector<std::string_view> texts_;  ///< of `files_`
    std::vector<Expansion> expansions_;
    std::vector<Entry> entries_;
    std::vector<MiscEntry> misc_checks_;
    std::size_t errors_ = 0;
    std::size_t warnings_ = 0;
};

}  // namespace dnsdirector::config
