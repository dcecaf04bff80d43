// SPDX-License-Identifier: Apache-2.0
//
// What a verdict costs before the kernel hears of it: the decision, the
// difference, and the tables.
#include <benchmark/benchmark.h>

#include "core/desired.h"
#include "core/table.h"
#include "core/table_cache.h"

namespace dnsdirector::core {
namespace {

Endpoint endpoint(std::uint32_t number) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[14] = static_cast<std::uint8_t>(number >> 8);
    bytes[15] = static_cast<std::uint8_t>(number);
    return {IpAddress::from_v6(bytes), 53};
}

/// Weights as people write them, or as slow start leaves them.
enum Weights : std::int64_t { equal, mixed, starting };

std::uint32_t weight(std::uint32_t number, std::int64_t kind) {
    if (kind == mixed) return 1 + number % 3;
    if (kind == starting) return number % 7 == 0 ? 3 : 20;
    return 1;
}

ServiceForwarding forwarding(std::uint32_t servers, Protocol protocol, std::int64_t weights) {
    ServiceForwarding service;
    service.key.protocol = protocol;
    for (std::uint32_t i = 0; i < servers; ++i)
        service.destinations.push_back({endpoint(i), weight(i, weights)});
    return service;
}

void tables(benchmark::State& state, Protocol protocol) {
    const ServiceForwarding service =
        forwarding(static_cast<std::uint32_t>(state.range(0)), protocol, state.range(1));
    std::size_t slots = 0;
    for (auto _ : state) {
        const Table table = build_table(service);
        slots = table.slots.size();
        benchmark::DoNotOptimize(table.slots.data());
    }
    state.counters["slots"] = static_cast<double>(slots);
}
void interleaved(benchmark::State& state) {
    tables(state, Protocol::udp);
}
void maglev(benchmark::State& state) {
    tables(state, Protocol::tcp);
}
BENCHMARK(interleaved)->ArgsProduct({{4, 50, 1000, 10000}, {equal, mixed, starting}});
BENCHMARK(maglev)->ArgsProduct({{4, 12, 50, 200, 1000, 10000}, {equal, mixed, starting}});

/// 200 services with the same 50 servers after one of them went: UDP and TCP.
void shared_tables(benchmark::State& state) {
    const ServiceForwarding udp = forwarding(50, Protocol::udp, mixed);
    const ServiceForwarding tcp = forwarding(50, Protocol::tcp, mixed);
    for (auto _ : state) {
        TableCache cache;
        for (int i = 0; i < 100; ++i) {
            benchmark::DoNotOptimize(cache.get(udp));
            benchmark::DoNotOptimize(cache.get(tcp));
        }
    }
}
BENCHMARK(shared_tables);

/// One service, `range(0)` servers of which every `range(1)`-th is down (0: none).
void decision(benchmark::State& state) {
    const auto servers = static_cast<std::uint32_t>(state.range(0));
    Service service;
    service.cluster = "resolvers";
    std::vector<CheckState> checks(servers);
    for (std::uint32_t i = 0; i < servers; ++i) {
        service.real_servers.push_back({"ns" + std::to_string(i), endpoint(i), 1, {i}});
        const bool down = state.range(1) != 0 && i % state.range(1) == 0;
        checks[i].health = down ? Health::down : Health::up;
        checks[i].down_kind = down ? Failure::answer : Failure::none;
        checks[i].down_reason = down ? "SERVFAIL" : "";
    }
    const std::function<const CheckState&(CheckIndex)> check_state =
        [&](CheckIndex check) -> const CheckState& { return checks[check]; };
    const std::function<std::string(const Endpoint&, ForwardingMethod)> unreachable =
        [](const Endpoint&, ForwardingMethod) { return std::string(); };
    const Overrides overrides;
    ServiceDecision before;
    for (auto _ : state) {
        ServiceDecision after = decide({.service = service,
                                        .check_state = check_state,
                                        .overrides = overrides,
                                        .unreachable_reason = unreachable,
                                        .memory = before.memory,
                                        .now = {},
                                        .wall_now = {}});
        benchmark::DoNotOptimize(diff(&before.forwarding, &after.forwarding));
        before = std::move(after);
    }
}
BENCHMARK(decision)->ArgsProduct({{4, 50, 10000}, {0, 10}});

}  // namespace
}  // namespace dnsdirector::core

BENCHMARK_MAIN();
