// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <optional>

#include "dataplane/xdp/ledger.h"
#include "dataplane/xdp/mirror.h"

namespace dnsdirector::dataplane::xdp {
namespace {

class Reader {
public:
    Reader(const Maps& maps, Directory& directory, core::TableCache& tables)
        : maps_(maps), directory_(directory), tables_(tables) {}

    Result<ReadBack> read() {
        for (const std::uint32_t record : directory_.repair())
            take_in(record);
        if (auto done = read_members(); !done) return tl::unexpected(done.error());
        for (auto& [key, service] : found_.mirror)
            if (!read_table(key, service)) {
                for (auto& [server, member] : service.members)
                    member.record = 0;
                keep_what_is_in_force(service);
                found_.broken.insert(key);
            }
        return std::move(found_);
    }

private:
    void take_in(std::uint32_t record) {
        const abi::service& in_kernel = maps_.services()[record];
        const Words words{in_kernel.address[0], in_kernel.address[1]};
        if (directory_.find(words, in_kernel.where) != record) {  // hidden behind a twin
            directory_.unpublish(record);
            return;
        }
        if (is_address_only(in_kernel.where)) {
            found_.address_records.push_back(record);
            return;
        }
        const auto key = service_key(in_kernel.address, in_kernel.where);
        const auto scheduler = scheduler_of(in_kernel.scheduler);
        const auto method = method_of(in_kernel.method);
        if (!key || !scheduler || !method) {
            directory_.unpublish(record);
            return;
        }
        MirrorService service;
        service.record = record;
        service.scheduler = *scheduler;
        service.method = *method;
        // No flag of its own in the kernel: it shows in how slots are chosen.
        service.other_hash = in_kernel.select != select_of(*key, *scheduler, false) &&
                             in_kernel.select == select_of(*key, *scheduler, true);
        found_.mirror.emplace(*key, std::move(service));
    }

    Result<void> read_members() {
        const auto entries = member_entries(maps_.fd(MapId::members));
        if (!entries) return tl::unexpected(entries.error());
        std::vector<bool> used(maps_.capacity(MapId::server_counters));
        for (const auto& [name, entry] : *entries) {
            const auto key = service_key(name.service_address, name.where);
            const auto service = key ? found_.mirror.find(*key) : found_.mirror.end();
            const bool known = service != found_.mirror.end();
            const std::uint32_t counter = entry.counter;
            if (known && !names_a_server(name)) {
                if (is_entry_of(service->second, entry)) found_.in_ledger.insert(*key);
                continue;
            }
            if (!known || counter == 0 || counter >= used.size() || used[counter]) {
                (void)bpf_map_delete_elem(maps_.fd(MapId::members), &name);
                continue;
            }
            Member& member = service->second.members[server_of(name)];
            member.counter = counter;
            member.weight = entry.weight;
            member.forwarded = entry.forwarded != 0;
            used[counter] = true;
        }
        return {};
    }

    /// Whether the table in force is the one that the weights ask for, record by
    /// record and slot by slot.
    bool read_table(const core::ServiceKey& key, MirrorService& service) {
        const abi::service& in_kernel = maps_.services()[service.record];
        const Range records{abi::table_record(in_kernel.table), forwarded_members(service)};
        const std::uint32_t length = abi::table_length(in_kernel.table);
        const Range blocks{abi::table_block(in_kernel.table), blocks_for(length)};
        if (in_kernel.select != select_of(key, service.scheduler, service.other_hash) ||
            !lies_in(records, maps_.destinations().size()) ||
            !lies_in(blocks, maps_.slots().size()) || !read_records(service, records))
            return false;
        const auto wanted = tables_.get(forwarding_of_table(key, service));
        const std::uint16_t* slots = maps_.slots().data()[blocks.first].position;
        if (wanted->slots.size() != length ||
            !std::equal(wanted->slots.begin(), wanted->slots.end(), slots))
            return false;
        service.blocks = blocks;
        service.records = records;
        return true;
    }

    /// A table that is not what it should be (a predecessor was killed between
    /// two steps of a change) is still being walked: until another one takes its
    /// place, nobody else may write where it lies.
    void keep_what_is_in_force(MirrorService& service) {
        const std::uint64_t word = maps_.services()[service.record].table;
        const std::uint32_t length = abi::table_length(word);
        const Range blocks{abi::table_block(word), blocks_for(length)};
        if (length == 0 || !lies_in(blocks, maps_.slots().size())) return;
        const std::uint16_t* slots = maps_.slots().data()[blocks.first].position;
        const Range records{abi::table_record(word),
                            *std::max_element(slots, slots + length) + std::uint32_t{1}};
        if (!lies_in(records, maps_.destinations().size())) return;
        service.blocks = blocks;
        service.records = records;
    }

    static bool is_entry_of(const MirrorService& service, const abi::member& entry) {
        const abi::member right = ledger_entry(
            {service.scheduler, service.method, service.other_hash, service.record, {}});
        return std::memcmp(&right, &entry, sizeof right) == 0;
    }

    static bool lies_in(Range range, std::size_t size) {
        return range.length == 0 ||
               (range.first != 0 && std::size_t{range.first} + range.length <= size);
    }

    static std::uint32_t forwarded_members(const MirrorService& service) {
        return static_cast<std::uint32_t>(
            std::count_if(service.members.begin(), service.members.end(),
                          [](const auto& member) { return member.second.forwarded; }));
    }

    bool read_records(MirrorService& service, Range records) {
        std::uint32_t record = records.first;
        for (auto& [server, member] : service.members) {
            if (!member.forwarded) continue;
            const abi::destination& in_kernel = maps_.destinations()[record];
            if (in_kernel.counter != member.counter) return false;
            member.record = in_kernel.ifindex != 0 ? record : 0;
            ++record;
        }
        return true;
    }

    const Maps& maps_;
    Directory& directory_;
    core::TableCache& tables_;
    ReadBack found_;
};

}  // namespace

std::uint32_t blocks_for(std::uint32_t slots) {
    return (slots + abi::SLOTS_PER_BLOCK - 1) / abi::SLOTS_PER_BLOCK;
}

core::ServiceForwarding forwarding_of_table(const core::ServiceKey& key,
                                            const MirrorService& service) {
    core::ServiceForwarding forwarding{
        key, service.scheduler, service.method, {}, service.other_hash};
    for (const auto& [server, member] : service.members)
        if (member.forwarded) forwarding.destinations.push_back({server, member.table_weight()});
    return forwarding;
}

core::ServiceForwarding forwarding_of(const core::ServiceKey& key, const MirrorService& service) {
    core::ServiceForwarding forwarding{
        key, service.scheduler, service.method, {}, service.other_hash};
    for (const auto& [server, member] : service.members)
        if (member.forwarded) forwarding.destinations.push_back({server, member.weight});
    return forwarding;
}

Result<ReadBack> read_back(const Maps& maps, Directory& directory, core::TableCache& tables) {
    return Reader{maps, directory, tables}.read();
}

}  // namespace dnsdirector::dataplane::xdp
