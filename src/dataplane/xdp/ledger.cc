// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/ledger.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <sstream>

#include "dataplane/xdp/keys.h"

namespace dnsdirector::dataplane::xdp {
namespace {

constexpr const char* first_word = "dnsdirector-layout";

/// Reads `MAP PACKETS BYTES`; false where that is not what stands there.
bool read_counters(std::istream& words, Description::Counters& counters) {
    return static_cast<bool>(words >> counters.map >> counters.packets >> counters.bytes) &&
           counters.packets % sizeof(std::uint64_t) == 0 &&
           counters.bytes % sizeof(std::uint64_t) == 0;
}

/// Nothing where it stands for a way that this version does not know, or none at all.
std::optional<Hop> hop_in(const abi::member& entry, const IpAddress& server) {
    if (entry.hop == abi::HOP_UNKNOWN || entry.hop > abi::HOP_LOCAL || entry.ifindex == 0)
        return std::nullopt;
    Hop hop;
    hop.ifindex = entry.ifindex;
    hop.local = entry.hop == abi::HOP_LOCAL;
    if (hop.local) return hop;
    std::memcpy(hop.server.data(), entry.server_mac, sizeof entry.server_mac);
    std::memcpy(hop.own.data(), entry.own_mac, sizeof entry.own_mac);
    if (entry.hop == abi::HOP_DIRECT) return hop;
    hop.tags = tags_of(entry.tags);
    if (entry.hop != abi::HOP_TUNNEL) return hop;
    if (entry.source_bits > 32) return std::nullopt;
    const std::uint32_t entropy = static_cast<std::uint32_t>((1ULL << entry.source_bits) - 1);
    hop.tunnel = Tunnel{address_of(server.family(), entry.source), server, entropy, entry.mtu};
    return hop;
}

void put_hop(abi::member& entry, const Hop& hop) {
    entry.hop = abi::HOP_LOCAL;
    entry.ifindex = hop.ifindex;
    if (hop.local) return;
    std::memcpy(entry.server_mac, hop.server.data(), sizeof entry.server_mac);
    std::memcpy(entry.own_mac, hop.own.data(), sizeof entry.own_mac);
    entry.hop = count(hop.tags) == 0 ? abi::HOP_DIRECT : abi::HOP_TAGGED;
    const TagWords tags = words_of(hop.tags);
    std::copy(tags.begin(), tags.end(), entry.tags);
    if (!hop.tunnel) return;
    entry.hop = abi::HOP_TUNNEL;
    const Words source = words_of(hop.tunnel->source);
    std::copy(source.begin(), source.end(), entry.source);
    entry.mtu = hop.tunnel->mtu;
    entry.source_bits = static_cast<std::uint8_t>(std::popcount(hop.tunnel->entropy));
}

/// The number of the format stands first: those of other versions are left out.
std::optional<Description::Flows> read_flows(std::istream& words) {
    int format = 0;
    Description::Flows flows;
    if (!(words >> format) || format != abi::FLOWS_FORMAT ||
        !(words >> flows.established >> flows.young >> flows.control >> flows.states))
        return std::nullopt;
    return flows;
}
std::optional<Description::Tables> read_tables(std::istream& words) {
    int format = 0;
    Description::Tables tables;
    if (!(words >> format) || format != abi::TABLES_FORMAT ||
        !(words >> tables.services >> tables.table >> tables.previous >> tables.slots >>
          tables.destinations >> tables.counter))
        return std::nullopt;
    return tables;
}

}  // namespace

std::string own_description() {
    std::string text = fmt::format(
        "{} {}\nservices service_states {} {}\nservers server_counters {} {}\nreasons reasons",
        first_word, static_cast<int>(abi::ABI_VERSION), offsetof(abi::service_state, packets),
        offsetof(abi::service_state, bytes), offsetof(abi::count, packets),
        offsetof(abi::count, bytes));
#define REASON_NAME(name, verdict, words) text += " " #name;
    FOR_EACH_REASON(REASON_NAME)
#undef REASON_NAME
    return text + fmt::format(
                      "\nremembered {} flows young_flows flow_control flow_states\n"
                      "tables {} services {} {} slots destinations {}\n",
                      static_cast<int>(abi::FLOWS_FORMAT), static_cast<int>(abi::TABLES_FORMAT),
                      offsetof(abi::service, table), offsetof(abi::service, previous),
                      offsetof(abi::destination, counter));
}

Result<Description> parse_description(std::string_view text) {
    Description description;
    bool sound = true;
    std::istringstream lines{std::string{text.substr(0, text.find('\0'))}};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        std::string word;
        words >> word;
        if (word == first_word) {
            sound = sound && words >> description.layout;
        } else if (word == "services") {
            sound = sound && read_counters(words, description.services);
        } else if (word == "servers") {
            sound = sound && read_counters(words, description.servers);
        } else if (word == "reasons") {
            words >> description.reasons_map;
            while (words >> word)
                description.reasons.push_back(word);
        } else if (word == "remembered") {
            description.flows = read_flows(words);
        } else if (word == "tables") {
            description.tables = read_tables(words);
        }
    }
    if (!sound || description.layout == 0 || description.services.map.empty() ||
        description.servers.map.empty())
        return fail("it says not where its counters lie");
    return description;
}

Result<std::vector<MemberEntry>> member_entries(int members) {
    return entries_of<abi::member_key, abi::member>(members, "which servers the XDP plane knows");
}

Result<Ledger> read_ledger(int members) {
    const auto entries = member_entries(members);
    if (!entries) return tl::unexpected(entries.error());
    Ledger ledger;
    for (const auto& [name, entry] : *entries) {
        const auto key = service_key(name.service_address, name.where);
        if (!key || names_a_server(name)) continue;
        LedgerService& service = ledger[*key];
        // A scheduler of a later version: the engine puts this one's in its place.
        service.scheduler = scheduler_of(entry.scheduler).value_or(service.scheduler);
        service.method = method_of(entry.method).value_or(service.method);
        service.other_hash = entry.other_hash != 0;
        service.counter = entry.counter;
    }
    for (const auto& [name, entry] : *entries) {
        const auto key = service_key(name.service_address, name.where);
        const auto service = key ? ledger.find(*key) : ledger.end();
        if (service == ledger.end() || !names_a_server(name)) continue;
        const Endpoint server = server_of(name);
        service->second.members[server] = {entry.counter, entry.weight,
                                           method_of(entry.method).value_or(service->second.method),
                                           entry.forwarded != 0, hop_in(entry, server.address)};
    }
    return ledger;
}

abi::member ledger_entry(const LedgerMember& member) {
    abi::member entry{};
    entry.counter = member.counter;
    entry.weight = member.weight;
    entry.forwarded = member.forwarded ? 1 : 0;
    entry.method = static_cast<std::uint8_t>(member.method);
    if (member.hop) put_hop(entry, *member.hop);
    return entry;
}

abi::member ledger_entry(const LedgerService& service) {
    abi::member entry{};
    entry.counter = service.counter;
    entry.scheduler = static_cast<std::uint8_t>(service.scheduler);
    entry.method = static_cast<std::uint8_t>(service.method);
    entry.other_hash = service.other_hash ? 1 : 0;
    return entry;
}

abi::member_key ledger_key(const core::ServiceKey& service) {
    abi::member_key key{};
    const Words words = words_of(service.address);
    std::memcpy(key.service_address, words.data(), sizeof key.service_address);
    key.where = where_of(service);
    return key;
}

bool names_a_server(const abi::member_key& key) {
    return key.server_address[0] != 0 || key.server_address[1] != 0 || key.port != 0;
}

std::optional<core::Scheduler> scheduler_of(std::uint8_t number) {
    if (number > static_cast<std::uint8_t>(core::Scheduler::nq)) return std::nullopt;
    return static_cast<core::Scheduler>(number);
}
std::optional<core::ForwardingMethod> method_of(std::uint8_t number) {
    if (number > static_cast<std::uint8_t>(core::ForwardingMethod::nat)) return std::nullopt;
    return static_cast<core::ForwardingMethod>(number);
}

}  // namespace dnsdirector::dataplane::xdp
