// SPDX-License-Identifier: Apache-2.0
//
// The part of Services that writes into the kernel's memory.
#include <atomic>

#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {

/// One new table for all that changed of a service. What it replaces may still
/// be read, and rests for the grace period.
Result<void> Services::commit(Entry& entry, TimePoint now) {
    auto& [key, service] = entry;
    auto renewed = renew_records(service);
    if (!renewed) return keep_old(renewed.error());

    const core::ServiceForwarding forwarding = forwarding_of_table(key, service);
    const auto built = tables_.get(forwarding);
    Range table;
    if (!built->slots.empty()) {
        auto range = take(slots_, static_cast<std::uint32_t>(built->slots.size()), "slots");
        if (!range) return keep_old(range.error());
        table = *range;
    }
    std::vector<std::uint32_t> records;
    records.reserve(forwarding.destinations.size());
    for (const auto& [server, member] : service.members)  // in the order of forwarding
        if (member.forwarded) records.push_back(member.record);
    std::uint32_t* slot = maps_->slots().data() + table.first;
    for (const std::uint32_t position : built->slots)
        *slot++ = records[position];

    give_up(slots_, service.table);
    put_in_force(entry, table);
    rest(now);
    if (visible_[service.record]) return {};
    auto published = directory_.publish(service.record);
    visible_[service.record] = published.has_value();
    return published;
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

void Services::put_in_force(Entry& entry, Range table) {
    auto& [key, service] = entry;
    abi::service& in_kernel = maps_->services()[service.record];
    in_kernel.scheduler = static_cast<std::uint8_t>(service.scheduler);
    in_kernel.method = static_cast<std::uint8_t>(service.method);
    in_kernel.select = select_of(key, service.scheduler);
    service.table = table;
    std::atomic_ref<__u64>{in_kernel.table}.store(__u64{table.first} << 32 | table.length,
                                                  std::memory_order_release);
}

/// Gives each member that has work a record with its present next hop. Records
/// are never changed: the program may be copying one.
Result<void> Services::renew_records(MirrorService& service) {
    const auto destinations = maps_->destinations();
    for (auto& [server, member] : service.members) {
        if (!member.forwarded || member.weight == 0) {
            if (member.record != 0) give_up(destinations_, {std::exchange(member.record, 0), 1});
            continue;
        }
        const Hop* hop = hop_of_(server.address);
        if (hop == nullptr) continue;  // with the old one, if it had any
        if (member.record != 0 && hop_of(destinations[member.record]) == *hop) continue;
        if (auto opened = open_egress(hop->ifindex); !opened) return opened;
        auto fresh = take(destinations_, 1, "real_servers");
        if (!fresh) return tl::unexpected(fresh.error());
        destinations[fresh->first] = record_of(*hop, member.counter);
        if (member.record != 0) give_up(destinations_, {member.record, 1});
        member.record = fresh->first;
    }
    return {};
}

/// The program may send by this interface.
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
    return fail("no room left in the kernel's tables for {} more ({} in all): raise the limit {}",
                length, from.capacity(), limit);
}

Result<void> Services::write_member(const core::ServiceKey& key, const Endpoint& server,
                                    const Member& member) const {
    const abi::member_key name = member_key(key, server);
    const abi::member value{member.counter, member.weight, member.forwarded ? 1U : 0U, 0};
    if (bpf_map_update_elem(maps_->fd(MapId::members), &name, &value, BPF_ANY) != 0)
        return fail_errno("cannot remember " + server.to_string() + " of " + key.to_string() +
                              " in the kernel (limit real_servers)",
                          errno);
    return {};
}

void Services::forget_member(const core::ServiceKey& key, const Endpoint& server,
                             const Member& member) {
    const abi::member_key name = member_key(key, server);
    (void)bpf_map_delete_elem(maps_->fd(MapId::members), &name);
    give_up(counters_, {member.counter, 1});
    if (member.record != 0) give_up(destinations_, {member.record, 1});
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
