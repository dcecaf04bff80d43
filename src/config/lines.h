// SPDX-License-Identifier: Apache-2.0
//
// A file's lines as they mean something: conditional lines chosen, definitions
// put in, sequences and lists written out. Most lines have none of that and pass
// as they are. The rules are keepalived's (docs/configuration.md, "Text that
// stands for other text"); what has no end there ends here.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/definitions.h"
#include "config/diagnostics.h"
#include "config/mapped_text.h"
#include "config/sequences.h"

namespace dnsdirector::config {

struct Line {
    std::string_view text;  ///< without its line end
    Position start;         ///< in a line that passed as it is
    /// Of a line that was put together: where its characters were written.
    std::optional<MappedText> written = {};

    /// The place of a character, without `order`.
    [[nodiscard]] Position place(std::size_t offset) const;
    /// Comments have been taken out: `#` and `!` are ordinary characters.
    [[nodiscard]] bool without_comments() const { return written.has_value(); }
};

/// What all the files that are read together share.
struct TextState {
    TextState(const Files& files, Diagnostics& messages)
        : definitions(files), diagnostics(messages) {}

    /// Adds to what definitions and sequences have grown to, and to what it took.
    /// False, and an error the first time, when that is too much.
    bool grow(std::size_t size, const Position& at);
    bool work(std::size_t effort, const Position& at);

    Definitions definitions;
    Diagnostics& diagnostics;
    std::uint32_t order = 0;          ///< of the last position given out
    std::deque<std::string> arena{};  ///< texts that words point into
    std::size_t grown = 0;
    std::size_t worked = 0;
    bool too_large = false;  ///< that has been said; nothing more is read

private:
    bool within(bool limit, const Position& at);
};

class Lines {
public:
    Lines(std::string_view text, std::uint32_t file, std::string path, TextState& state);

    /// False at the end; `line` is then an empty one that stands there.
    bool next(Line& line);

private:
    /// Lines that wait to be read: a definition's, or the rest of a line.
    struct Waiting {
        std::string name;  ///< the definition's; "" for a rest
        std::vector<MappedText> lines;
        std::size_t at = 0;
    };
    struct Repeating {
        Repetition repetition;
        MappedText line;
    };
    using Frame = std::variant<Waiting, Repeating>;
    /// What became of a line.
    enum class Fate : std::uint8_t { gone, again, done };

    [[nodiscard]] std::string_view take_line();
    [[nodiscard]] bool from_frames(MappedText& line);
    [[nodiscard]] bool process(MappedText& line);
    [[nodiscard]] bool chosen(MappedText& line);
    void define(const MappedText& line);
    [[nodiscard]] bool keep(const MappedText& line);
    void repeat(const MappedText& line);
    void split(MappedText& line);
    void push(Frame frame, const Position& at);
    [[nodiscard]] Fate expand(MappedText& line);
    struct Active;
    [[nodiscard]] Fate put_in(MappedText& line, std::size_t& at, const Reference& reference,
                              std::vector<Active>& active);
    [[nodiscard]] Fate put_in_predefined(MappedText& line, std::size_t& at,
                                         const Reference& reference);
    [[nodiscard]] bool substituted() const;
    [[nodiscard]] bool circular(std::string_view name, const std::vector<Active>& active) const;
    void skip_continuation(const MappedText& line);
    template <typename... Args>
    void error(const Position& at, fmt::format_string<Args...> format, Args&&... args);

    std::string_view text_;
    std::size_t at_ = 0;
    std::uint32_t line_ = 0;  ///< the number of the last line taken
    std::uint32_t file_;
    std::string path_;
    TextState& state_;
    std::vector<Frame> frames_;
    bool changed_ = false;  ///< the line in work is not what stands in the file
};

}  // namespace dnsdirector::config
