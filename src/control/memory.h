// SPDX-License-Identifier: Apache-2.0
//
// How much memory a configuration takes: predicted by check-config, and in
// `status` beside what is taken.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/model.h"
#include "dataplane/memory.h"

namespace dnsdirector::control {

struct MemoryForecast {
    unsigned cpus = 0;                           ///< possible ones, for which counters are kept
    std::vector<dataplane::TableMemory> tables;  ///< of the kernel; none but on the xdp plane
    std::uint64_t process = 0;                   ///< bytes of the daemon's own, roughly

    /// What VmRSS will say: the daemon's own, and the tables that it maps.
    [[nodiscard]] std::uint64_t resident() const { return process + dataplane::mapped(tables); }

    /// "memory: 27.9 MB of kernel tables (2 CPUs), about 15 MB of the daemon's own".
    [[nodiscard]] std::string to_string() const;
};

[[nodiscard]] Result<MemoryForecast> forecast_memory(const core::Configuration& configuration);

/// Resident memory of this process in bytes (VmRSS of proc(5)); 0 where /proc tells nothing.
[[nodiscard]] std::uint64_t resident_memory();

/// "512 kB", "27.9 MB", "1.46 GB": powers of ten, as disks and not as pages have them.
[[nodiscard]] std::string memory_text(std::uint64_t bytes);

}  // namespace dnsdirector::control
