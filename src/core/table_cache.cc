// SPDX-License-Identifier: Apache-2.0
#include "core/table_cache.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::core {
namespace {

std::uint64_t hash_of(const std::vector<Destination>& destinations) {
    std::uint64_t hash = destinations.size();
    for (const Destination& destination : destinations) {
        // FNV-1a's prime on whole words; std::hash has mixed the address well.
        hash = (hash ^ std::hash<Endpoint>{}(destination.server)) * 0x100000001b3ULL;
        hash = (hash ^ destination.weight) * 0x100000001b3ULL;
        hash ^= hash >> 29;
    }
    return hash;
}

}  // namespace

std::shared_ptr<const Table> TableCache::get(const ServiceForwarding& service) {
    const std::uint64_t hash = hash_of(service.destinations);
    const bool by_packet = per_packet(service);
    const bool equal_weights = service.scheduler == Scheduler::rr;
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return entry.hash == hash && entry.per_packet == by_packet &&
               entry.equal_weights == equal_weights && entry.destinations == service.destinations;
    });
    if (found != entries_.end()) {
        ++hits_;
        entries_.splice(entries_.begin(), entries_, found);
        return entries_.front().table;
    }
    ++misses_;
    auto table = std::make_shared<const Table>(build_table(service));
    if (table->slots.size() > most_slots_) return table;  // it would drive all others out
    slots_ += table->slots.size();
    entries_.push_front({hash, by_packet, equal_weights, service.destinations, table});
    shrink();
    return table;
}

void TableCache::shrink() {
    while (!entries_.empty() && (entries_.size() > most_tables_ || slots_ > most_slots_)) {
        slots_ -= entries_.back().table->slots.size();
        entries_.pop_back();
    }
}

}  // namespace dnsdirector::core
