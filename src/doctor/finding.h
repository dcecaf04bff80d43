// SPDX-License-Identifier: Apache-2.0
//
// doctor/: what on this machine stands in the way of a configuration. Readers
// take in what the kernel says (machine.h), judges make findings of it (judges.h):
// values in, values out, no I/O. Nothing here changes anything on the machine.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dnsdirector::doctor {

enum class Level : std::uint8_t {
    ok,
    unknown,  ///< could not be looked at, for want of privileges or because nobody asked yet
    warn,     ///< works, but worse than it could, or not in every case
    fail,     ///< the director does not start, or does not do what the file says
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

}  // namespace dnsdirector::doctor
