// SPDX-License-Identifier: Apache-2.0
//
// What bpf/path.h does with a packet, in user space: the same directory, the
// same hashes (bpf/hash.h), the same table in the same memory.
#include <arpa/inet.h>

#include <algorithm>

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
    if (choice.slots == 0) return choice;

    const std::uint32_t first_block = abi::table_block(table);
    const auto blocks = maps_->slots();
    if (std::size_t{first_block} + blocks_for(choice.slots) > blocks.size())
        return fail("the table of {} is damaged; it is repaired within seconds",
                    flow.service.to_string());
    const std::uint16_t* positions = blocks.data()[first_block].position;
    const std::vector<Endpoint> servers = servers_of(entry->second, abi::table_record(table));
    std::vector<std::uint32_t> turns(servers.size());
    for (std::uint32_t slot = 0; slot < choice.slots; ++slot)
        if (positions[slot] < turns.size()) ++turns[positions[slot]];
    for (std::size_t i = 0; i < servers.size(); ++i)
        if (turns[i] != 0) choice.shares.push_back({servers[i], turns[i]});

    if (service.select == abi::SELECT_CURSOR) {
        choice.by = Choice::By::rotation;
        return choice;
    }
    const bool source_only = service.select == abi::SELECT_SOURCE;
    choice.by = source_only ? Choice::By::source_hash : Choice::By::flow_hash;
    choice.slot = abi::slot_of_hash(hash_of(flow, source_only), choice.slots);
    const std::uint16_t position = positions[choice.slot];
    if (position >= servers.size())
        return fail("the table of {} is damaged; it is repaired within seconds",
                    flow.service.to_string());
    choice.server = servers[position];
    return choice;
}

}  // namespace dnsdirector::dataplane::xdp
