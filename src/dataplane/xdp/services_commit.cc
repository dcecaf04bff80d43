// SPDX-License-Identifier: Apache-2.0
//
// The part of Services that writes into the kernel's memory.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>

#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {

/// One new table for all that changed of a service. What it replaces may still
/// be read, and rests for the grace period.
Result<void> Services::commit(Entry& entry, TimePoint now) {
    auto& [key, service] = entry;
    const auto count = static_cast<std::uint32_t>(
        std::count_if(service.members.begin(), service.members.end(),
                      [](const auto& member) { return member.second.forwarded; }));
    if (count > abi::TABLE_RECORDS_MAX)
        return keep_old(
            {fmt::format("{} has {} real servers; the XDP plane takes at most {}", key.to_string(),
                         count, static_cast<int>(abi::TABLE_RECORDS_MAX))});
    std::vector<std::uint32_t> before;
    before.reserve(service.members.size());
    for (const auto& [server, member] : service.members)
        before.push_back(member.record);
    const auto records = write_records(entry, count);
    if (!records) return keep_old(records.error());
    const auto table = tables_.get(forwarding_of_table(key, service));
    const auto blocks = write_slots(*table);
    if (!blocks) {
        destinations_.give_back(*records);
        auto record = before.begin();
        for (auto& [server, member] : service.members)
            member.record = *record++;
        return keep_old(blocks.error());
    }
    const auto length = static_cast<std::uint32_t>(table->slots.size());
    const bool may_move = remembers(key) && has_served(entry);
    retire(entry, may_move && mark_moves(service, *records, *blocks, length), now);
    put_in_force(entry, *records, *blocks, length);
    rest(now);
    if (visible_[service.record]) return {};
    auto published = directory_.publish(service.record);
    visible_[service.record] = published.has_value();
    return published;
}

/// One for each forwarded member, with its present next hop, or the last one.
/// Records are never changed in place: the program may be copying one.
Result<Range> Services::write_records(Entry& entry, std::uint32_t count) {
    auto& [key, service] = entry;
    if (count == 0) return Range{};
    const auto range = take(destinations_, count, "real_servers");
    if (!range) return range;
    const auto destinations = maps_->destinations();
    std::uint32_t record = range->first;
    for (auto& [server, member] : service.members) {
        if (!member.forwarded) {
            member.record = 0;
            continue;
        }
        const Hop* known = hop_of_({server.address, member.method});
        Hop hop;
        if (known != nullptr)
            hop = *known;
        else if (member.record != 0)
            hop = hop_in_table(member.record);
        if (hop.ifindex != 0 && !hop.local)
            if (auto opened = open_egress(hop.ifindex); !opened) {
                spdlog::error("{}: {}", server.to_string(), opened.error().message);
                hop = {};
            }
        const Hop before = member.record != 0 ? hop_in_table(member.record) : Hop{};
        destinations[record] = record_of(hop, member.counter);
        if (hop.tunnel) maps_->tunnels()[record] = outer_of(hop);
        member.record = hop.ifindex != 0 ? record : 0;
        if (hop != before) (void)write_member(key, server, member);
        ++record;
    }
    return range;
}

Result<Range> Services::write_slots(const core::Table& table) {
    if (table.slots.empty()) return Range{};
    const auto range =
        take(slots_, blocks_for(static_cast<std::uint32_t>(table.slots.size())), "slots");
    if (!range) return range;
    // Blocks follow each other without a gap.
    __u16* slot = maps_->slots().data()[range->first].position;
    for (const std::uint32_t position : table.slots)
        *slot++ = static_cast<__u16>(position);
    return range;
}

/// What no table in force will name after the next store.
void Services::give_up(Ranges& owner, Range range) {
    if (range.length != 0) given_up_.emplace_back(&owner, range);
}
void Services::rest(TimePoint now) {
    for (const auto& [owner, range] : given_up_)
        grace_.give_back(*owner, range, now);
    given_up_.clear();
}
/// The old table stays, and so must what it names; the next read() finds what is
/// really in use.
Result<void> Services::keep_old(Error error) {
    given_up_.clear();
    return tl::unexpected(std::move(error));
}

void Services::put_in_force(Entry& entry, Range records, Range blocks, std::uint32_t length) {
    auto& [key, service] = entry;
    abi::service& in_kernel = maps_->services()[service.record];
    const abi::service before = in_kernel;
    in_kernel.scheduler = static_cast<std::uint8_t>(service.scheduler);
    in_kernel.method = static_cast<std::uint8_t>(service.method);
    in_kernel.select =
        select_of(key, service.scheduler, service.other_hash, maps_->remembers_flows());
    std::atomic_ref<__u32>{in_kernel.local}.store(local_counter(service),
                                                  std::memory_order_release);
    for (const auto& [server, member] : service.members)
        set_home(service, member);
    if (!visible_[service.record] || before.scheduler != in_kernel.scheduler ||
        before.method != in_kernel.method || before.select != in_kernel.select)
        if (auto written = write_service(key, service); !written)
            spdlog::error("{}", written.error().message);
    service.records = records;
    service.blocks = blocks;
    std::atomic_ref<__u64>{in_kernel.table}.store(
        abi::table_word(blocks.first, records.first, length), std::memory_order_release);
}

/// Of the server that is this machine: also while it is out, since another
/// director may not have noticed yet.
std::uint32_t Services::local_counter(const MirrorService& service) const {
    for (const auto& [server, member] : service.members)
        if (const Hop* hop = hop_of_({server.address, member.method}); hop != nullptr && hop->local)
            return member.counter;
    return 0;
}

Result<void> Services::open_egress(std::uint32_t ifindex) {
    if (egress_.contains(ifindex)) return {};
    const bpf_devmap_val value{ifindex, {0}};
    if (bpf_map_update_elem(maps_->fd(MapId::egress), &ifindex, &value, BPF_ANY) != 0)
        return fail_errno(fmt::format("cannot forward by the interface with index {}", ifindex),
                          errno);
    egress_.insert(ifindex);
    return {};
}

Result<Range> Services::take(Ranges& from, std::uint32_t length, const char* limit) {
    if (const auto range = from.take(length)) return *range;
    // What was given back in the last second fills it: don't wait for the timer.
    if (grace_.hurry())
        if (const auto range = from.take(length)) return *range;
    // Nor keep what flows that are older than a change would go by.
    end_all_previous();
    if (grace_.hurry())
        if (const auto range = from.take(length)) return *range;
    return fail("no room left in the kernel's tables for {} more ({} in all): raise the limit {}",
                length, from.capacity(), limit);
}

Result<void> Services::write_member(const core::ServiceKey& key, const Endpoint& server,
                                    const Member& member) const {
    const abi::member_key name = member_key(key, server);
    LedgerMember what{member.counter, member.weight, member.method, member.forwarded, std::nullopt};
    if (member.record != 0) what.hop = hop_in_table(member.record);
    const abi::member value = ledger_entry(what);
    if (bpf_map_update_elem(maps_->fd(MapId::members), &name, &value, BPF_ANY) != 0)
        return fail_errno("cannot remember " + server.to_string() + " of " + key.to_string() +
                              " in the kernel (limit real_servers)",
                          errno);
    return {};
}

Result<void> Services::write_service(const core::ServiceKey& key,
                                     const MirrorService& service) const {
    const abi::member_key name = ledger_key(key);
    const abi::member value =
        ledger_entry({service.scheduler, service.method, service.other_hash, service.record, {}});
    if (bpf_map_update_elem(maps_->fd(MapId::members), &name, &value, BPF_ANY) != 0)
        return fail_errno("cannot remember " + key.to_string() + " in the kernel (limit services)",
                          errno);
    return {};
}

void Services::forget_member(const core::ServiceKey& key, const Endpoint& server,
                             const Member& member) {
    const abi::member_key name = member_key(key, server);
    (void)bpf_map_delete_elem(maps_->fd(MapId::members), &name);
    std::atomic_ref<__u64>{maps_->homes()[member.counter].word}.store(0);
    maps_->base().forget(key, server);
    give_up(counters_, {member.counter, 1});
}

/// Packets without ports (fragments) are recognised by the address alone.
Result<void> Services::hold_address(const IpAddress& address) {
    const Words words = words_of(address);
    if (directory_.find(words, where_of(address)) != 0) return {};
    auto record = take(service_records_, 1, "services");
    if (!record) return tl::unexpected(record.error());
    abi::service fresh{};
    std::copy(words.begin(), words.end(), fresh.address);
    fresh.where = where_of(address);
    maps_->services()[record->first] = fresh;
    visible_[record->first] = true;
    return directory_.publish(record->first);
}

void Services::release_address(const IpAddress& address) {
    // Keys order by address first.
    const auto other = mirror_.lower_bound({address, 0, Protocol::udp});
    if (other != mirror_.end() && other->first.address == address) return;
    const std::uint32_t record = directory_.find(words_of(address), where_of(address));
    if (record == 0) return;
    directory_.unpublish(record);
    visible_[record] = false;
    give_up(service_records_, {record, 1});
}

}  // namespace dnsdirector::dataplane::xdp
