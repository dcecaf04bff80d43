// SPDX-License-Identifier: Apache-2.0
#include "config/mapped_text.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::config {

std::size_t MappedText::segment_of(std::size_t offset) const {
    const auto after =
        std::upper_bound(segments_.begin(), segments_.end(), offset,
                         [](std::size_t at, const Segment& segment) { return at < segment.start; });
    return static_cast<std::size_t>(after - segments_.begin()) - 1;
}

Position MappedText::place(std::size_t offset) const {
    if (segments_.empty()) return {};
    const Segment& segment = segments_[segment_of(offset)];
    Position at = segment.place;
    at.expansion = expansion_;
    if (segment.verbatim) at.column += static_cast<std::uint32_t>(offset - segment.start);
    return at;
}

void MappedText::append(std::string_view text, const Position& at, bool verbatim) {
    // The place of an empty text is worth knowing only while there is no other.
    if (text.empty() && !segments_.empty()) return;
    // A text of its own may have been empty: two segments never start at one place.
    if (!segments_.empty() && segments_.back().start == text_.size()) segments_.pop_back();
    segments_.push_back({text_.size(), at, verbatim});
    text_ += text;
}

void MappedText::append(const MappedText& other, std::size_t from, std::size_t to) {
    if (other.segments_.empty()) return;
    const std::string_view text = other.text_;
    std::size_t index = other.segment_of(from);
    do {
        const bool last = index + 1 == other.segments_.size();
        const std::size_t end = last ? to : std::min(to, other.segments_[index + 1].start);
        append(text.substr(from, end - from), other.place(from), other.segments_[index].verbatim);
        from = end;
        ++index;
    } while (from < to);
}

MappedText MappedText::slice(std::size_t from, std::size_t to) const {
    MappedText part;
    part.append(*this, from, to);
    return part;
}

void MappedText::replace(std::size_t from, std::size_t to, const MappedText& with) {
    MappedText whole = slice(0, from);
    whole.append(with);
    whole.append(*this, to, size());
    *this = std::move(whole);
}

}  // namespace dnsdirector::config
