// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/time.h"

namespace dnsdirector::control {

/// sd_notify(3); nothing happens outside systemd.
void notify_systemd(const std::string& state);

/// Half of WATCHDOG_USEC, or nothing when systemd does not watch.
[[nodiscard]] std::optional<Nanoseconds> watchdog_interval();

}  // namespace dnsdirector::control
