// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/services.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>
#include <type_traits>
#include <variant>

#include "dataplane/xdp/ledger.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// Reported for a service whose table is not what its weights say: no
/// configuration can hold it, so a comparison always finds a difference.
constexpr std::uint32_t impossible_weight = std::numeric_limits<std::uint32_t>::max();

constexpr std::size_t words_of_state = sizeof(abi::service_state) / sizeof(std::uint64_t);
constexpr std::size_t words_of_count = sizeof(abi::count) / sizeof(std::uint64_t);

/// An element of these sums as the kernel program's struct.
template <typename T>
Count count_of(const std::vector<std::uint64_t>& sums, std::uint32_t index) {
    T element;
    std::memcpy(&element, sums.data() + std::size_t{index} * (sizeof(T) / sizeof(std::uint64_t)),
                sizeof element);
    return {element.packets, element.bytes};
}

template <typename Key>
void add_base(Count& count, const std::map<Key, Count>& base, const Key& key) {
    const auto found = base.find(key);
    if (found == base.end()) return;
    count.packets += found->second.packets;
    count.bytes += found->second.bytes;
}

}  // namespace

Services::Services(const Maps& maps, HopOf hop_of)
    : maps_(&maps),
      hop_of_(std::move(hop_of)),
      directory_(maps),
      visible_(maps.capacity(MapId::services)),
      service_records_(maps.capacity(MapId::services)),
      slots_(maps.capacity(MapId::slots)),
      destinations_(maps.capacity(MapId::destinations)),
      counters_(maps.capacity(MapId::server_counters)) {}

// ---- reading ------------------------------------------------------------------

Result<core::Forwarding> Services::read() {
    auto found = read_back(*maps_, directory_, tables_);
    if (!found) return tl::unexpected(found.error());
    const std::set<core::ServiceKey> broken = found->broken;
    adopt(std::move(*found));

    core::Forwarding forwarding;
    for (auto& entry : mirror_) {
        core::ServiceForwarding service = forwarding_of(entry.first, entry.second);
        const bool stale = std::any_of(
            entry.second.members.begin(), entry.second.members.end(),
            [&](const auto& member) { return outdated(member.first.address, member.second); });
        if (stale || broken.contains(entry.first)) {
            if (service.destinations.empty()) continue;  // left out: it will be added
            for (core::Destination& destination : service.destinations)
                destination.weight = impossible_weight;
        }
        forwarding.emplace(entry.first, std::move(service));
    }
    return forwarding;
}

/// Makes what was found the ground for later changes: who uses what.
void Services::adopt(ReadBack found) {
    mirror_ = std::move(found.mirror);
    for (Ranges* ranges : {&service_records_, &slots_, &destinations_, &counters_}) {
        ranges->reset(ranges->capacity());
        grace_.take_again(*ranges);
    }
    given_up_.clear();
    std::fill(visible_.begin(), visible_.end(), false);
    for (const std::uint32_t record : found.address_records) {
        (void)service_records_.take_exactly({record, 1});
        visible_[record] = true;
    }
    for (auto& [key, service] : mirror_) {
        (void)service_records_.take_exactly({service.record, 1});
        visible_[service.record] = true;
        for (const auto& [server, member] : service.members)
            (void)counters_.take_exactly({member.counter, 1});
        if (!found.in_ledger.contains(key)) (void)write_service(key, service);
    }
    // Ranges that two services name stay that one's whose table is sound.
    for (const bool sound : {true, false})
        for (auto& [key, service] : mirror_)
            if (found.broken.contains(key) != sound && !take_ranges(service)) {
                service.blocks = service.records = {};
                for (auto& [server, member] : service.members)
                    member.record = 0;
            }
    for (Entry& entry : mirror_)
        adopt_previous(entry);
    std::erase_if(windows_, [&](const auto& window) {
        const auto entry = mirror_.find(window.first);
        return entry == mirror_.end() || entry->second.previous_blocks.length == 0;
    });
    std::set<IpAddress> in_use;
    for (const auto& [key, service] : mirror_)
        if (in_use.insert(key.address).second) (void)hold_address(key.address);
    for (const std::uint32_t record : found.address_records) {
        const abi::service& in_kernel = maps_->services()[record];
        const Family family =
            in_kernel.where >> abi::WHERE_FAMILY_SHIFT == 4 ? Family::ipv4 : Family::ipv6;
        if (in_use.contains(address_of(family, in_kernel.address))) continue;
        directory_.unpublish(record);
        visible_[record] = false;
        service_records_.give_back({record, 1});
    }
}

bool Services::take_ranges(const MirrorService& service) {
    if (service.blocks.length != 0 && !slots_.take_exactly(service.blocks)) return false;
    if (service.records.length == 0 || destinations_.take_exactly(service.records)) return true;
    slots_.give_back(service.blocks);
    return false;
}

Hop Services::hop_in_table(std::uint32_t record) const {
    return hop_of(maps_->destinations()[record], maps_->tunnels()[record]);
}

std::map<Target, Hop> Services::hops_in_use() const {
    std::map<Target, Hop> hops;
    for (const auto& [key, service] : mirror_)
        for (const auto& [server, member] : service.members)
            if (member.record != 0)
                hops.emplace(Target{server.address, member.method}, hop_in_table(member.record));
    return hops;
}

std::vector<Hop> Services::ways_of(const core::ServiceKey& key) const {
    std::vector<Hop> ways;
    const auto entry = mirror_.find(key);
    if (entry == mirror_.end()) return ways;
    for (const auto& [server, member] : entry->second.members) {
        if (!member.forwarded || member.record == 0) continue;
        const Hop way = hop_in_table(member.record);
        if (way.local) continue;  // its stack is given the packet itself
        if (std::find(ways.begin(), ways.end(), way) == ways.end()) ways.push_back(way);
    }
    return ways;
}

Result<void> Services::count(Counters& counters) const {
    const auto of_services =
        sum_per_cpu(maps_->fd(MapId::service_states), service_records_.end(), words_of_state);
    if (!of_services) return tl::unexpected(of_services.error());
    const auto of_servers =
        sum_per_cpu(maps_->fd(MapId::server_counters), counters_.end(), words_of_count);
    if (!of_servers) return tl::unexpected(of_servers.error());
    const Counters& base = maps_->base().counts();
    for (const auto& [key, service] : mirror_) {
        const auto of_service = counters.services.emplace_hint(
            counters.services.end(), key,
            count_of<abi::service_state>(*of_services, service.record));
        add_base(of_service->second, base.services, key);
        for (const auto& [server, member] : service.members) {
            const auto of_server =
                counters.servers.emplace_hint(counters.servers.end(), std::pair{key, server},
                                              count_of<abi::count>(*of_servers, member.counter));
            add_base(of_server->second, base.servers, of_server->first);
        }
    }
    return {};
}

// ---- changing -----------------------------------------------------------------

/// A service that cannot be changed does not keep the others from it.
Result<void> Services::apply(std::span<const core::Change> changes, TimePoint now) {
    Result<void> result;
    while (!changes.empty()) {
        const core::ServiceKey& key = core::service_of(changes.front());
        const auto end = std::find_if(
            changes.begin(), changes.end(),
            [&](const core::Change& change) { return core::service_of(change) != key; });
        const auto own = changes.first(static_cast<std::size_t>(end - changes.begin()));
        if (auto done = apply_to_one_service(own, now); !done && result) result = done;
        changes = changes.subspan(own.size());
    }
    return result;
}

Result<void> Services::apply_to_one_service(std::span<const core::Change> changes, TimePoint now) {
    for (const core::Change& change : changes)
        if (auto done = apply_one(change, now); !done) return done;
    const auto entry = mirror_.find(core::service_of(changes.front()));
    return entry == mirror_.end() ? Result<void>{} : commit(*entry, now);
}

Result<void> Services::apply_one(const core::Change& change, TimePoint now) {
    return std::visit(
        [&](const auto& what) -> Result<void> {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, core::AddService>)
                return add_service(what);
            else if constexpr (std::is_same_v<What, core::EditService>)
                return add_service({what.key, what.scheduler, what.method, what.other_hash});
            else if constexpr (std::is_same_v<What, core::RemoveService>)
                return remove_service(what.key, now);
            else if constexpr (std::is_same_v<What, core::RemoveDestination>)
                return remove_destination(what.key, what.server);
            else
                return set_destination(what.key, what.destination);
        },
        change);
}

Result<void> Services::add_service(const core::AddService& change) {
    const core::ServiceKey& key = change.key;
    auto [entry, added] = mirror_.try_emplace(key);
    entry->second.scheduler = change.scheduler;
    entry->second.method = change.method;
    entry->second.other_hash = change.other_hash;
    if (!added) return {};
    auto record = take_service_record(key);
    auto ready =
        record ? clear_per_cpu(maps_->fd(MapId::service_states), record->first, words_of_state)
               : tl::unexpected(record.error());
    if (ready) ready = hold_address(key.address);
    if (!ready) {
        mirror_.erase(entry);
        return ready;
    }
    entry->second.record = record->first;
    abi::service fresh{};
    const Words words = words_of(key.address);
    std::copy(words.begin(), words.end(), fresh.address);
    fresh.where = where_of(key);
    maps_->services()[record->first] = fresh;
    return {};
}

Result<void> Services::remove_service(const core::ServiceKey& key, TimePoint now) {
    const auto entry = mirror_.find(key);
    if (entry == mirror_.end()) return {};
    MirrorService& service = entry->second;
    directory_.unpublish(service.record);
    visible_[service.record] = false;
    for (const auto& [server, member] : service.members)
        forget_member(key, server, member);
    const abi::member_key name = ledger_key(key);
    (void)bpf_map_delete_elem(maps_->fd(MapId::members), &name);
    maps_->base().forget(key, std::nullopt);
    give_up(slots_, service.blocks);
    give_up(destinations_, service.records);
    end_previous(service);
    windows_.erase(key);
    give_up(service_records_, {service.record, 1});
    mirror_.erase(entry);
    release_address(key.address);
    rest(now);
    return {};
}

Result<void> Services::set_destination(const core::ServiceKey& key,
                                       const core::Destination& destination) {
    const auto entry = mirror_.find(key);
    if (entry == mirror_.end()) return {};
    auto [at, added] = entry->second.members.try_emplace(destination.server);
    Member& member = at->second;
    if (added) {
        auto counter = take_counter(key, destination.server);
        auto ready = counter ? clear_per_cpu(maps_->fd(MapId::server_counters), counter->first,
                                             words_of_count)
                             : tl::unexpected(counter.error());
        if (!ready) {
            entry->second.members.erase(at);
            return ready;
        }
        member.counter = counter->first;
    } else if (member.forwarded && member.weight == destination.weight &&
               member.method == destination.method) {
        return {};
    }
    // Its record leads by the old method: no way at all is better.
    if (member.method != destination.method) member.record = 0;
    member.forwarded = true;
    member.weight = destination.weight;
    member.method = destination.method;
    return write_member(key, destination.server, member);
}

Result<void> Services::remove_destination(const core::ServiceKey& key, const Endpoint& server) {
    const auto entry = mirror_.find(key);
    if (entry == mirror_.end()) return {};
    const auto at = entry->second.members.find(server);
    if (at == entry->second.members.end()) return {};
    // Its counters stay: a server that a later configuration brings back counts on.
    at->second.forwarded = false;
    return write_member(key, server, at->second);
}

/// Has work, or flows that are left, and its table has not the way to it that is
/// known now.
bool Services::outdated(const IpAddress& server, const Member& member) const {
    if (!member.forwarded) return false;
    const Hop* hop = hop_of_({server, member.method});
    if (hop == nullptr) return false;
    return member.record == 0 || hop_in_table(member.record) != *hop;
}

Result<void> Services::refresh(std::span<const IpAddress> servers, TimePoint now) {
    const std::set<IpAddress> changed(servers.begin(), servers.end());
    const auto concerns = [&](const auto& entry) {
        const auto& [server, member] = entry;
        return changed.contains(server.address) && outdated(server.address, member);
    };
    for (Entry& entry : mirror_)
        if (std::any_of(entry.second.members.begin(), entry.second.members.end(), concerns))
            if (auto done = commit(entry, now); !done) return done;
    return {};
}

/// Counters of servers that are not configured any more are kept as long as
/// there is room for them beside all that are.
void Services::track(std::span<const std::pair<core::ServiceKey, Endpoint>> servers,
                     TimePoint now) {
    const std::set<std::pair<core::ServiceKey, Endpoint>> tracked(servers.begin(), servers.end());
    const auto forgettable = [&](const core::ServiceKey& key, const auto& entry) {
        return !entry.second.forwarded && !tracked.contains({key, entry.first});
    };
    std::size_t leftovers = 0;
    for (const auto& [key, service] : mirror_)
        for (const auto& entry : service.members)
            leftovers += forgettable(key, entry) ? 1 : 0;
    if (leftovers == 0 || tracked.size() + leftovers < counters_.capacity()) return;
    for (auto& [key, service] : mirror_)
        std::erase_if(service.members, [&, &of = key](const auto& entry) {
            if (!forgettable(of, entry)) return false;
            forget_member(of, entry.first, entry.second);
            return true;
        });
    rest(now);  // none of them stands in a table
}

}  // namespace dnsdirector::dataplane::xdp
