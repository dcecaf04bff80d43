// SPDX-License-Identifier: Apache-2.0
//
// The parts of read_machine() that read files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "doctor/machine.h"

namespace dnsdirector::doctor {

/// Of the device's queues, by /sys (which may be another network namespace's: then none) and
/// /proc/interrupts.
[[nodiscard]] std::vector<Interrupt> read_interrupts(const netlink::Link& link);
[[nodiscard]] RunPlace read_run_place(const std::string& run_dir);
[[nodiscard]] std::vector<Endpoint> read_listening();
[[nodiscard]] Announcing read_announcing(const core::Bgp& bgp, const std::string& run_dir,
                                         netlink::Socket& socket);
[[nodiscard]] IpvsModules read_ipvs_modules(const std::string& kernel_release);

/// Listening sockets in the text of /proc/net/tcp or tcp6 (proc(5)).
[[nodiscard]] std::vector<Endpoint> parse_listening(std::string_view text);
/// "0-2,5" as the kernel writes sets of CPUs: 0 1 2 5.
[[nodiscard]] std::vector<unsigned> parse_cpus(std::string_view text);
/// The last words of the lines of /proc/interrupts, by number: what each is for.
[[nodiscard]] std::map<unsigned, std::string> parse_interrupts(std::string_view text);

}  // namespace dnsdirector::doctor
