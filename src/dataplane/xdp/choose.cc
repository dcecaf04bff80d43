// SPDX-License-Identifier: Apache-2.0
//
// What bpf/path.h does with a packet, in user space: the same directory, the
// same hashes (bpf/hash.h), the same table in the same memory.
#include <arpa/inet.h>

#include <algorithm>
#include <utility>

#include "dataplane/xdp/flows.h"
#include "dataplane/xdp/keys.h"
#include "dataplane/xdp/services.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// The first four bytes of the transport header, as one load gives them.
std::uint32_t ports_of(const Flow& flow) {
    return std::uint32_t{htons(flow.client.port)} | std::uint32_t{htons(flow.service.port)} << 16;
}

std::uint32_t hash_of(const Flow& flow, bool source_only) {
    const Words from = words_of(flow.client.address);
    const Words to = source_only ? Words{} : words_of(flow.service.address);
    const std::uint32_t ports = source_only ? 0 : ports_of(flow);
    if (flow.service.address.is_v4())
        return abi::flow_hash4(static_cast<std::uint32_t>(from[0]),
                               static_cast<std::uint32_t>(to[0]), ports);
    return abi::flow_hash6(from[0], from[1], to[0], to[1], ports);
}

/// The servers of a table by the position of their records in it.
std::vector<Endpoint> servers_of(const MirrorService& service, std::uint32_t first_record) {
    std::vector<Endpoint> servers;
    for (const auto& [server, member] : service.members) {
        if (!member.forwarded || member.record < first_record) continue;
        const std::size_t position = member.record - first_record;
        if (servers.size() <= position) servers.resize(position + 1);
        servers[position] = server;
    }
    return servers;
}

std::uint64_t name_of(const Flow& flow, const abi::flow_control& control, std::uint32_t service) {
    const Words from = words_of(flow.client.address);
    const std::uint16_t port = htons(flow.client.port);
    if (flow.service.address.is_v4())
        return abi::flow_name4(control.key, static_cast<std::uint32_t>(from[0]), port, service);
    return abi::flow_name6(control.key, from[0], from[1], port, service);
}

}  // namespace

Result<Choice> Services::choose(const Flow& flow) const {
    Choice choice;
    const std::uint32_t record =
        directory_.find(words_of(flow.service.address), where_of(flow.service));
    if (record == 0) return choice;
    const auto entry = mirror_.find(flow.service);
    if (entry == mirror_.end())
        return fail("{} is in the kernel's directory, but this director did not put it there",
                    flow.service.to_string());
    const abi::service& service = maps_->services()[record];
    const std::uint64_t table = service.table;
    choice.slots = abi::table_length(table);
    choice.by = Choice::By::nobody;
    if (choice.slots == 0) {
        choose_by_memory(flow, *entry, choice);
        return choice;
    }

    const std::uint32_t first_block = abi::table_block(table);
    const auto blocks = maps_->slots();
    if (std::size_t{first_block} + blocks_for(choice.slots) > blocks.size())
        return fail("the table of {} is damaged; it is repaired within seconds",
                    flow.service.to_string());
    const std::uint16_t* positions = blocks.data()[first_block].position;
    const std::vector<Endpoint> servers = servers_of(entry->second, abi::table_record(table));
    std::vector<std::uint32_t> turns(servers.size());
    const auto position_in = [&](std::uint32_t slot) { return positions[slot] & ~abi::SLOT_MOVED; };
    for (std::uint32_t slot = 0; slot < choice.slots; ++slot)
        if (const auto position = static_cast<std::size_t>(position_in(slot));
            position < turns.size())
            ++turns[position];
    for (std::size_t i = 0; i < servers.size(); ++i)
        if (turns[i] != 0) choice.shares.push_back({servers[i], turns[i]});

    if (service.select == abi::SELECT_CURSOR) {
        choice.by = Choice::By::rotation;
        return choice;
    }
    const bool source_only = (service.select & abi::SELECT_SOURCE) != 0;
    choice.by = source_only ? Choice::By::source_hash : Choice::By::flow_hash;
    choice.slot = abi::slot_of_hash(hash_of(flow, source_only), choice.slots);
    const auto position = static_cast<std::size_t>(position_in(choice.slot));
    if (position >= servers.size())
        return fail("the table of {} is damaged; it is repaired within seconds",
                    flow.service.to_string());
    choice.server = servers[position];
    if ((positions[choice.slot] & abi::SLOT_MOVED) != 0) choose_by_memory(flow, *entry, choice);
    return choice;
}

/// What bpf/flow.h does with a packet that is no SYN.
void Services::choose_by_memory(const Flow& flow, const Mirror::value_type& entry,
                                Choice& choice) const {
    const MirrorService& members = entry.second;
    const abi::service& service = maps_->services()[members.record];
    if ((service.select & abi::SELECT_REMEMBERS) == 0) return;
    const auto server_with = [&](std::uint32_t counter) -> std::optional<Endpoint> {
        for (const auto& [server, member] : members.members)
            if (counter != 0 && member.counter == counter && member.record != 0) return server;
        return std::nullopt;
    };
    if (const auto known = server_with(remembered_counter(
            *maps_, name_of(flow, maps_->flow_control(), members.record), members.record))) {
        choice.by_table = std::exchange(choice.server, known);
        choice.by = Choice::By::remembered;
        return;
    }
    const std::uint32_t length = abi::table_length(service.previous);
    if (members.previous_blocks.length == 0 || length == 0) return;
    const std::uint32_t slot =
        abi::slot_of_hash(hash_of(flow, (service.select & abi::SELECT_SOURCE) != 0), length);
    const std::uint16_t* positions = maps_->slots().data()[members.previous_blocks.first].position;
    const std::size_t record =
        members.previous_records.first + (positions[slot] & std::size_t{abi::SLOT_MOVED - 1});
    const auto before = record < maps_->destinations().size()
                            ? server_with(maps_->destinations()[record].counter)
                            : std::nullopt;
    if (!before || before == choice.server) return;
    choice.by_table = std::exchange(choice.server, before);
    choice.by = Choice::By::previous;
}

}  // namespace dnsdirector::dataplane::xdp
