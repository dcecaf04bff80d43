// SPDX-License-Identifier: Apache-2.0
#include "base/time.h"

#include <fmt/core.h>

namespace dnsdirector {

std::string to_rfc3339(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{std::chrono::floor<Milliseconds>(time - day)};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::string to_text(Nanoseconds duration) {
    struct Unit {
        std::int64_t nanoseconds;
        const char* suffix;
    };
    static constexpr Unit units[] = {
        {3'600'000'000'000, "h"}, {60'000'000'000, "m"}, {1'000'000'000, "s"},
        {1'000'000, "ms"},        {1'000, "us"},         {1, "ns"}};
    const std::int64_t count = duration.count();
    if (count == 0) return "0s";
    for (const Unit& unit : units)
        if (count % unit.nanoseconds == 0)
            return fmt::format("{}{}", count / unit.nanoseconds, unit.suffix);
    return fmt::format("{}ns", count);
}

}  // namespace dnsdirector
