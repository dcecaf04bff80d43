// SPDX-License-Identifier: Apache-2.0
//
// What the kernel's maps take, before they are made and while they are there.
#pragma once

#include "base/result.h"
#include "core/model.h"
#include "dataplane/memory.h"

namespace dnsdirector::dataplane {

/// Memory of the maps for these limits on a machine of so many possible CPUs, with one entry
/// in the tables that grow (`members`) for each of `servers`; by the kernel's own arithmetic
/// (map_mem_usage of Linux 6.4 and later). Makes nothing and needs no privileges.
[[nodiscard]] Result<std::vector<TableMemory>> xdp_memory(const core::Limits& limits,
                                                          std::uint32_t servers,
                                                          unsigned possible_cpus);
/// CPUs for which the kernel's per-CPU tables have room (/sys/devices/system/cpu/possible).
[[nodiscard]] Result<unsigned> possible_cpus();

namespace xdp {
class Maps;
/// As the kernel counts it now; a map whose fdinfo cannot be read is left out.
[[nodiscard]] std::vector<TableMemory> memory_of(const Maps& maps);
}  // namespace xdp

}  // namespace dnsdirector::dataplane
