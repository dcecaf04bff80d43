// SPDX-License-Identifier: Apache-2.0
//
// Text that was put together, which knows where each part of it was written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostics.h"

namespace dnsdirector::config {

class MappedText {
public:
    MappedText() = default;
    /// A slice of a file that starts at `at`.
    MappedText(std::string_view text, const Position& at) { append(text, at, true); }

    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] std::size_t size() const { return text_.size(); }
    [[nodiscard]] bool empty() const { return text_.empty(); }

    /// The place of a character, or of the end; `order` is 0.
    [[nodiscard]] Position place(std::size_t offset) const;

    /// `verbatim`: as it stands in the file from `at` on; else it stands for
    /// what is written at `at`.
    void append(std::string_view text, const Position& at, bool verbatim);
    void append(const MappedText& other) { append(other, 0, other.size()); }
    void append(const MappedText& other, std::size_t from, std::size_t to);

    [[nodiscard]] MappedText slice(std::size_t from, std::size_t to) const;

    /// All its places carry this number of Diagnostics::add_expansion.
    void set_expansion(std::uint32_t expansion) { expansion_ = expansion; }

    /// Puts `with` in the place of [from, to).
    void replace(std::size_t from, std::size_t to, const MappedText& with);

private:
    struct Segment {
        std::size_t start;
        Position place;
        bool verbatim;
    };
    [[nodiscard]] std::size_t segment_of(std::size_t offset) const;

    std::string text_;
    std::vector<Segment> segments_;  ///< by start; the first starts at 0
    std::uint32_t expansion_ = 0;
};

}  // namespace dnsdirector::config
