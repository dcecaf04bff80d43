// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/layout1.h"

#include <array>
#include <cstring>
#include <tuple>

#include "dataplane/xdp/keys.h"
#include "dataplane/xdp/maps.h"

// Frozen: tests/upgrade/layout1 is the program that wrote these.
namespace dnsdirector::dataplane::xdp::layout1 {
namespace {

constexpr std::size_t directory_size = 1 << 14;
constexpr int chain_max = 16;

struct Service {
    std::uint64_t address[2];
    std::uint32_t where;
    std::uint32_t next;
    std::uint64_t table;  // block (22 bits) | first record (21) | number of slots (21)
    std::uint32_t select;
    std::uint8_t scheduler;
    std::uint8_t method;
    std::uint8_t reserved[22];
};
struct Destination {
    std::uint8_t server_mac[6];
    std::uint8_t own_mac[6];
    std::uint32_t ifindex;
    std::uint32_t counter;
    std::uint32_t reserved[3];
};
struct Member {
    std::uint32_t counter;
    std::uint32_t weight;
    std::uint32_t forwarded;
    std::uint32_t reserved;
};

struct Pin {
    const char* name;
    std::uint32_t value_size;
};
constexpr std::array<Pin, 10> pins{{{"directory", directory_size * sizeof(std::uint16_t)},
                                    {"services", sizeof(Service)},
                                    {"slots", 64},
                                    {"destinations", sizeof(Destination)},
                                    {"service_states", 24},
                                    {"server_counters", 16},
                                    {"reasons", 8},
                                    {"egress", 8},
                                    {"members", sizeof(Member)},
                                    {"attachments", sizeof(abi::attachment)}}};

constexpr std::uint32_t select_flow = 1;
constexpr std::uint32_t select_source = 2;

/// A pinned array map in memory.
Result<Mapping> open_array(const std::string& path, std::size_t value_size) {
    const Fd map{bpf_obj_get(path.c_str())};
    if (!map) return fail_errno("cannot open the pinned BPF map " + path, errno);
    const auto info = info_of(map.get(), path);
    if (!info) return tl::unexpected(info.error());
    return map_memory_of(map.get(), info->max_entries * value_size);
}

class Reader {
public:
    Result<Ledger> read(const std::string& directory) {
        for (const auto& [name, size, mapping] :
             {std::tuple{"directory", sizeof(std::uint16_t) * directory_size, &directory_},
              std::tuple{"services", sizeof(Service), &services_},
              std::tuple{"destinations", sizeof(Destination), &destinations_}}) {
            auto opened = open_array(directory + "/" + name, size);
            if (!opened) return tl::unexpected(opened.error());
            *mapping = std::move(*opened);
        }
        for (const std::uint16_t first : directory_.as<std::uint16_t>())
            follow_chain(first);
        if (auto done = read_members(directory + "/members"); !done)
            return tl::unexpected(done.error());
        for (auto& [key, service] : ledger_)
            find_hops(service);
        return std::move(ledger_);
    }

private:
    void follow_chain(std::uint32_t record) {
        const auto services = services_.as<Service>();
        for (int step = 0; record != 0 && record < services.size() && step < chain_max; ++step) {
            take_in(record, services[record]);
            record = services[record].next;
        }
    }

    void take_in(std::uint32_t record, const Service& service) {
        const __u64 address[2] = {service.address[0], service.address[1]};
        const auto key = service_key(address, service.where);
        const auto scheduler = scheduler_of(service.scheduler);
        const auto method = method_of(service.method);
        if (!key || !scheduler || !method) return;
        const bool other_hash =
            *scheduler == core::Scheduler::sh
                ? service.select == select_flow
                : *scheduler == core::Scheduler::mh && service.select == select_source;
        ledger_.try_emplace(*key, LedgerService{*scheduler, *method, other_hash, record, {}});
    }

    Result<void> read_members(const std::string& path) {
        const Fd map{bpf_obj_get(path.c_str())};
        if (!map) return fail_errno("cannot open the pinned BPF map " + path, errno);
        const auto entries =
            entries_of<abi::member_key, Member>(map.get(), "the servers of layout 1");
        if (!entries) return tl::unexpected(entries.error());
        for (const auto& [name, member] : *entries) {
            const auto key = service_key(name.service_address, name.where);
            const auto service = key ? ledger_.find(*key) : ledger_.end();
            if (service != ledger_.end())
                service->second.members[server_of(name)] = {member.counter, member.weight,
                                                            service->second.method,
                                                            member.forwarded != 0, std::nullopt};
        }
        return {};
    }

    /// A table's records follow each other in the order of their servers.
    void find_hops(LedgerService& service) const {
        const std::uint64_t table = services_.as<Service>()[service.counter].table;
        std::size_t record = table >> 21 & ((1U << 21) - 1);
        for (auto& [server, member] : service.members) {
            if (!member.forwarded) continue;
            if (record >= destinations_.as<Destination>().size()) return;
            const Destination& to = destinations_.as<Destination>()[record++];
            // A killed director left the table of before the change: no hop is known.
            if (to.counter != member.counter) return;
            if (to.ifindex == 0) continue;
            member.hop.emplace();
            member.hop->ifindex = to.ifindex;
            std::memcpy(member.hop->server.data(), to.server_mac, sizeof to.server_mac);
            std::memcpy(member.hop->own.data(), to.own_mac, sizeof to.own_mac);
        }
    }

    Mapping directory_;
    Mapping services_;
    Mapping destinations_;
    Ledger ledger_;
};

}  // namespace

std::string_view description() {
    return "dnsdirector-layout 1\n"
           "services service_states 0 8\n"
           "servers server_counters 0 8\n"
           "reasons reasons no_server loop malformed fragment ipv6_extension vlan no_egress "
           "broken_table\n";
}

bool is_whole(const std::string& directory) {
    for (const Pin& pin : pins) {
        const std::string path = directory + "/" + pin.name;
        const Fd map{bpf_obj_get(path.c_str())};
        const auto info = info_of(map.get(), path);
        if (!info || info->value_size != pin.value_size) return false;
    }
    return true;
}

Result<Ledger> read(const std::string& directory) {
    return Reader{}.read(directory);
}

}  // namespace dnsdirector::dataplane::xdp::layout1
