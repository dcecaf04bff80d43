// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>

#include "core/table.h"

namespace dnsdirector::core {

/// Tables that were built lately. Services that share their servers (many
/// service IPs, one cluster) need one computation, and a server that fails and
/// returns finds its old table again. Slots are positions in the list of
/// destinations, so what must be equal is that whole list, and the way of
/// choosing; addresses of services and forwarding methods do not matter.
class TableCache {
public:
    /// `most_slots` bounds what is kept (4 bytes each), `most_tables` the search.
    explicit TableCache(std::size_t most_slots = std::size_t{4} << 20, std::size_t most_tables = 64)
        : most_slots_(most_slots), most_tables_(most_tables) {}

    /// As build_table; never null.
    std::shared_ptr<const Table> get(const ServiceForwarding& service);

    [[nodiscard]] std::size_t tables() const { return entries_.size(); }
    [[nodiscard]] std::size_t slots() const { return slots_; }
    [[nodiscard]] std::uint64_t hits() const { return hits_; }
    [[nodiscard]] std::uint64_t misses() const { return misses_; }

private:
    struct Entry {
        std::uint64_t hash;
        bool per_packet;
        bool equal_weights;  ///< rr
        std::vector<Destination> destinations;
        std::shared_ptr<const Table> table;
    };

    void shrink();

    std::size_t most_slots_;
    std::size_t most_tables_;
    std::list<Entry> entries_;  ///< the one used last stands first
    std::size_t slots_ = 0;
    std::uint64_t hits_ = 0;
    std::uint64_t misses_ = 0;
};

}  // namespace dnsdirector::core
