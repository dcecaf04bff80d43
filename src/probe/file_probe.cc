// SPDX-License-Identifier: Apache-2.0
#include "probe/file_probe.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <string>
#include <utility>

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// A product of this or less is a fault to keepalived.
constexpr std::int64_t fault = -254;

Outcome cannot_read(const std::string& path, const std::string& why) {
    return {Failure::local, fmt::format("cannot read {}: {}", path, why), {}};
}

/// Nothing where it does not fit into 32 bits. Decimal, 0x… or 0… (octal), as keepalived reads it.
std::optional<std::int64_t> number_in(const std::string& text, bool& found) {
    char* end = nullptr;
    errno = 0;
    const long long number = std::strtoll(text.c_str(), &end, 0);
    found = end != text.c_str();
    if (errno == ERANGE || number < std::numeric_limits<std::int32_t>::min() ||
        number > std::numeric_limits<std::int32_t>::max())
        return std::nullopt;
    return number;
}

}  // namespace

Outcome judge_number(const core::FileCheck& check, std::int64_t number, const std::string& found) {
    if (check.weight == 0) {
        if ((number != 0) == check.reverse) return {};
        const char* expected = check.reverse ? "another number than 0" : "0";
        return {Failure::answer, fmt::format("{}, expected {}", found, expected), {}};
    }
    const std::int32_t factor = check.reverse ? -check.weight : check.weight;
    const std::int64_t change = number * factor;
    if (change <= fault)
        return {Failure::answer,
                fmt::format("{}, times {} is {}: {} or less is a failure", found, factor, change,
                            fault),
                {}};
    Outcome passed;
    passed.weight_change = static_cast<std::int32_t>(
        std::min<std::int64_t>(change, std::numeric_limits<std::int32_t>::max()));
    return passed;
}

Probe::Progress FileProbe::start(TimePoint now) {
    if (!read_) read_ = reader_.submit(check_.path, token_);
    wake_ = now + timeout_;
    return std::nullopt;
}

Probe::Progress FileProbe::on_event(TimePoint /*now*/) {
    if (!read_ || !read_->done) return std::nullopt;
    const FileStart content = std::exchange(read_, nullptr)->start;
    if (!content.failure.empty()) return cannot_read(check_.path, content.failure);
    bool found = false;
    last_ = number_in(content.text, found).value_or(last_);
    const std::string words =
        content.missing ? fmt::format("no file {}, which counts as 0", check_.path)
        : found         ? fmt::format("{} in {}", last_, check_.path)
                        : fmt::format("no number in {}, which counts as 0", check_.path);
    return judge_number(check_, last_, words);
}

Probe::Progress FileProbe::on_timeout(TimePoint now) {
    if (Progress outcome = on_event(now)) return outcome;
    return cannot_read(check_.path, "timed out after " + to_text(timeout_));
}

}  // namespace dnsdirector::probe
