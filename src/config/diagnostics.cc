// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostics.h"

#include <algorithm>
#include <tuple>

namespace dnsdirector::config {

std::string Message::to_string() const {
    const char* kind = severity == Severity::error ? "error" : "warning";
    if (line == 0) return fmt::format("{}: {}: {}", file, kind, text);
    return fmt::format("{}:{}:{}: {}: {}", file, line, column, kind, text);
}

std::uint32_t Diagnostics::add_file(std::string name) {
    files_.push_back(std::move(name));
    return static_cast<std::uint32_t>(files_.size() - 1);
}

bool Diagnostics::count(Severity severity) {
    std::size_t& number = severity == Severity::error ? errors_ : warnings_;
    return ++number <= most;
}

void Diagnostics::add(Severity severity, const Position& at, std::string text) {
    entries_.push_back({at.order, entries_.size(),
                        Message{severity, files_[at.file], at.line, at.column, std::move(text)}});
}

std::string Diagnostics::where(const Position& at) const {
    return fmt::format("{}:{}:{}", files_[at.file], at.line, at.column);
}

std::vector<Message> Diagnostics::take() {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
        return std::tie(a.order, a.sequence) < std::tie(b.order, b.sequence);
    });
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
