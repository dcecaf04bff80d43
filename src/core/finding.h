// SPDX-License-Identifier: Apache-2.0
//
// What somebody who looked at a machine has found, and what to do about it: the words of
// `dnsdirector doctor` and `dnsdirector realserver check`.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dnsdirector::core {

enum class Level : std::uint8_t {
    ok,
    unknown,  ///< could not be looked at, for want of privileges or because nobody asked yet
    warn,     ///< works, but worse than it could, or not in every case
    fail,     ///< does not work, or not as the file says
};
[[nodiscard]] constexpr std::string_view to_string(Level level) {
    constexpr std::string_view names[] = {"ok", "unknown", "warn", "fail"};
    return names[static_cast<std::size_t>(level)];
}

struct Finding {
    Level level = Level::ok;
    std::string check;  ///< short and stable: "bpffs", "native-xdp"; scripts go by it
    std::string about;  ///< the interface, server or place that it is about; "" the machine
    std::string text;   ///< what is, and what follows from it
    std::string mend;   ///< what to do, a command where there is one; "" when nothing is to be done

    friend bool operator==(const Finding&, const Finding&) = default;
};
using Findings = std::vector<Finding>;

/// Whether something is to be done: any warn or fail. What could not be looked at does not count.
[[nodiscard]] inline bool any_trouble(const Findings& findings) {
    return std::ranges::any_of(findings,
                               [](const Finding& finding) { return finding.level >= Level::warn; });
}

}  // namespace dnsdirector::core
