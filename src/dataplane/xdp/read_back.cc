// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <atomic>
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
        for (auto& [key, service] : found_.mirror) {
            read_previous(service);
            if (!read_table(key, service)) {
                for (auto& [server, member] : service.members)
                    member.record = 0;
                keep_what_is_in_force(service);
                found_.broken.insert(key);
            }
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
        const std::uint32_t select = in_kernel.select & ~std::uint32_t{abi::SELECT_REMEMBERS};
        service.other_hash = select != select_of(*key, *scheduler, false, false) &&
                             select == select_of(*key, *scheduler, true, false);
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
            member.method = method_of(entry.method).value_or(service->second.method);
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
        if (in_kernel.select !=
                select_of(key, service.scheduler, service.other_hash, maps_.remembers_flows()) ||
            !lies_in(records, maps_.destinations().size()) ||
            !lies_in(blocks, maps_.slots().size()) || !read_records(service, records))
            return false;
        const auto wanted = tables_.get(forwarding_of_table(key, service));
        const std::uint16_t* slots = maps_.slots().data()[blocks.first].position;
        // Marks of flows are nobody's business but theirs.
        const unsigned marks =
            (in_kernel.select & abi::SELECT_REMEMBERS) != 0 ? unsigned{abi::SLOT_MOVED} : 0U;
        if (wanted->slots.size() != length ||
            !std::equal(wanted->slots.begin(), wanted->slots.end(), slots,
                        [=](std::uint32_t position, std::uint16_t slot) {
                            return position == (slot & ~marks);
                        }))
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
        const Range records = records_named(word, length);
        if (!lies_in(records, maps_.destinations().size())) return;
        service.blocks = blocks;
        service.records = records;
    }

    /// From the first one of the table to the last one that stands in it.
    [[nodiscard]] Range records_named(std::uint64_t word, std::uint32_t length) const {
        const std::uint16_t* slots = maps_.slots().data()[abi::table_block(word)].position;
        std::uint32_t last = 0;
        for (std::uint32_t i = 0; i < length; ++i)
            last = std::max<std::uint32_t>(last, slots[i] & ~abi::SLOT_MOVED);
        return {abi::table_record(word), last + 1};
    }

    /// The table before a change, if it is still of use.
    void read_previous(MirrorService& service) {
        abi::service& in_kernel = maps_.services()[service.record];
        const std::uint64_t word = in_kernel.previous;
        if (word == 0) return;
        const std::uint32_t length = abi::table_length(word);
        const Range blocks{abi::table_block(word), blocks_for(length)};
        if (length != 0 && lies_in(blocks, maps_.slots().size())) {
            const Range records = records_named(word, length);
            if (lies_in(records, maps_.destinations().size())) {
                service.previous_blocks = blocks;
                service.previous_records = records;
                return;
            }
        }
        std::atomic_ref<__u64>{in_kernel.previous}.store(0);
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
            if (maps_.homes()[member.counter].word !=
                (member.record != 0 ? abi::home_word(record, service.record) : 0))
                return false;
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
        if (member.forwarded)
            forwarding.destinations.push_back({server, member.weight, member.method});
    return forwarding;
}

Result<ReadBack> read_back(const Maps& maps, Directory& directory, core::TableCache& tables) {
    return Reader{maps, directory, tables}.read();
}

}  // namespace dnsdirector::dataplane::xdp
