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

/// Whether the job that stops our unit is a restart: then TERM ends the process
/// and leaves everything in place, for the next one to adopt. Asks systemd over
/// D-Bus (org.freedesktop.systemd1(5)); false without systemd, and on any error.
[[nodiscard]] bool restart_is_queued();

}  // namespace dnsdirector::control
