// SPDX-License-Identifier: Apache-2.0
//
// The part of Services that takes over from another layout what its flows go by.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <map>

#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {

bool Services::keep_indices(const Ledger& ledger) {
    bool all = true;
    for (const auto& [key, old] : ledger) {
        if (!remembers(key)) continue;
        const auto own = mirror_.find(key);
        if (own != mirror_.end())
            all = all && own->second.record == old.counter;
        else if (service_records_.take_exactly({old.counter, 1}))
            kept_records_[key] = old.counter;
        else
            all = false;
        for (const auto& [server, member] : old.members) {
            if (own != mirror_.end())
                if (const auto known = own->second.members.find(server);
                    known != own->second.members.end()) {
                    all = all && known->second.counter == member.counter;
                    continue;
                }
            if (counters_.take_exactly({member.counter, 1}))
                kept_counters_[{key, server}] = member.counter;
            else
                all = false;
        }
    }
    return all;
}

Result<Range> Services::take_service_record(const core::ServiceKey& key) {
    if (const auto kept = kept_records_.extract(key)) return Range{kept.mapped(), 1};
    return take(service_records_, 1, "services");
}

Result<Range> Services::take_counter(const core::ServiceKey& key, const Endpoint& server) {
    if (const auto kept = kept_counters_.extract({key, server})) return Range{kept.mapped(), 1};
    return take(counters_, 1, "real_servers");
}

/// Marks the slots whose flows may be with another server than the one that stands
/// there. Whether one has another than before.
bool Services::mark_moves_since(const MirrorService& service, const OldTable& old) {
    const std::uint32_t length = abi::table_length(maps_->services()[service.record].table);
    if (length == 0) return false;
    std::uint16_t* const slots = maps_->slots().data()[service.blocks.first].position;
    const bool comparable = old.servers.size() == length;
    bool any = false;
    for (std::uint32_t i = 0; i < length; ++i) {
        const std::uint32_t position = slots[i] & ~std::uint32_t{abi::SLOT_MOVED};
        const std::uint32_t server =
            position < service.records.length
                ? maps_->destinations()[service.records.first + position].counter
                : 0;
        const bool moves = !comparable || old.servers[i] != server;
        if (moves || old.moved[i])
            std::atomic_ref{slots[i]}.store(static_cast<std::uint16_t>(slots[i] | abi::SLOT_MOVED),
                                            std::memory_order_relaxed);
        any = any || moves;
    }
    return any;
}

/// Of its records only the servers' counters are ever read (bpf/flow.h).
void Services::set_previous(Entry& entry, const OldTable& old, TimePoint now) {
    auto& [key, service] = entry;
    if (old.servers.empty() || service.previous_blocks.length != 0) return;
    std::map<std::uint32_t, std::uint32_t> positions;
    for (const std::uint32_t server : old.servers)
        positions.try_emplace(server, static_cast<std::uint32_t>(positions.size()));
    const auto count = static_cast<std::uint32_t>(positions.size());
    const auto length = static_cast<std::uint32_t>(old.servers.size());
    const auto records = take(destinations_, count, "real_servers");
    const auto blocks = records ? take(slots_, blocks_for(length), "slots") : records;
    if (!blocks) {
        if (records) destinations_.give_back(*records);
        spdlog::warn("{}: flows that nobody remembers go by the new table: {}", key.to_string(),
                     blocks.error().message);
        return;
    }
    for (const auto& [server, position] : positions) {
        abi::destination& record = maps_->destinations()[records->first + position];
        record = {};
        record.counter = server;
    }
    std::uint16_t* slot = maps_->slots().data()[blocks->first].position;
    for (const std::uint32_t server : old.servers)
        *slot++ = static_cast<std::uint16_t>(positions.at(server));
    service.previous_blocks = *blocks;
    service.previous_records = *records;
    windows_[key] = now + previous_for;
    std::atomic_ref<__u64>{maps_->services()[service.record].previous}.store(
        abi::table_word(blocks->first, records->first, length), std::memory_order_release);
}

void Services::take_over_moves(const OldTables& old, TimePoint now) {
    for (Entry& entry : mirror_) {
        if (!remembers(entry.first)) continue;
        const OldTable in_force = old.in_force(entry.second.record);
        const bool moves = mark_moves_since(entry.second, in_force);
        const OldTable before = old.before_change(entry.second.record);
        if (!before.servers.empty())
            set_previous(entry, before, now);
        else if (moves)
            set_previous(entry, in_force, now);
    }
}

void Services::end_keeping() {
    for (const auto& [key, record] : std::exchange(kept_records_, {}))
        service_records_.give_back({record, 1});
    for (const auto& [member, counter] : std::exchange(kept_counters_, {}))
        counters_.give_back({counter, 1});
}

}  // namespace dnsdirector::dataplane::xdp
