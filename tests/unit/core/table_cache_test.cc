// SPDX-License-Identifier: Apache-2.0
#include "core/table_cache.h"

#include "unit/core/support.h"

namespace dnsdirector::core {
namespace {

ServiceForwarding service(const std::string& address, std::vector<Destination> destinations,
                          Scheduler scheduler = Scheduler::wrr, Protocol protocol = Protocol::udp) {
    return {service_key(address, protocol), scheduler, ForwardingMethod::dr,
            std::move(destinations)};
}

TEST(TableCache, ServicesWithTheSameServersShareOneTable) {
    TableCache cache;
    const auto first = cache.get(service("192.0.2.53", {{server(1), 1}, {server(2), 3}}));
    const auto second = cache.get(service("192.0.2.54", {{server(1), 1}, {server(2), 3}}));
    EXPECT_EQ(first, second);
    EXPECT_EQ(cache.hits(), 1U);
    EXPECT_EQ(cache.misses(), 1U);
}

TEST(TableCache, TellsApartWhatGivesOtherTables) {
    TableCache cache;
    const std::vector<Destination> list{{server(1), 1}, {server(2), 3}};
    const std::vector<ServiceForwarding> all{
        service("192.0.2.53", list),
        service("192.0.2.53", list, Scheduler::rr),
        service("192.0.2.53", list, Scheduler::mh),
        service("192.0.2.53", list, Scheduler::rr, Protocol::tcp),
        service("192.0.2.53", {{server(1), 1}, {server(2), 2}}),
        service("192.0.2.53", {{server(1), 1}, {server(3), 3}}),
        service("192.0.2.53", {{server(1), 1}, {server(2), 3}, {server(3), 0}}),
        service("192.0.2.53", {})};
    for (int round = 0; round < 2; ++round)
        for (const ServiceForwarding& one : all)
            EXPECT_EQ(cache.get(one)->slots, build_table(one).slots);
    EXPECT_EQ(cache.misses(), all.size());
}

TEST(TableCache, FindsTheTableOfAServerThatCameBack) {
    TableCache cache;
    const auto whole = service("192.0.2.53", {{server(1), 1}, {server(2), 1}});
    const auto broken = service("192.0.2.53", {{server(1), 1}});
    const auto before = cache.get(whole);
    (void)cache.get(broken);
    EXPECT_EQ(cache.get(whole), before);
}

TEST(TableCache, KeepsNoMoreThanItMay) {
    TableCache few(1'000'000, 3);
    for (unsigned i = 0; i < 10; ++i)
        (void)few.get(service("192.0.2.53", {{server(i), 1}}));
    EXPECT_EQ(few.tables(), 3U);
    EXPECT_EQ(few.slots(), 3U);

    TableCache small(100, 1000);
    for (std::uint32_t i = 1; i < 10; ++i)
        (void)small.get(service("192.0.2.53", {{server(1), 29}, {server(2), i}}));
    EXPECT_LE(small.slots(), 100U);
    EXPECT_GE(small.tables(), 2U);
    // One that exceeds the bound by itself is made, and not kept.
    const auto large = service("192.0.2.53", {{server(1), 1}}, Scheduler::mh);
    EXPECT_EQ(small.get(large)->slots.size(), 1021U);
    EXPECT_GE(small.tables(), 2U);
}

}  // namespace
}  // namespace dnsdirector::core
