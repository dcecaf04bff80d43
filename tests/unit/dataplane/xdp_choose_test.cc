// SPDX-License-Identifier: Apache-2.0
//
// What Services::choose() says is what the kernel program does.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <random>
#include <set>

#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::frame_of;
using test::mac_of;
using test::Packet;
using test::server;

const Endpoint services[] = {*Endpoint::parse("192.0.2.53:53"),
                             *Endpoint::parse("[2001:db8::53]:53")};

Endpoint any_client(std::mt19937& random, bool v4) {
    const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
    const auto port = static_cast<std::uint16_t>(1 + random() % 65535);
    if (v4) return {IpAddress::from_v4({198, 51, byte(), byte()}), port};
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    for (std::size_t i = 4; i < bytes.size(); ++i)
        bytes[i] = byte();
    return {IpAddress::from_v6(bytes), port};
}

Endpoint client_of(const Endpoint& service) {
    return *Endpoint::parse(service.address.is_v4() ? "198.51.100.7:4000" : "[2001:db8:7::7]:4000");
}

/// Weights 1 to 7; one server has weight 0, as a drained one.
std::vector<core::Destination> some_servers(const Endpoint& service) {
    std::vector<core::Destination> destinations;
    for (int number = 11; number <= 18; ++number)
        destinations.push_back({server(service, number), static_cast<std::uint32_t>(number - 11)});
    return destinations;
}

/// Asks both for many clients; the servers that they got.
std::set<Endpoint> compare(Bed& bed, const core::ServiceKey& key, int clients) {
    std::mt19937 random{1234};
    std::set<Endpoint> seen;
    for (int i = 0; i < clients; ++i) {
        const Endpoint client = any_client(random, key.address.is_v4());
        const auto choice = bed.services->choose({client, key});
        EXPECT_TRUE(choice.has_value());
        if (!choice || !choice->server) {
            ADD_FAILURE() << "no server for " << client.to_string();
            break;
        }
        EXPECT_LT(choice->slot, choice->slots);
        const Packet packet{
            .source = client, .destination = key.endpoint(), .protocol = key.protocol};
        const int sent_to = bed.sent_to(frame_of(packet));
        // The packet is a SYN: one that nobody remembers goes by the table.
        const Endpoint expected =
            choice->by == Choice::By::previous ? choice->by_table.value() : *choice->server;
        EXPECT_EQ(sent_to, mac_of(expected.address)[5]) << client.to_string();
        seen.insert(expected);
    }
    return seen;
}

TEST(XdpChoose, says_of_every_hashed_flow_where_the_kernel_program_sends_it) {
    NEEDS_BED(bed);
    struct Case {
        Protocol protocol;
        core::Scheduler scheduler;
        bool other_hash;
        Choice::By by;
    };
    using By = Choice::By;
    const Case cases[] = {
        {Protocol::tcp, core::Scheduler::wrr, false, By::flow_hash},
        {Protocol::tcp, core::Scheduler::rr, false, By::flow_hash},
        {Protocol::tcp, core::Scheduler::mh, false, By::flow_hash},
        {Protocol::udp, core::Scheduler::mh, false, By::flow_hash},
        {Protocol::udp, core::Scheduler::mh, true, By::source_hash},
        {Protocol::tcp, core::Scheduler::sh, false, By::source_hash},
        {Protocol::udp, core::Scheduler::sh, false, By::source_hash},
        {Protocol::udp, core::Scheduler::sh, true, By::flow_hash},
    };
    for (const Endpoint& service : services)
        for (const Case& each : cases) {
            const core::ServiceKey key{service.address, service.port, each.protocol};
            std::vector<core::Change> changes{
                core::RemoveService{key},
                core::AddService{key, each.scheduler, core::ForwardingMethod::dr, each.other_hash}};
            for (const core::Destination& destination : some_servers(service))
                changes.emplace_back(core::AddDestination{key, destination});
            ASSERT_TRUE(bed.services->apply(changes, {}).has_value());
            const auto seen = compare(bed, key, 500);
            EXPECT_EQ(seen.size(), 7U) << "all but the one with weight 0";
            EXPECT_EQ(bed.services->choose({client_of(service), key})->by, each.by);
        }
}

TEST(XdpChoose, still_agrees_after_a_restart_and_after_a_server_went) {
    NEEDS_BED(bed);
    const Endpoint& service = services[1];
    const core::ServiceKey key{service.address, service.port, Protocol::tcp};
    bed.serve(key, some_servers(service));
    bed.restart();
    (void)compare(bed, key, 200);
    const core::Change gone = core::RemoveDestination{key, server(service, 18)};
    ASSERT_TRUE(bed.services->apply({&gone, 1}, {}).has_value());
    EXPECT_FALSE(compare(bed, key, 200).contains(server(service, 18)));
}

TEST(XdpChoose, gives_the_shares_where_packets_take_turns) {
    NEEDS_BED(bed);
    const core::ServiceKey key{services[0].address, 53, Protocol::udp};
    bed.serve(key, {{server(services[0], 11), 3}, {server(services[0], 12), 1}});
    const auto choice = bed.services->choose({client_of(services[0]), key});
    ASSERT_TRUE(choice.has_value());
    EXPECT_EQ(choice->by, Choice::By::rotation);
    EXPECT_FALSE(choice->server.has_value());
    ASSERT_EQ(choice->shares.size(), 2U);
    EXPECT_EQ(choice->shares[0].server, server(services[0], 11));
    EXPECT_EQ(choice->shares[0].slots, 3 * choice->shares[1].slots);
    EXPECT_EQ(choice->slots, choice->shares[0].slots + choice->shares[1].slots);
}

TEST(XdpChoose, tells_nobody_from_no_service) {
    NEEDS_BED(bed);
    const core::ServiceKey key{services[0].address, 53, Protocol::tcp};
    const Endpoint client = *Endpoint::parse("198.51.100.7:4000");
    EXPECT_EQ(bed.services->choose({client, key})->by, Choice::By::not_a_service);
    bed.serve(key, {{server(services[0], 11), 0}});
    EXPECT_EQ(bed.services->choose({client, key})->by, Choice::By::nobody);
    EXPECT_EQ(bed.services->choose({client, {key.address, 54, Protocol::tcp}})->by,
              Choice::By::not_a_service);
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
