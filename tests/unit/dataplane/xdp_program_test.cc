// SPDX-License-Identifier: Apache-2.0
//
// The kernel program by BPF_PROG_TEST_RUN: a packet in, packet and verdict out.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <cmath>
#include <set>

#include "core/table.h"
#include "dataplane/xdp/insiders.h"
#include "dataplane/xdp/keys.h"
#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::Frame;
using test::frame_of;
using test::mac_of;
using test::Outcome;
using test::Packet;
using test::server;
using test::with_macs;

const Endpoint service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint service6 = *Endpoint::parse("[2001:db8::53]:53");
const Endpoint client4 = *Endpoint::parse("198.51.100.7:4000");
const Endpoint client6 = *Endpoint::parse("[2001:db8:7::7]:4000");

struct Kind {
    const char* name;
    Endpoint service;
    Endpoint client;
    Protocol protocol;

    [[nodiscard]] core::ServiceKey key() const { return {service.address, service.port, protocol}; }
    [[nodiscard]] Packet packet() const {
        return {.source = client, .destination = service, .protocol = protocol};
    }
    /// Keeps the bytes of the value out of the test's name.
    friend void PrintTo(const Kind& kind, std::ostream* out) { *out << kind.name; }
};

/// Another MAC that has the same bit in the kernel's first look.
netlink::Mac with_the_bit_of(const netlink::Mac& mac) {
    const auto bit_of = [](const netlink::Mac& each) {
        std::uint64_t word = 0;
        std::memcpy(&word, each.data(), each.size());
        return abi::insider_bit(word);
    };
    netlink::Mac other{2, 1, 0, 0, 0, 0};
    for (std::uint32_t i = 0; bit_of(other) != bit_of(mac); ++i)
        std::memcpy(other.data() + 2, &i, sizeof i);
    return other;
}

class EveryKind : public testing::TestWithParam<Kind> {};

TEST_P(EveryKind, changes_the_macs_and_nothing_else) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    const Frame frame = frame_of(kind.packet());
    const Outcome outcome = bed.run(frame);
    EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_TX));
    EXPECT_EQ(outcome.frame,
              with_macs(frame, mac_of(server(kind.service, 11).address), bed.leaves_by));
    const Counters counters = bed.counters();
    EXPECT_EQ(counters.services.at(kind.key()).packets, 1U);
    EXPECT_EQ(counters.services.at(kind.key()).bytes, frame.size());
    EXPECT_EQ(counters.servers.at({kind.key(), server(kind.service, 11)}).packets, 1U);
    EXPECT_EQ(counters.servers.at({kind.key(), server(kind.service, 11)}).bytes, frame.size());
}

TEST_P(EveryKind, leaves_alone_what_is_not_for_the_service) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    Packet other_mac = kind.packet();
    other_mac.to = {2, 0, 0, 0, 0, 3};
    Packet broadcast = kind.packet();
    broadcast.to = {255, 255, 255, 255, 255, 255};
    Packet other_port = kind.packet();
    other_port.destination.port = 5353;
    Packet other_protocol = kind.packet();
    other_protocol.protocol = kind.protocol == Protocol::udp ? Protocol::tcp : Protocol::udp;
    Packet other_address = kind.packet();
    other_address.destination.address = server(kind.service, 9).address;
    for (const Packet& packet : {other_mac, broadcast, other_port, other_protocol, other_address}) {
        const Frame frame = frame_of(packet);
        const Outcome outcome = bed.run(frame);
        EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_PASS));
        EXPECT_EQ(outcome.frame, frame);
    }
    for (std::uint32_t reason = 0; reason < abi::REASON_COUNT; ++reason)
        EXPECT_EQ(bed.reason(static_cast<abi::reason>(reason)), 0U) << reason;
}

TEST_P(EveryKind, never_forwards_a_frame_that_is_cut_off) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    const Frame whole = frame_of(kind.packet());
    for (std::size_t size = 14; size < whole.size(); ++size) {
        const Outcome outcome =
            bed.run({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
        EXPECT_NE(outcome.verdict, static_cast<std::uint32_t>(XDP_TX)) << size;
        EXPECT_NE(outcome.verdict, static_cast<std::uint32_t>(XDP_ABORTED)) << size;
    }
    EXPECT_GT(bed.reason(abi::REASON_malformed), 0U);
    EXPECT_EQ(bed.counters().services.at(kind.key()).packets, 0U);
}

TEST_P(EveryKind, takes_a_frame_padded_to_the_smallest_size) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    Packet packet = kind.packet();
    packet.payload = 1;
    Frame frame = frame_of(packet);
    frame.resize(frame.size() + 20);
    EXPECT_EQ(bed.sent_to(frame), 11);
}

TEST_P(EveryKind, drops_headers_whose_lengths_contradict) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    std::vector<Packet> packets(2, kind.packet());
    packets[0].ip_length = 2000;
    packets[1].ip_length = kind.service.address.is_v4() ? 24 : 4;
    if (kind.protocol == Protocol::udp) {
        packets.resize(4, kind.packet());
        packets[2].udp_length = 7;
        packets[3].udp_length = 41;  // one more than there is
    }
    for (const Packet& packet : packets)
        EXPECT_EQ(bed.run(frame_of(packet)).verdict, static_cast<std::uint32_t>(XDP_DROP));
    EXPECT_EQ(bed.reason(abi::REASON_malformed), packets.size());
}

TEST_P(EveryKind, sends_by_another_interface_through_the_device_map) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 111), 1}});
    const Frame frame = frame_of(kind.packet());
    const Outcome outcome = bed.run(frame);
    EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_REDIRECT));
    EXPECT_EQ(outcome.frame,
              with_macs(frame, mac_of(server(kind.service, 111).address), bed.leaves_by));
}

TEST_P(EveryKind, redirects_where_transmitting_back_is_not_possible) {
    NEEDS_BED(bed);
    bed.load(0);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    EXPECT_EQ(bed.run(frame_of(kind.packet())).verdict, static_cast<std::uint32_t>(XDP_REDIRECT));
}

TEST_P(EveryKind, counts_a_drop_when_the_interface_of_the_server_is_gone) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 111), 1}});
    support::ip("link delete far");
    const Frame frame = frame_of(kind.packet());
    const Outcome outcome = bed.run(frame);
    EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_DROP));
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(bed.reason(abi::REASON_no_egress), 1U);
}

TEST_P(EveryKind, forwards_no_frame_of_a_server_a_director_or_this_machine) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    const Endpoint first = server(kind.service, 11);
    bed.serve(kind.key(), {{first, 1}});
    const netlink::Mac insiders[] = {
        mac_of(first.address), mac_of(server(kind.service, 12).address), {2, 0, 0, 0, 0, 2}};
    Insiders guard{*bed.maps};
    ASSERT_TRUE(guard
                    .set({{insiders[0], abi::INSIDER_SERVER},
                          {insiders[1], abi::INSIDER_DIRECTOR},
                          {insiders[2], abi::INSIDER_SELF}})
                    .has_value());
    Packet packet = kind.packet();
    for (const netlink::Mac& mac : insiders) {
        packet.from = mac;
        const Frame frame = frame_of(packet);
        const Outcome outcome = bed.run(frame);
        EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_DROP));
        EXPECT_EQ(outcome.frame, frame);
    }
    EXPECT_EQ(bed.reason(abi::REASON_loop), 3U);
    EXPECT_EQ(bed.counters().services.at(kind.key()).packets, 0U);
    // Whose MACs share a bit with one of these is none of them; who left is none any more.
    packet.from = with_the_bit_of(insiders[0]);
    EXPECT_EQ(bed.sent_to(frame_of(packet)), 11);
    ASSERT_TRUE(guard.set({{insiders[1], abi::INSIDER_DIRECTOR}}).has_value());
    packet.from = insiders[0];
    EXPECT_EQ(bed.sent_to(frame_of(packet)), 11);
    packet.from = insiders[1];
    EXPECT_EQ(bed.sent_to(frame_of(packet)), -1);
}

TEST_P(EveryKind, passes_the_share_of_this_machines_own_server_and_what_insiders_send) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    const Endpoint own = server(kind.service, 1);
    const Endpoint other = server(kind.service, 11);
    bed.ways[own.address].local = true;
    bed.ways[own.address].ifindex = 1;
    bed.serve(kind.key(), {{own, 1}, {other, 0}});
    ASSERT_TRUE(
        Insiders{*bed.maps}.set({{mac_of(other.address), abi::INSIDER_SERVER}}).has_value());
    Packet packet = kind.packet();
    const Frame frame = frame_of(packet);
    packet.from = mac_of(other.address);
    const auto expect_passed = [&](const Frame& in, std::uint64_t packets) {
        const Outcome outcome = bed.run(in);
        EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_PASS));
        EXPECT_EQ(outcome.frame, in);
        EXPECT_EQ(bed.counters().services.at(kind.key()).packets, packets);
        EXPECT_EQ(bed.counters().servers.at({kind.key(), own}).packets, packets);
        EXPECT_EQ(bed.counters().servers.at({kind.key(), own}).bytes, packets * in.size());
    };
    expect_passed(frame, 1);
    expect_passed(frame_of(packet), 2);
    // Its own server is drained, then gone: another director does not know yet.
    bed.serve(kind.key(), {{own, 0}, {other, 1}});
    expect_passed(frame_of(packet), 3);
    const core::Change gone = core::RemoveDestination{kind.key(), own};
    ASSERT_TRUE(bed.services->apply({&gone, 1}, {}).has_value());
    expect_passed(frame_of(packet), 4);
    EXPECT_EQ(bed.sent_to(frame), 11);
    EXPECT_EQ(bed.reason(abi::REASON_loop), 0U);
}

TEST_P(EveryKind, passes_to_the_local_stack_when_no_server_has_weight) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 0}});
    const Frame frame = frame_of(kind.packet());
    const Outcome outcome = bed.run(frame);
    EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_PASS));
    EXPECT_EQ(outcome.frame, frame);
    EXPECT_EQ(bed.reason(abi::REASON_no_server), 1U);
}

TEST_P(EveryKind, drops_and_counts_when_a_slot_names_no_record) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 1}});
    // 256 servers are the limit: that many records, four times over, and one.
    for (abi::slot_block& block : bed.maps->slots())
        std::fill(std::begin(block.position), std::end(block.position), 0xffff);
    EXPECT_EQ(bed.run(frame_of(kind.packet())).verdict, static_cast<std::uint32_t>(XDP_DROP));
    EXPECT_EQ(bed.reason(abi::REASON_broken_table), 1U);
}

TEST_P(EveryKind, gives_shares_by_weight) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    bed.serve(kind.key(), {{server(kind.service, 11), 3}, {server(kind.service, 12), 1}});
    int shares[256] = {};
    constexpr int packets = 4000;
    for (int i = 0; i < packets; ++i) {
        Packet packet = kind.packet();
        packet.source.port = static_cast<std::uint16_t>(1024 + i);
        const int to = bed.sent_to(frame_of(packet));
        ASSERT_GE(to, 0);
        ++shares[to];
    }
    EXPECT_EQ(shares[11] + shares[12], packets);
    // Per packet: exact on each CPU that ran the test. By flow: 3 sigma of a binomial.
    const double slack = kind.protocol == Protocol::udp ? 8 : 3 * std::sqrt(packets * 0.75 * 0.25);
    EXPECT_NEAR(shares[11], packets * 0.75, slack);
}

TEST_P(EveryKind, uses_the_slot_that_user_space_computes_for_a_flow) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    core::ServiceForwarding wish{kind.key(), core::Scheduler::mh, core::ForwardingMethod::dr, {}};
    for (int number = 11; number < 18; ++number)
        wish.destinations.push_back({server(kind.service, number), 1});
    bed.serve(wish.key, wish.destinations, wish.scheduler);
    const core::Table table = core::build_table(wish);
    for (int i = 0; i < 200; ++i) {
        Packet packet = kind.packet();
        packet.source.port = static_cast<std::uint16_t>(1024 + 7 * i);
        const Words from = words_of(packet.source.address);
        const Words to = words_of(packet.destination.address);
        const std::uint32_t ports =
            htons(packet.source.port) | std::uint32_t{htons(packet.destination.port)} << 16;
        const std::uint32_t hash =
            kind.service.address.is_v4()
                ? abi::flow_hash4(static_cast<__u32>(from[0]), static_cast<__u32>(to[0]), ports)
                : abi::flow_hash6(from[0], from[1], to[0], to[1], ports);
        const auto slot = abi::slot_of_hash(hash, static_cast<__u32>(table.slots.size()));
        EXPECT_EQ(bed.sent_to(frame_of(packet)), 11 + static_cast<int>(table.slots[slot]));
    }
}

TEST_P(EveryKind, keeps_a_client_on_one_server_under_source_hashing) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    std::vector<core::Destination> destinations;
    for (int number = 11; number < 18; ++number)
        destinations.push_back({server(kind.service, number), 1});
    bed.serve(kind.key(), destinations, core::Scheduler::sh);
    std::set<int> of_one_client;
    std::set<int> of_many;
    for (int i = 0; i < 64; ++i) {
        Packet packet = kind.packet();
        packet.source.port = static_cast<std::uint16_t>(1024 + i);
        of_one_client.insert(bed.sent_to(frame_of(packet)));
        packet.source.address = server(kind.service, 1 + i).address;
        of_many.insert(bed.sent_to(frame_of(packet)));
    }
    EXPECT_EQ(of_one_client.size(), 1U);
    EXPECT_EQ(of_many.size(), 7U);
}

TEST_P(EveryKind, takes_the_port_into_the_hash_or_not_as_told) {
    NEEDS_BED(bed);
    const Kind& kind = GetParam();
    const auto servers_of_one_client = [&](core::Scheduler scheduler, bool other_hash) {
        const core::EditService edit{kind.key(), scheduler, core::ForwardingMethod::dr, other_hash};
        EXPECT_TRUE(bed.services->apply(std::vector<core::Change>{edit}, {}).has_value());
        std::set<int> servers;
        for (int i = 0; i < 64; ++i) {
            Packet packet = kind.packet();
            packet.source.port = static_cast<std::uint16_t>(1024 + i);
            servers.insert(bed.sent_to(frame_of(packet)));
        }
        return servers.size();
    };
    std::vector<core::Destination> destinations;
    for (int number = 11; number < 18; ++number)
        destinations.push_back({server(kind.service, number), 1});
    bed.serve(kind.key(), destinations, core::Scheduler::sh);
    EXPECT_EQ(servers_of_one_client(core::Scheduler::sh, false), 1U);
    EXPECT_EQ(servers_of_one_client(core::Scheduler::sh, true), 7U);  // sh-port
    EXPECT_EQ(servers_of_one_client(core::Scheduler::mh, false), 7U);
    EXPECT_EQ(servers_of_one_client(core::Scheduler::mh, true), 1U);  // mh without mh-port
}

INSTANTIATE_TEST_SUITE_P(XdpProgram, EveryKind,
                         testing::Values(Kind{"udp4", service4, client4, Protocol::udp},
                                         Kind{"tcp4", service4, client4, Protocol::tcp},
                                         Kind{"udp6", service6, client6, Protocol::udp},
                                         Kind{"tcp6", service6, client6, Protocol::tcp}),
                         [](const auto& kind) { return std::string{kind.param.name}; });

TEST(XdpProgram, takes_ipv4_options_in_its_stride) {
    NEEDS_BED(bed);
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        bed.serve({service4.address, 53, protocol}, {{server(service4, 11), 1}});
        for (std::size_t options = 4; options <= 40; options += 4)
            EXPECT_EQ(bed.sent_to(frame_of({.source = client4,
                                            .destination = service4,
                                            .protocol = protocol,
                                            .options = options})),
                      11)
                << options;
    }
}

TEST(XdpProgram, tells_services_apart_that_share_a_bucket) {
    NEEDS_BED(bed);
    std::map<std::uint32_t, std::vector<Endpoint>> buckets;
    std::vector<Endpoint> sharing;
    for (std::uint16_t port = 1; sharing.empty(); ++port) {
        const core::ServiceKey key{service4.address, port, Protocol::udp};
        const Words words = words_of(key.address);
        auto& there = buckets[abi::directory_bucket(words[0], words[1], where_of(key))];
        there.push_back(key.endpoint());
        if (there.size() == 4) sharing = there;
    }
    for (std::size_t i = 0; i < sharing.size(); ++i)
        bed.serve({sharing[i].address, sharing[i].port, Protocol::udp},
                  {{server(service4, 11 + static_cast<int>(i)), 1}});
    const auto who_answers = [&](std::size_t i) {
        return bed.sent_to(frame_of({.source = client4, .destination = sharing[i]}));
    };
    for (std::size_t i = 0; i < sharing.size(); ++i)
        EXPECT_EQ(who_answers(i), 11 + static_cast<int>(i));
    // One of the middle goes, the others stay.
    const core::Change gone =
        core::RemoveService{{sharing[1].address, sharing[1].port, Protocol::udp}};
    ASSERT_TRUE(bed.services->apply({&gone, 1}, {}).has_value());
    EXPECT_EQ(who_answers(0), 11);
    EXPECT_EQ(who_answers(1), -1);
    EXPECT_EQ(who_answers(2), 13);
    EXPECT_EQ(who_answers(3), 14);
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
