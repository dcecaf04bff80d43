// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace dnsdirector::control {

/// sd_notify(3); nothing happens outside systemd.
void notify_systemd(const std::string& state);

/// Descriptors that outlive us, by a name (FDSTORE=1 of sd_notify(3)): systemd holds a copy over
/// crashes and restarts, and closes it when the unit is stopped or given up. Storing takes the
/// place of what had the name. Nothing happens outside systemd.
void store_descriptor(const std::string& name, int descriptor);
void forget_descriptor(const std::string& name);

/// Those that were stored under the name, or kept over a re-execution (reexec.h); ours now.
/// To be called once: others that were handed to us are closed.
[[nodiscard]] std::vector<int> take_descriptors(const std::string& name);

/// Half of WATCHDOG_USEC, or nothing when systemd does not watch.
[[nodiscard]] std::optional<Nanoseconds> watchdog_interval();

/// Whether the job that stops our unit is a restart: then TERM ends the process
/// and leaves everything in place, for the next one to adopt. Asks systemd over
/// D-Bus (org.freedesktop.systemd1(5)); false without systemd, and on any error.
[[nodiscard]] bool restart_is_queued();

}  // namespace dnsdirector::control
