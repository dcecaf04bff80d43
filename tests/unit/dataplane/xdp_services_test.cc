// SPDX-License-Identifier: Apache-2.0
//
// Changes in, kernel memory out: what read() finds is what was wished for, also
// after a restart, after an interruption, and after somebody's fingers were in it.
#include "dataplane/xdp/services.h"

#include <gtest/gtest.h>

#include <random>

#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::frame_of;
using test::server;

const Endpoint service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint service6 = *Endpoint::parse("[2001:db8::53]:53");
const Endpoint client4 = *Endpoint::parse("198.51.100.7:4000");
const core::ServiceKey key4{service4.address, 53, Protocol::udp};

TimePoint at(int seconds) {
    return TimePoint{Seconds{seconds}};
}

core::Forwarding read(Bed& bed) {
    auto found = bed.services->read();
    EXPECT_TRUE(found.has_value());
    return found.value_or(core::Forwarding{});
}

/// Brings the kernel from what it holds to `desired`; the number of changes.
std::size_t reconcile(Bed& bed, const core::Forwarding& desired, TimePoint now = {}) {
    const auto changes = core::diff(read(bed), desired);
    const auto applied = bed.services->apply(changes, now);
    EXPECT_TRUE(applied.has_value()) << applied.error().message;
    return changes.size();
}

core::Forwarding one_service(std::vector<core::Destination> destinations) {
    return {{key4, {key4, core::Scheduler::wrr, core::ForwardingMethod::dr, destinations}}};
}

core::Forwarding random_forwarding(std::mt19937& random) {
    const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
    core::Forwarding forwarding;
    for (const Endpoint& address : {service4, service6})
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
            for (std::uint16_t port = 53; port < 56; ++port) {
                if (below(3) == 0) continue;
                const core::ServiceKey key{address.address, port, protocol};
                constexpr core::Scheduler schedulers[] = {core::Scheduler::wrr, core::Scheduler::rr,
                                                          core::Scheduler::mh, core::Scheduler::sh};
                core::ServiceForwarding service{
                    key, schedulers[below(4)], core::ForwardingMethod::dr, {}};
                if (service.scheduler == core::Scheduler::mh ||
                    service.scheduler == core::Scheduler::sh)
                    service.other_hash = below(2) == 0;
                for (int number = 10; number < 18; ++number)
                    if (below(2) == 0)
                        service.destinations.push_back(
                            {server(address, number), static_cast<std::uint32_t>(below(4))});
                forwarding.emplace(key, service);
            }
    return forwarding;
}

TEST(XdpServices, hold_what_was_wished_for_after_any_sequence_of_changes) {
    NEEDS_BED(bed);
    std::mt19937 random{4711};
    for (int round = 0; round < 60; ++round) {
        const core::Forwarding desired = random_forwarding(random);
        reconcile(bed, desired, at(round));
        ASSERT_EQ(read(bed), desired) << "round " << round;
        bed.services->grace().release(at(round));
        if (round % 5 == 0) {
            bed.restart();
            ASSERT_EQ(read(bed), desired) << "after a restart, round " << round;
        }
    }
}

TEST(XdpServices, reach_the_wish_when_changes_are_cut_off_anywhere) {
    NEEDS_BED(bed);
    std::mt19937 random{815};
    for (int round = 0; round < 40; ++round) {
        const core::Forwarding desired = random_forwarding(random);
        const auto changes = core::diff(read(bed), desired);
        const auto part = std::span{changes}.first(changes.empty() ? 0 : random() % changes.size());
        ASSERT_TRUE(bed.services->apply(part, at(2 * round)).has_value());
        bed.restart();
        reconcile(bed, desired, at(2 * round));
        ASSERT_EQ(read(bed), desired);
        bed.services->grace().release(at(2 * round + 1));
    }
}

TEST(XdpServices, repair_what_somebody_else_changed) {
    NEEDS_BED(bed);
    const core::Forwarding desired =
        one_service({{server(service4, 11), 3}, {server(service4, 12), 1}});
    const auto record = [&] {
        const Directory directory{*bed.maps};
        return directory.find(words_of(key4.address), where_of(key4));
    };
    const auto table = [&] { return bed.maps->services()[record()].table; };
    const std::pair<const char*, std::function<void()>> meddling[] = {
        {"a slot", [&] { bed.maps->slots()[abi::table_block(table())].position[1] ^= 1; }},
        {"the table's length", [&] { bed.maps->services()[record()].table -= 1; }},
        {"the table's place",
         [&] { bed.maps->services()[record()].table = abi::table_word(1 << 21, 1 << 20, 4); }},
        {"an empty table", [&] { bed.maps->services()[record()].table = 0; }},
        {"a MAC", [&] { bed.maps->destinations()[abi::table_record(table())].server_mac[5] ^= 1; }},
        {"whose counter",
         [&] { bed.maps->destinations()[abi::table_record(table())].counter += 1; }},
        {"how it selects", [&] { bed.maps->services()[record()].select = abi::SELECT_SOURCE; }},
        {"a mark of flows where none are remembered",
         [&] { bed.maps->slots()[abi::table_block(table())].position[1] |= abi::SLOT_MOVED; }},
        {"where a server is reached",
         [&] {
             const std::uint32_t first = abi::table_record(table());
             bed.maps->homes()[bed.maps->destinations()[first].counter].word += 1;
         }},
        {"the directory", [&] { bed.maps->directory() = {}; }},
        {"a loop in the directory",
         [&] {
             const std::uint32_t first = record();
             bed.maps->services()[first].next = first;
         }},
        {"a weight",
         [&] {
             const abi::member_key key = member_key(key4, server(service4, 11));
             abi::member member{};
             bpf_map_lookup_elem(bed.maps->fd(MapId::members), &key, &member);
             member.weight = 7;
             bpf_map_update_elem(bed.maps->fd(MapId::members), &key, &member, BPF_ANY);
         }},
        {"a member",
         [&] {
             const abi::member_key key = member_key(key4, server(service4, 11));
             bpf_map_delete_elem(bed.maps->fd(MapId::members), &key);
         }},
    };
    reconcile(bed, desired);
    for (const auto& [what, meddle] : meddling) {
        SCOPED_TRACE(what);
        meddle();
        reconcile(bed, desired);
        EXPECT_EQ(read(bed), desired);
        EXPECT_EQ(reconcile(bed, desired), 0U);
        int shares[256] = {};
        for (int i = 0; i < 400; ++i) {
            const int to = bed.sent_to(frame_of({.source = client4, .destination = service4}));
            ASSERT_GE(to, 0);
            ++shares[to];
        }
        EXPECT_NEAR(shares[11], 300, 8);
        EXPECT_NEAR(shares[12], 100, 8);
    }
}

TEST(XdpServices, keep_counters_over_weights_schedulers_removal_and_restart) {
    NEEDS_BED(bed);
    const Endpoint first = server(service4, 11);
    const std::pair<core::ServiceKey, Endpoint> tracked[] = {{key4, first}};
    bed.services->track(tracked, {});
    const auto frame = frame_of({.source = client4, .destination = service4});
    const auto send_and_expect = [&](std::uint64_t packets) {
        ASSERT_EQ(bed.sent_to(frame), 11);
        const Counters counters = bed.counters();
        EXPECT_EQ(counters.servers.at({key4, first}).packets, packets);
        EXPECT_EQ(counters.servers.at({key4, first}).bytes, packets * frame.size());
        EXPECT_EQ(counters.services.at(key4).packets, packets);
    };
    reconcile(bed, one_service({{first, 1}}));
    send_and_expect(1);
    reconcile(bed, one_service({{first, 5}}));
    send_and_expect(2);
    core::Forwarding other = one_service({{first, 5}});
    other.at(key4).scheduler = core::Scheduler::mh;
    reconcile(bed, other);
    send_and_expect(3);
    reconcile(bed, one_service({}));
    reconcile(bed, one_service({{first, 1}}));
    send_and_expect(4);
    bed.restart();
    bed.services->track(tracked, {});
    send_and_expect(5);
}

TEST(XdpServices, count_on_with_a_server_that_was_removed_and_comes_back) {
    NEEDS_BED(bed);
    const Endpoint first = server(service4, 11);
    const auto frame = frame_of({.source = client4, .destination = service4});
    reconcile(bed, one_service({{first, 1}}));
    ASSERT_EQ(bed.sent_to(frame), 11);
    reconcile(bed, one_service({}));
    bed.services->track({}, {});
    bed.services->grace().release(at(100));
    reconcile(bed, one_service({{first, 1}}));
    EXPECT_EQ(bed.counters().servers.at({key4, first}).packets, 1U);
}

TEST(XdpServices, forget_removed_servers_when_room_for_counters_gets_short) {
    const core::Limits one_server{.services = 4096, .real_servers = 1, .slots = 1 << 18};
    NEEDS_BED(bed, one_server);  // the kernel's tables hold twice the limit
    const Endpoint first = server(service4, 11);
    const Endpoint second = server(service4, 12);
    const auto frame = frame_of({.source = client4, .destination = service4});
    reconcile(bed, one_service({{first, 1}}));
    ASSERT_EQ(bed.sent_to(frame), 11);
    reconcile(bed, one_service({}));
    const std::pair<core::ServiceKey, Endpoint> both[] = {{key4, second},
                                                          {key4, server(service4, 13)}};
    bed.services->track(both, {});
    EXPECT_FALSE(bed.counters().servers.contains({key4, first}));
    bed.services->grace().release(at(100));
    reconcile(bed, one_service({{second, 1}, {both[1].second, 1}}));
    EXPECT_EQ(bed.counters().servers.at({key4, second}).packets, 0U);
}

TEST(XdpServices, follow_a_new_mac_with_a_new_record) {
    NEEDS_BED(bed);
    reconcile(bed, one_service({{server(service4, 11), 1}}));
    bed.leaves_by = {2, 0, 0, 0, 0, 9};
    const IpAddress changed[] = {server(service4, 11).address};
    const auto before = read(bed);
    EXPECT_NE(before, one_service({{server(service4, 11), 1}}));  // it says so
    ASSERT_TRUE(bed.services->refresh(changed, {}).has_value());
    EXPECT_EQ(read(bed), one_service({{server(service4, 11), 1}}));
    EXPECT_EQ(bed.run(frame_of({.source = client4, .destination = service4})).frame[11], 9);
}

TEST(XdpServices, leave_the_old_table_in_force_when_there_is_no_room) {
    NEEDS_BED(bed, {.services = 1, .real_servers = 8, .slots = 64});
    reconcile(bed, one_service({{server(service4, 11), 1}}));
    const core::Change change = core::AddDestination{key4, {server(service4, 12), 1000}};
    const auto applied = bed.services->apply({&change, 1}, {});
    ASSERT_FALSE(applied.has_value());
    EXPECT_NE(applied.error().message.find("slots"), std::string::npos) << applied.error().message;
    EXPECT_EQ(bed.sent_to(frame_of({.source = client4, .destination = service4})), 11);
    reconcile(bed, one_service({{server(service4, 11), 1}}));
    EXPECT_EQ(read(bed), one_service({{server(service4, 11), 1}}));
}

TEST(XdpServices, never_run_out_of_room_by_changing_often) {
    NEEDS_BED(bed, {.services = 1, .real_servers = 8, .slots = 64});
    for (std::uint32_t i = 0; i < 200; ++i) {  // no time passes
        const core::Change changes[] = {
            core::AddService{key4, core::Scheduler::wrr, core::ForwardingMethod::dr},
            core::AddDestination{key4, {server(service4, 11), 1 + i % 2}},
            core::AddDestination{key4, {server(service4, 12), 1}}};
        const auto applied = bed.services->apply(changes, {});
        ASSERT_TRUE(applied.has_value()) << i << ": " << applied.error().message;
    }
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
