// SPDX-License-Identifier: Apache-2.0
//
// The part of Services that keeps flows with their servers: which slots changed
// hands, the table before a change, and where each server is reached (bpf/flow.h).
#include <algorithm>
#include <atomic>

#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {
namespace {

constexpr std::uint16_t moved = abi::SLOT_MOVED;

void store(__u64& word, __u64 value) {
    std::atomic_ref<__u64>{word}.store(value, std::memory_order_release);
}

}  // namespace

bool Services::remembers(const core::ServiceKey& key) const {
    return maps_->remembers_flows() && key.protocol == Protocol::tcp;
}

/// Whether any packet was forwarded for the service, so that there may be flows. A director that
/// has just started gets its servers one by one; flows that come to it later, from another
/// director, are to be sent by the table that both have, not by one of those steps.
bool Services::has_served(const Entry& entry) const {
    const auto& [key, service] = entry;
    const auto& before = maps_->base().counts().services;
    if (const auto found = before.find(key); found != before.end() && found->second.packets != 0)
        return true;
    const auto packets = first_word_per_cpu(maps_->fd(MapId::service_states), service.record,
                                            sizeof(abi::service_state) / sizeof(std::uint64_t));
    return !packets || *packets != 0;
}

/// Marks the slots of the new table whose flows may be with another server than
/// the one that now stands there. Whether this change moves any.
bool Services::mark_moves(const MirrorService& service, Range records, Range blocks,
                          std::uint32_t length) {
    if (!visible_[service.record]) return false;  // nobody has been served yet
    const std::uint64_t word = maps_->services()[service.record].table;
    const std::uint32_t old_length = abi::table_length(word);
    std::uint16_t* const slots = maps_->slots().data()[blocks.first].position;
    const Range old_blocks{abi::table_block(word), blocks_for(old_length)};
    if (old_length != length || old_blocks != service.blocks) {
        std::for_each_n(slots, length, [](std::uint16_t& slot) { slot |= moved; });
        return old_length != 0 && old_blocks == service.blocks;
    }
    const std::uint16_t* const old_slots = maps_->slots().data()[old_blocks.first].position;
    const auto destinations = maps_->destinations();
    const auto counter_of = [&](Range range, std::uint32_t position) {
        return position < range.length ? destinations[range.first + position].counter : 0;
    };
    bool any = false;
    for (std::uint32_t i = 0; i < length; ++i) {
        const auto before = static_cast<std::uint16_t>(old_slots[i] & ~moved);
        const bool moves = counter_of(service.records, before) != counter_of(records, slots[i]);
        if (moves || (old_slots[i] & moved) != 0) slots[i] |= moved;
        any = any || moves;
    }
    return any;
}

/// The table in force is about to be replaced. When that moves flows, it goes on
/// to serve those that nobody remembers, or the one before it does: of changes that
/// follow each other closely, the first one counts.
void Services::retire(Entry& entry, bool moves, TimePoint now) {
    auto& [key, service] = entry;
    if (!moves) {
        give_up(slots_, service.blocks);
        give_up(destinations_, service.records);
        return;
    }
    windows_[key] = now + previous_for;
    if (service.previous_blocks.length != 0) {
        give_up(slots_, service.blocks);
        give_up(destinations_, service.records);
        return;
    }
    service.previous_blocks = service.blocks;
    service.previous_records = service.records;
    abi::service& in_kernel = maps_->services()[service.record];
    store(in_kernel.previous, in_kernel.table);
}

void Services::end_previous(MirrorService& service) {
    store(maps_->services()[service.record].previous, 0);
    give_up(slots_, service.previous_blocks);
    give_up(destinations_, service.previous_records);
    service.previous_blocks = service.previous_records = {};
}

/// When there is no room for a new table.
void Services::end_all_previous() {
    auto kept = std::exchange(given_up_, {});
    for (auto& [key, service] : mirror_)
        end_previous(service);
    windows_.clear();
    rest({});
    given_up_ = std::move(kept);
}

/// What a predecessor kept, or what this one does and has just read back.
void Services::adopt_previous(Entry& entry) {
    auto& [key, service] = entry;
    if (service.previous_blocks.length == 0) return;
    const bool free = slots_.take_exactly(service.previous_blocks);
    if (!free || !destinations_.take_exactly(service.previous_records)) {
        if (free) slots_.give_back(service.previous_blocks);
        service.previous_blocks = service.previous_records = {};
        store(maps_->services()[service.record].previous, 0);
        return;
    }
    windows_.try_emplace(key);
}

std::optional<TimePoint> Services::deadline() const {
    std::optional<TimePoint> first = grace_.deadline();
    for (const auto& [key, until] : windows_)
        if (!first || until.value_or(TimePoint{}) < *first) first = until.value_or(TimePoint{});
    return first;
}

void Services::on_deadline(TimePoint now) {
    grace_.release(now);
    for (auto at = windows_.begin(); at != windows_.end();) {
        auto& [key, until] = *at;
        if (!until) until = now + previous_for;
        if (now < *until) {
            ++at;
            continue;
        }
        end_previous(mirror_.at(key));
        just_closed_.insert(key);
        at = windows_.erase(at);
    }
    rest(now);
}

void Services::forget_moves(const std::vector<bool>& idle) {
    for (const auto& [key, service] : mirror_) {
        if (!remembers(key) || windows_.contains(key) || just_closed_.contains(key)) continue;
        if (!idle[service.record] || service.blocks.length == 0) continue;
        std::uint16_t* const slots = maps_->slots().data()[service.blocks.first].position;
        std::for_each_n(slots, abi::table_length(maps_->services()[service.record].table),
                        [](std::uint16_t& slot) {
                            if ((slot & moved) != 0)
                                std::atomic_ref{slot}.store(slot & ~moved,
                                                            std::memory_order_relaxed);
                        });
    }
    just_closed_.clear();
}

/// Where its flows find a server that has no weight any more, too.
void Services::set_home(const MirrorService& service, const Member& member) {
    store(maps_->homes()[member.counter].word, member.forwarded && member.record != 0
                                                   ? abi::home_word(member.record, service.record)
                                                   : 0);
}

}  // namespace dnsdirector::dataplane::xdp
