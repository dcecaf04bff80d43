// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "dataplane/descriptors.h"

namespace dnsdirector::control {

/// sd_notify(3); nothing happens outside systemd.
void notify_systemd(const std::string& state);

/// Descriptors that outlive us, by a name (FDSTORE=1 of sd_notify(3)): systemd holds a copy over
/// crashes and restarts, and closes it when the unit is stopped or given up. Storing takes the
/// place of what had the name. Nothing happens outside systemd.
void store_descriptor(const std::string& name, int descriptor);
void forget_descriptor(const std::string& name);

/// As store_descriptor(), beside those that have the name already, and without systemd watching
/// them (FDPOLL=0): a hang-up would end its copy.
void store_more(const std::string& name, std::span<const int> descriptors);
/// How many descriptors the store takes in all (FileDescriptorStoreMax= of the unit); 0: none,
/// or systemd does not say.
[[nodiscard]] std::size_t store_size();

/// Of the one that was kept over a re-execution (reexec.h), in what take_descriptors() returns.
inline constexpr const char* kept_name = "kept";

/// What was handed to us by the store or by a socket unit (sd_listen_fds(3)), or kept over a
/// re-execution; ours now. To be called once.
[[nodiscard]] std::vector<dataplane::NamedDescriptor> take_descriptors();

/// Half of WATCHDOG_USEC, or nothing when systemd does not watch.
[[nodiscard]] std::optional<Nanoseconds> watchdog_interval();

/// Whether the job that stops our unit is a restart: then TERM ends the process
/// and leaves everything in place, for the next one to adopt. Asks systemd over
/// D-Bus (org.freedesktop.systemd1(5)); false without systemd, and on any error.
[[nodiscard]] bool restart_is_queued();

}  // namespace dnsdirector::control
