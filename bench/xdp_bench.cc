// SPDX-License-Identifier: Apache-2.0
//
// usage: xdp_bench [--json FILE] [--rounds N] [--loads N] [--only WORDS]
//
// Time of the forwarding program for one packet, by BPF_PROG_TEST_RUN, next to
// two yardsticks in the same run (bpf/bench.bpf.c): a bare swap of the MACs, and
// a floor that only makes the same look-ups, on constant keys, and swaps them.
// Tunnels have a floor of their own, which also makes room for an outer header.
// Of remembered flows there is a third, the floor with the buckets of 65,536 flows:
// what it takes to fetch them. They take turns in short runs and the medians are
// compared, since a shared machine is never still; and all of that several times,
// with the programs loaded anew, since where the kernel puts them is luck.
// Needs root and BPF; takes about two minutes.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "abi.h"
#include "core/table.h"
#include "hash.h"

namespace dnsdirector::dataplane::xdp::abi {
#include "bench.skel.h"
}  // namespace dnsdirector::dataplane::xdp::abi

namespace {

using namespace dnsdirector;
namespace abi = dnsdirector::dataplane::xdp::abi;

constexpr std::array<std::uint8_t, 6> own_mac{2, 0, 0, 0, 0, 1};
constexpr std::array<std::uint8_t, 6> other_mac{2, 0, 0, 0, 0, 2};
constexpr std::array<std::uint8_t, 6> client_mac{2, 0, 0, 0, 0, 7};
constexpr std::uint32_t most_servers = 1000;
constexpr std::uint32_t most_slots = 1 << 20;
constexpr std::uint32_t default_rounds = 7;
constexpr std::uint32_t default_loads = 5;
/// As many as the default of max_flows gives (src/dataplane/xdp/flows.h).
constexpr std::uint32_t flow_buckets = 262144 / 8;

enum class Packets : std::uint8_t {
    by_table,
    remembered,  ///< TCP of slots that changed hands: of flows that are remembered
    unknown,     ///< the same, of flows that are not
    not_for_us,
};

struct Scenario {
    Family family;
    Protocol protocol;
    bool many_flows;  ///< 65,536 instead of 1
    std::uint32_t servers;
    Packets packets = Packets::by_table;
    bool tunnel = false;

    [[nodiscard]] std::string name() const {
        if (!for_us())
            return fmt::format("{} {}, not for a service", to_string(family), protocol_name());
        return fmt::format("{} {}{}{}, {} flow{}, {} servers", to_string(family), protocol_name(),
                           tunnel ? " TUN" : "",
                           packets == Packets::remembered ? " remembered"
                           : packets == Packets::unknown  ? " unknown"
                                                          : "",
                           many_flows ? "65536" : "1", many_flows ? "s" : "", servers);
    }
    [[nodiscard]] bool for_us() const { return packets != Packets::not_for_us; }
    /// All slots have the mark SLOT_MOVED.
    [[nodiscard]] bool remembers() const {
        return packets == Packets::remembered || packets == Packets::unknown;
    }
    [[nodiscard]] const char* protocol_name() const {
        return protocol == Protocol::udp ? "UDP" : "TCP";
    }
    /// What the project promises: over the floor, or (not for a service) the swap.
    [[nodiscard]] double limit() const {
        if (!for_us()) return 3.0;
        return packets == Packets::unknown ? 2.5 : 1.4;
    }
};

/// Nanoseconds for one packet: of each run, or the medians of them.
enum Program : std::uint8_t { swap_macs, floor_of_path, director, reach };
constexpr std::size_t program_count = 4;
using Runs = std::array<std::vector<double>, program_count>;
using Figures = std::array<double, program_count>;  ///< 0: it has no such program

Figures medians(Runs runs) {
    Figures figures{};
    for (std::size_t i = 0; i < program_count; ++i) {
        if (runs[i].empty()) continue;
        const auto middle = runs[i].begin() + static_cast<std::ptrdiff_t>(runs[i].size() / 2);
        std::nth_element(runs[i].begin(), middle, runs[i].end());
        figures[i] = *middle;
    }
    return figures;
}

constexpr int cannot = 77;  ///< exit status: could not run here

[[noreturn]] void give_up(const std::string& what, int status = 1) {
    fmt::print(stderr, "xdp_bench: {}\n", what);
    std::exit(status);
}

template <typename T>
T* map_memory(const bpf_map* map, std::size_t count) {
    void* memory =
        mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    if (memory == MAP_FAILED) give_up("cannot map a BPF map into memory");
    return static_cast<T*>(memory);
}

std::array<std::uint8_t, 16> service_address(Family family) {
    std::array<std::uint8_t, 16> bytes{};
    inet_pton(family == Family::ipv4 ? AF_INET : AF_INET6,
              family == Family::ipv4 ? "192.0.2.53" : "2001:db8::53", bytes.data());
    return bytes;
}

/// A query of 40 bytes.
std::vector<std::uint8_t> packet_for(const Scenario& scenario) {
    std::vector<std::uint8_t> packet;
    const auto put = [&](const void* data, std::size_t size) {
        const auto* bytes = static_cast<const std::uint8_t*>(data);
        packet.insert(packet.end(), bytes, bytes + size);
    };
    const auto put16 = [&](std::size_t value) {
        const std::uint16_t network = htons(static_cast<std::uint16_t>(value));
        put(&network, sizeof network);
    };
    const bool v4 = scenario.family == Family::ipv4;
    const bool udp = scenario.protocol == Protocol::udp;
    const std::size_t transport = (udp ? 8U : 20U) + 40U;
    put(own_mac.data(), 6);
    put(client_mac.data(), 6);
    put16(v4 ? 0x0800 : 0x86dd);
    const auto service = service_address(scenario.family);
    const std::uint8_t number = udp ? 17 : 6;
    if (v4) {
        put("\x45", 2);
        put16(20 + transport);
        put("\0\0\0\0\x40", 5);
        put(&number, 1);
        put("\0\0\xc6\x33\x64\x07", 6);
        put(service.data(), 4);
    } else {
        put("\x60\0\0\0", 4);
        put16(transport);
        put(&number, 1);
        put("\x40", 1);
        put("\x20\x01\x0d\xb8\0\x07\0\0\0\0\0\0\0\0\0\x07", 16);
        put(service.data(), 16);
    }
    put16(4000);
    put16(scenario.for_us() ? 53 : 5353);
    std::vector<std::uint8_t> rest(transport - 4);
    if (udp) rest[1] = static_cast<std::uint8_t>(transport);
    if (!udp) rest[9] = scenario.packets == Packets::unknown ? 0x02 : 0x18;  // SYN; ACK, PSH
    put(rest.data(), rest.size());
    return packet;
}

class Bench {
public:
    Bench() {
        skeleton_ = abi::bench__open();
        if (skeleton_ == nullptr) give_up("cannot open the BPF object");
        bpf_map__set_max_entries(skeleton_->maps.services, 4096);
        bpf_map__set_max_entries(skeleton_->maps.slots, most_slots / abi::SLOTS_PER_BLOCK);
        bpf_map__set_max_entries(skeleton_->maps.destinations, 65536);
        bpf_map__set_max_entries(skeleton_->maps.tunnels, 65536);
        bpf_map__set_max_entries(skeleton_->maps.insiders, 64);
        bpf_map__set_max_entries(skeleton_->maps.service_states, 4096);
        bpf_map__set_max_entries(skeleton_->maps.server_counters, 65536);
        bpf_map__set_max_entries(skeleton_->maps.homes, 65536);
        bpf_map__set_max_entries(skeleton_->maps.flows, flow_buckets);
        bpf_map__set_max_entries(skeleton_->maps.young_flows, flow_buckets / 4);
        abi::instance instance{};
        std::memcpy(&instance.mac_first, own_mac.data(), 4);
        std::memcpy(&instance.mac_last, own_mac.data() + 4, 2);
        instance.ifindex = 1;
        instance.flags = abi::INSTANCE_TRANSMIT;
        std::memcpy(&skeleton_->rodata->instance, &instance, sizeof instance);
        if (const int error = -abi::bench__load(skeleton_); error != 0)
            give_up(fmt::format("the kernel refused the BPF programs ({}): this needs root, and a "
                                "kernel with BPF",
                                std::strerror(error)),
                    error == EPERM || error == EACCES || error == ENOSYS ? cannot : 1);
        services_ = map_memory<abi::service>(skeleton_->maps.services, 4096);
        blocks_ =
            map_memory<abi::slot_block>(skeleton_->maps.slots, most_slots / abi::SLOTS_PER_BLOCK);
        destinations_ = map_memory<abi::destination>(skeleton_->maps.destinations, 65536);
        tunnels_ = map_memory<abi::tunnel>(skeleton_->maps.tunnels, 65536);
        homes_ = map_memory<abi::home>(skeleton_->maps.homes, 65536);
        flows_ = map_memory<abi::flow_bucket>(skeleton_->maps.flows, flow_buckets);
        young_ = map_memory<abi::flow_bucket>(skeleton_->maps.young_flows, flow_buckets / 4);
    }
    ~Bench() { abi::bench__destroy(skeleton_); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    /// Adds the runs of so many rounds.
    void measure(const Scenario& scenario, std::uint32_t rounds, Runs& runs) {
        fill(scenario);
        const std::vector<std::uint8_t> packet = packet_for(scenario);
        const Programs programs = programs_for(scenario);
        const std::uint32_t expected = scenario.for_us() ? XDP_TX : XDP_PASS;
        // Every flow several times in each run.
        const int repeat = scenario.many_flows ? 3 * 65536 : 50'000;
        if (run(programs[director], packet, 1) < 0 || verdict_ != expected ||
            run(programs[director], packet, 1000) < 0 || verdict_ != expected)
            give_up(fmt::format("{}: the program's verdict is {} instead of {}", scenario.name(),
                                verdict_, expected));
        if (scenario.packets == Packets::remembered) establish(programs[director], packet, repeat);
        for (std::uint32_t round = 0; round < rounds; ++round)
            for (std::uint32_t i = 0; i < program_count; ++i) {
                const std::uint32_t which = (round + i) % program_count;
                if (programs[which] != nullptr)
                    runs[which].push_back(run(programs[which], packet, repeat));
            }
    }

private:
    using Programs = std::array<const bpf_program*, program_count>;
    [[nodiscard]] Programs programs_for(const Scenario& scenario) const {
        const auto& p = skeleton_->progs;
        const bool v4 = scenario.family == Family::ipv4;
        if (scenario.tunnel && scenario.many_flows)
            return v4 ? Programs{p.swap_flows, p.look_ups_tunnel4_flows, p.director_tunnel4_flows,
                                 nullptr}
                      : Programs{p.swap_flows, p.look_ups_tunnel6_flows, p.director_tunnel6_flows,
                                 nullptr};
        if (scenario.tunnel)
            return v4 ? Programs{p.swap, p.look_ups_tunnel4, p.director_tunnel4, nullptr}
                      : Programs{p.swap, p.look_ups_tunnel6, p.director_tunnel6, nullptr};
        const bool remembers = scenario.remembers();
        if (scenario.many_flows)
            return {p.swap_flows, remembers ? p.flow_look_ups_flows : p.table_look_ups_flows,
                    p.director_flows, remembers ? p.flow_look_ups_reach : nullptr};
        return {p.swap, remembers ? p.flow_look_ups : p.table_look_ups, p.director, nullptr};
    }

    /// Shows the program every flow, young and a while later, so that it knows them.
    void establish(const bpf_program* program, const std::vector<std::uint8_t>& packet,
                   int repeat) {
        for (int i = 0; i < 3; ++i) {
            run(program, packet, repeat);
            skeleton_->data_flows->flow_control.epoch += abi::FLOW_YOUNG;
        }
        run(program, packet, repeat);
        std::size_t known = 0;
        for (std::uint32_t bucket = 0; bucket < flow_buckets; ++bucket)
            for (const __u64 flow : flows_[bucket].flow)
                known += flow != 0 ? 1 : 0;
        const std::size_t flows = repeat == 50'000 ? 1 : 65536;
        if (known < flows * 999 / 1000)
            give_up(fmt::format("only {} of {} flows are remembered", known, flows));
    }

    /// The tables as the data plane makes them of equal weights. Servers have the
    /// interface's own MAC (bench.bpf.c says why).
    void fill(const Scenario& scenario) {
        core::ServiceForwarding wish;
        wish.key.protocol = scenario.protocol;
        for (std::uint32_t i = 0; i < scenario.servers; ++i)
            wish.destinations.push_back(
                {{IpAddress::from_v4({203, 0, static_cast<std::uint8_t>(113 + i / 250),
                                      static_cast<std::uint8_t>(1 + i % 250)}),
                  53},
                 1});
        const core::Table table = core::build_table(wish);
        __u16* slot = blocks_[1].position;
        for (const std::uint32_t position : table.slots)
            *slot++ = static_cast<__u16>(position | (scenario.remembers() ? abi::SLOT_MOVED : 0));
        for (std::uint32_t i = 0; i <= most_servers; ++i) {
            abi::destination& record = destinations_[1 + i];
            std::memcpy(record.server_mac, own_mac.data(), 6);
            std::memcpy(record.own_mac, other_mac.data(), 6);
            record.ifindex = 1;
            record.counter = 1 + i;
            homes_[1 + i].word = abi::home_word(1 + i, 1);
            record.way = 0;
            if (!scenario.tunnel) continue;
            record.way = abi::WAY_TUNNEL;
            if (scenario.family == Family::ipv6) record.way |= abi::WAY_IPV6;
            abi::tunnel& outer = tunnels_[1 + i];
            outer.source[0] = 0x007100cb;  // any bytes will do
            outer.server[0] = 0x017100cb + (__u64{i} << 24);
            outer.entropy = 0xff000000;
            outer.mtu = 1500;
        }
        std::fill_n(flows_, flow_buckets, abi::flow_bucket{});
        std::fill_n(young_, flow_buckets / 4, abi::flow_bucket{});
        // Fixed keys, so that runs can be compared; no cap: flows are to be known at once.
        skeleton_->data_flows->flow_control = {
            .epoch = 1,
            .buckets = flow_buckets,
            .young_buckets = flow_buckets / 4,
            .most_learnt = 1U << 30,
            .most_new = 1U << 30,
            .most_old = 1U << 30,
            .reserved = {},
            .key = {0x9b97f4a7c159e377, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 0xd6e8feb86659fd93,
                    0xa0761d6478bd642f, 0xe7037ed1a0b428db}};
        const auto address = service_address(scenario.family);
        const std::uint32_t family = scenario.family == Family::ipv4 ? 4 : 6;
        const std::uint32_t protocol = scenario.protocol == Protocol::udp ? 17 : 6;
        abi::service service{};
        std::memcpy(service.address, address.data(), sizeof service.address);
        service.where =
            htons(53) | protocol << abi::WHERE_PROTOCOL_SHIFT | family << abi::WHERE_FAMILY_SHIFT;
        service.select = core::per_packet(wish) ? abi::SELECT_CURSOR : abi::SELECT_FLOW;
        if (scenario.remembers()) service.select |= abi::SELECT_REMEMBERS;
        service.table = abi::table_word(1, 1, static_cast<std::uint32_t>(table.slots.size()));
        // Before the change every slot had the next server: flows are learnt as its.
        if (scenario.packets == Packets::remembered)
            service.previous = abi::table_word(1, 2, abi::table_length(service.table));
        services_[1] = service;
        skeleton_->bss->directory = {};
        skeleton_->bss->directory
            .first[abi::directory_bucket(service.address[0], service.address[1], service.where)] =
            1;
    }

    /// Nanoseconds of the thread's CPU time for one run of the program. The
    /// kernel's own figure is rounded to whole ones.
    double run(const bpf_program* program, const std::vector<std::uint8_t>& packet, int repeat) {
        std::array<std::uint8_t, 512> out{};
        LIBBPF_OPTS(bpf_test_run_opts, options);
        options.data_in = packet.data();
        options.data_size_in = static_cast<std::uint32_t>(packet.size());
        options.data_out = out.data();
        options.data_size_out = out.size();
        options.repeat = repeat;
        timespec before{};
        timespec after{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        if (error != 0)
            give_up(fmt::format("the kernel refused a test run: {}", std::strerror(errno)));
        verdict_ = options.retval;
        return (static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 +
                static_cast<double>(after.tv_nsec - before.tv_nsec)) /
               repeat;
    }

    abi::bench* skeleton_ = nullptr;
    abi::service* services_ = nullptr;
    abi::slot_block* blocks_ = nullptr;
    abi::destination* destinations_ = nullptr;
    abi::tunnel* tunnels_ = nullptr;
    abi::home* homes_ = nullptr;
    abi::flow_bucket* flows_ = nullptr;
    abi::flow_bucket* young_ = nullptr;
    std::uint32_t verdict_ = 0;
};

std::vector<Scenario> all_scenarios() {
    std::vector<Scenario> scenarios;
    for (const Family family : {Family::ipv4, Family::ipv6})
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            for (const bool many_flows : {false, true})
                for (const std::uint32_t servers : {4U, most_servers}) {
                    scenarios.push_back({family, protocol, many_flows, servers});
                    if (protocol == Protocol::tcp)
                        scenarios.push_back(
                            {family, protocol, many_flows, servers, Packets::remembered});
                }
            if (protocol == Protocol::tcp)
                scenarios.push_back({family, protocol, true, 4, Packets::unknown});
            scenarios.push_back({family, protocol, false, 4, Packets::not_for_us});
        }
    for (const Family family : {Family::ipv4, Family::ipv6})
        for (const bool many_flows : {false, true})
            for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
                scenarios.push_back(
                    {family, protocol, many_flows, most_servers, Packets::by_table, true});
    return scenarios;
}

/// The last CPU that is allowed: the first has the interrupts.
void stay_on_one_cpu() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof allowed, &allowed);
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu)
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_ZERO(&allowed);
            CPU_SET(cpu, &allowed);
            sched_setaffinity(0, sizeof allowed, &allowed);
            return;
        }
}

nlohmann::json to_json(const Scenario& scenario, const Figures& ns, double ratio) {
    return {{"name", scenario.name()},
            {"family", std::string{to_string(scenario.family)}},
            {"protocol", scenario.protocol_name()},
            {"flows", scenario.many_flows ? 65536 : 1},
            {"servers", scenario.servers},
            {"for_a_service", scenario.for_us()},
            {"remembered", scenario.packets == Packets::remembered},
            {"tunnel", scenario.tunnel},
            {"swap_ns", ns[swap_macs]},
            {"floor_ns", ns[floor_of_path]},
            {"director_ns", ns[director]},
            {"above_swap_ns", ns[director] - ns[swap_macs]},
            {"reach_ns", ns[reach]},
            {"ratio", ratio},
            {"ratio_to", scenario.for_us() ? "floor" : "swap"},
            {"limit", scenario.limit()},
            {"within_limit", ratio <= scenario.limit()}};
}

}  // namespace

int main(int argc, char** argv) {
    std::string json_path;
    std::string only;  // those whose names have these words
    std::uint32_t rounds = default_rounds;
    std::uint32_t loads = default_loads;
    for (int i = 1; i < argc; ++i) {
        const std::string option = argv[i];
        if (option == "--json" && i + 1 < argc) {
            json_path = argv[++i];
        } else if (option == "--rounds" && i + 1 < argc) {
            rounds = static_cast<std::uint32_t>(std::max(1, std::atoi(argv[++i])));
        } else if (option == "--loads" && i + 1 < argc) {
            loads = static_cast<std::uint32_t>(std::max(1, std::atoi(argv[++i])));
        } else if (option == "--only" && i + 1 < argc) {
            only = argv[++i];
        } else {
            fmt::print(stderr,
                       "usage: xdp_bench [--json FILE] [--rounds N] [--loads N] "
                       "[--only WORDS]\n");
            return 2;
        }
    }
    stay_on_one_cpu();
    libbpf_set_print(nullptr);
    std::vector<Scenario> scenarios = all_scenarios();
    std::erase_if(scenarios, [&](const Scenario& scenario) {
        return scenario.name().find(only) == std::string::npos;
    });
    std::vector<Runs> runs(scenarios.size());
    for (std::uint32_t load = 0; load < loads; ++load) {
        Bench bench;
        for (std::size_t i = 0; i < scenarios.size(); ++i)
            bench.measure(scenarios[i], rounds, runs[i]);
    }
    fmt::print("nanoseconds for one packet, medians of {} times {} interleaved rounds\n\n", loads,
               rounds);
    fmt::print("{:<46} {:>6} {:>6} {:>9} {:>11} {:>6} {:>6} {:>7} {:>8}\n", "", "swap", "floor",
               "director", "above swap", "ratio", "limit", "reach", "to reach");
    nlohmann::json results = nlohmann::json::array();
    bool all_within = true;
    for (std::size_t i = 0; i < scenarios.size(); ++i) {
        const Scenario& scenario = scenarios[i];
        const Figures ns = medians(std::move(runs[i]));
        const double ratio = ns[director] / ns[scenario.for_us() ? floor_of_path : swap_macs];
        const bool within = ratio <= scenario.limit();
        all_within = all_within && within;
        fmt::print("{:<46} {:>6.1f} {:>6.1f} {:>9.1f} {:>11.1f} {:>6.2f} {:>6.1f}", scenario.name(),
                   ns[swap_macs], ns[floor_of_path], ns[director], ns[director] - ns[swap_macs],
                   ratio, scenario.limit());
        if (ns[reach] != 0) fmt::print(" {:>7.1f} {:>8.2f}", ns[reach], ns[director] / ns[reach]);
        fmt::print("{}\n", within ? "" : "  over");
        results.push_back(to_json(scenario, ns, ratio));
    }
    fmt::print(
        "\nratio: to the floor; for a packet that is not for a service, to the swap\n"
        "reach: the floor, but with the buckets of as many flows\n");
    if (!json_path.empty()) {
        std::ofstream file{json_path};
        file << nlohmann::json{{"bench", "xdp"},     {"unit", "ns per packet"},
                               {"rounds", rounds},   {"loads", loads},
                               {"results", results}, {"within_limits", all_within}}
                    .dump(2)
             << '\n';
        if (!file.flush()) give_up("cannot write " + json_path);
    }
    return 0;
}
