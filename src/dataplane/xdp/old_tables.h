// SPDX-License-Identifier: Apache-2.0
//
// The tables of a predecessor as its kernel program walks them: whose flows are
// where. What a successor's own tables have to know of them, so that no flow moves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/maps.h"

namespace dnsdirector::dataplane::xdp {

/// By slot.
struct OldTable {
    std::vector<std::uint32_t> servers;  ///< by the index of their counters
    std::vector<bool> moved;             ///< its flows may be with another one
};

class OldTables {
public:
    /// Opens what the description names among the pins of `directory`. Errors: it is
    /// not there, or smaller than the offsets say.
    static Result<OldTables> open(const std::string& directory, const Description::Tables& where);

    /// Of a service, by the index of its counters. Empty where there is none, or where it
    /// names a slot that does not exist.
    [[nodiscard]] OldTable in_force(std::uint32_t service) const;
    /// That before a recent change, by which flows go that nobody remembers.
    [[nodiscard]] OldTable before_change(std::uint32_t service) const;

private:
    /// Elements of an array map in memory, whatever their size.
    struct Array {
        Mapping memory;
        std::size_t stride = 0;  ///< bytes
        std::size_t length = 0;  ///< elements

        /// A word within an element; 0 where there is no such element.
        template <typename Word>
        [[nodiscard]] Word at(std::size_t element, std::size_t offset) const;
    };

    static Result<Array> open_array(const std::string& path, std::size_t bytes_at_least);
    [[nodiscard]] OldTable table(std::uint64_t word) const;

    Description::Tables where_;
    Array services_;
    Array slots_;
    Array destinations_;
};

}  // namespace dnsdirector::dataplane::xdp
