// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostics.h"

#include <algorithm>
#include <tuple>

namespace dnsdirector::config {
namespace {

/// As a message shows a line that was put together.
std::string shown(std::string_view text) {
    constexpr std::size_t most = 100;
    if (text.size() <= most) return std::string(text);
    return std::string(text.substr(0, most)) + " …";
}

}  // namespace

std::string Message::to_string() const {
    const char* kind = severity == Severity::error ? "error" : "warning";
    const std::string with_code = code.empty() ? text : fmt::format("{} [{}]", text, code);
    if (line == 0) return fmt::format("{}: {}: {}", file, kind, with_code);
    return fmt::format("{}:{}:{}: {}: {}", file, line, column, kind, with_code);
}

std::string MiscCheckNote::to_string() const {
    return native ? fmt::format("{}:{}:{}: native", file, line, column)
                  : fmt::format("{}:{}:{}: runs the program: {}", file, line, column, why_not);
}

std::uint32_t Diagnostics::add_file(std::string name, std::string_view text) {
    files_.push_back(std::move(name));
    texts_.push_back(text);
    return static_cast<std::uint32_t>(files_.size() - 1);
}

std::uint32_t Diagnostics::add_expansion(std::string_view text, const Position& used) {
    expansions_.push_back({text, used.file, used.line});
    return static_cast<std::uint32_t>(expansions_.size());
}

bool Diagnostics::count(Severity severity) {
    std::size_t& number = severity == Severity::error ? errors_ : warnings_;
    return ++number <= most;
}

void Diagnostics::add(Severity severity, const Position& at, std::string text) {
    if (at.expansion != 0) {
        const auto& [line, file, number] = expansions_[at.expansion - 1];
        const bool same_line = file == at.file && number == at.line;
        text += same_line ? fmt::format(" [the line reads: {}]", shown(line))
                          : fmt::format(" [used at {}:{}, the line reads: {}]", files_[file],
                                        number, shown(line));
    }
    entries_.push_back({at, entries_.size(),
                        Message{severity, files_[at.file], at.line, at.column, std::move(text)}});
}

void Diagnostics::misc_check(const Position& at, bool native, std::string why_not) {
    misc_checks_.push_back(
        {at.order, {files_[at.file], at.line, at.column, native, std::move(why_not)}});
}

std::vector<MiscCheckNote> Diagnostics::take_misc_checks() {
    std::ranges::stable_sort(misc_checks_, {}, &MiscEntry::order);
    std::vector<MiscCheckNote> notes;
    notes.reserve(misc_checks_.size());
    // A block of a group's server makes a check for each of the group's addresses.
    for (MiscEntry& entry : misc_checks_)
        if (notes.empty() || notes.back() != entry.note) notes.push_back(std::move(entry.note));
    misc_checks_.clear();
    return notes;
}

void Diagnostics::finding(const Position& at, std::string_view code, std::string text,
                          std::string hint) {
    if (!count(Severity::warning)) return;
    add(Severity::warning, at, std::move(text));
    entries_.back().message.code = code;
    entries_.back().message.hint = std::move(hint);
}

void Diagnostics::quote_lines() {
    // The messages of a file mostly come line after line: each goes on from where the last one was.
    struct Place {
        std::uint32_t line = 1;
        std::size_t start = 0;
    };
    std::vector<Place> places(files_.size());
    for (Entry& entry : entries_) {
        const std::string_view text = texts_[entry.at.file];
        Place& place = places[entry.at.file];
        if (entry.at.line == 0 || text.empty()) continue;
        if (entry.at.line < place.line) place = {};
        while (place.line < entry.at.line && place.start != std::string_view::npos) {
            place.start = text.find('\n', place.start);
            if (place.start != std::string_view::npos) ++place.start;
            ++place.line;
        }
        if (place.start == std::string_view::npos) continue;
        std::string_view line =
            text.substr(place.start, text.find('\n', place.start) - place.start);
        if (line.ends_with('\r')) line.remove_suffix(1);
        entry.message.source = line;
    }
}

std::string Diagnostics::where(const Position& at) const {
    return fmt::format("{}:{}:{}", files_[at.file], at.line, at.column);
}

std::vector<Message> Diagnostics::take() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.at.order, a.sequence) < std::tie(b.at.order, b.sequence);
    });
    quote_lines();
    std::vector<Message> messages;
    messages.reserve(entries_.size() + 2);
    for (Entry& entry : entries_)
        messages.push_back(std::move(entry.message));
    entries_.clear();
    const std::string file = files_.empty() ? std::string() : files_.front();
    if (warnings_ > most)
        messages.push_back({Severity::warning, file, 0, 0,
                            fmt::format("{} more warnings are not shown", warnings_ - most)});
    if (errors_ > most)
        messages.push_back({Severity::error, file, 0, 0,
                            fmt::format("more than {} errors; the rest is not shown", most)});
    return messages;
}

}  // namespace dnsdirector::config
