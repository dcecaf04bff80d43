// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dnsdirector::dataplane {

/// Kernel memory of one table of a data plane, as its fdinfo counts it ("memlock").
struct TableMemory {
    std::string name;
    std::uint64_t bytes = 0;
    bool mapped = false;  ///< into the daemon, and so part of its resident memory as well

    friend bool operator==(const TableMemory&, const TableMemory&) = default;
};

[[nodiscard]] inline std::uint64_t total(const std::vector<TableMemory>& tables) {
    std::uint64_t bytes = 0;
    for (const TableMemory& table : tables)
        bytes += table.bytes;
    return bytes;
}
[[nodiscard]] inline std::uint64_t mapped(const std::vector<TableMemory>& tables) {
    std::uint64_t bytes = 0;
    for (const TableMemory& table : tables)
        if (table.mapped) bytes += table.bytes;
    return bytes;
}

}  // namespace dnsdirector::dataplane
