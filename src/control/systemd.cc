// SPDX-License-Identifier: Apache-2.0
#include "control/systemd.h"

#include <systemd/sd-daemon.h>

namespace dnsdirector::control {

void notify_systemd(const std::string& state) {
    sd_notify(/*unset_environment=*/0, state.c_str());
}

std::optional<Nanoseconds> watchdog_interval() {
    std::uint64_t microseconds = 0;
    if (sd_watchdog_enabled(/*unset_environment=*/0, &microseconds) <= 0) return std::nullopt;
    return Microseconds{static_cast<std::int64_t>(microseconds / 2)};
}

}  // namespace dnsdirector::control
