// SPDX-License-Identifier: Apache-2.0
#include "probe/file_probe.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <string>
#include <system_error>

#include "probe/descriptor.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;

/// keepalived reads as much, and calls a product of this or less a fault.
constexpr std::size_t longest_number = 127;
constexpr std::int64_t fault = -254;

Outcome cannot_read(const std::string& path, const std::string& why) {
    return {Failure::local, fmt::format("cannot read {}: {}", path, why), {}};
}

Outcome cannot_read(const std::string& path, int error) {
    return cannot_read(path, std::generic_category().message(error));
}

struct Content {
    std::optional<Outcome> failed;
    bool missing = false;
    std::string text;
};

Content read_start(const std::string& path) {
    // Looked at before it is opened, since opening a device can do something to it.
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return {.missing = true};
        return {.failed = cannot_read(path, errno)};
    }
    if (!S_ISREG(status.st_mode)) return {.failed = cannot_read(path, "not a regular file")};
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!file.open()) {
        if (errno == ENOENT) return {.missing = true};
        return {.failed = cannot_read(path, errno)};
    }
    // It may have become another one since.
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
        return {.failed = cannot_read(path, "not a regular file")};
    std::array<char, longest_number> buffer;
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got < 0) return {.failed = cannot_read(path, errno)};
    return {.text = std::string(buffer.data(), static_cast<std::size_t>(got))};
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

Probe::Progress FileProbe::start(TimePoint /*now*/) {
    const Content content = read_start(check_.path);
    if (content.failed) return content.failed;
    bool found = false;
    last_ = number_in(content.text, found).value_or(last_);
    const std::string words =
        content.missing ? fmt::format("no file {}, which counts as 0", check_.path)
        : found         ? fmt::format("{} in {}", last_, check_.path)
                        : fmt::format("no number in {}, which counts as 0", check_.path);
    return judge_number(check_, last_, words);
}

}  // namespace dnsdirector::probe
