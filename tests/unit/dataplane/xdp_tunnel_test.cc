// SPDX-License-Identifier: Apache-2.0
//
// IP in IP, and the ICMP answers to what can't go that way.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include <chrono>
#include <set>

#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_bed.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::Frame;
using test::frame_of;
using test::Outcome;
using test::Packet;
using test::server;

const Endpoint service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint service6 = *Endpoint::parse("[2001:db8::53]:53");
const Endpoint client4 = *Endpoint::parse("198.51.100.7:4000");
const Endpoint client6 = *Endpoint::parse("[2001:db8:7::7]:4000");
const netlink::Mac router{2, 0, 0, 0, 2, 254};

/// RFC 1071: 0 over what holds its own checksum.
std::uint16_t checksum(const Frame& bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += i % 2 == 0 ? bytes[i] << 8U : bytes[i];
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

Frame slice(const Frame& frame, std::size_t from, std::size_t length) {
    if (from + length > frame.size()) return {};
    const auto begin = frame.begin() + static_cast<std::ptrdiff_t>(from);
    return {begin, begin + static_cast<std::ptrdiff_t>(length)};
}
Frame rest(const Frame& frame, std::size_t from) {
    return slice(frame, from, frame.size() - from);
}

std::uint32_t number_at(const Frame& frame, std::size_t at, std::size_t bytes) {
    std::uint32_t number = 0;
    for (const std::uint8_t byte : slice(frame, at, bytes))
        number = number << 8 | byte;
    return number;
}

class XdpTunnel : public testing::TestWithParam<bool> {
protected:
    const bool v4 = GetParam();
    const Endpoint service = v4 ? service4 : service6;
    const Endpoint client = v4 ? client4 : client6;
    const core::ServiceKey key{service.address, 53, Protocol::udp};
    const Endpoint to = server(service, 11);
    const std::size_t header = v4 ? 20 : 40;
    const IpAddress own = *IpAddress::parse(v4 ? "203.0.113.1" : "2001:db8:1::1");

    /// A packet of this many bytes without its link header, its IPv4 checksum right.
    [[nodiscard]] Frame packet(std::size_t length, std::uint8_t ttl = 64,
                               std::vector<std::uint16_t> vlans = {}) const {
        Frame frame = frame_of({.source = client,
                                .destination = service,
                                .payload = length - header - 8,
                                .vlans = vlans});
        const std::size_t at = 14 + 4 * vlans.size();
        if (!v4) {
            frame[at] = 0x6b;  // traffic class 0xb9: DSCP 46, ECN 01
            frame[at + 1] = 0x91;
            frame[at + 7] = ttl;
            return frame;
        }
        frame[at + 1] = 0xb9;
        frame[at + 6] = 0x40;
        frame[at + 8] = ttl;
        const std::uint16_t sum = checksum(slice(frame, at, 20));
        frame[at + 10] = static_cast<std::uint8_t>(sum >> 8);
        frame[at + 11] = static_cast<std::uint8_t>(sum);
        return frame;
    }

    void serve(Bed& bed, std::uint32_t entropy = 0, Tags tags = {}) {
        Hop hop;
        hop.ifindex = bed.near();
        hop.server = router;
        hop.own = bed.leaves_by;
        hop.tags = tags;
        hop.tunnel = Tunnel{own, to.address, entropy, 1500};
        if (entropy != 0)
            hop.tunnel->source = *IpAddress::parse(v4 ? "198.51.100.0" : "2001:db8:5::");
        bed.ways[to.address] = hop;
        bed.serve(key, {{to, 1, core::ForwardingMethod::tun}});
    }
};

TEST_P(XdpTunnel, puts_a_header_before_the_packet_and_lowers_its_time_to_live) {
    NEEDS_BED(bed);
    serve(bed);
    const Frame in = packet(100);
    const Outcome out = bed.run(in);
    ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX));
    ASSERT_EQ(out.frame.size(), in.size() + header);
    EXPECT_EQ(slice(out.frame, 0, 6), Frame(router.begin(), router.end()));
    EXPECT_EQ(slice(out.frame, 6, 6), Frame(bed.leaves_by.begin(), bed.leaves_by.end()));
    EXPECT_EQ(slice(out.frame, 12, 2), slice(in, 12, 2));

    const Frame outer = slice(out.frame, 14, header);
    Frame wanted;
    if (v4) {
        wanted = {0x45, 0xb9, 0, 120, 0, 0, 0x40, 0, 64, 4};
        wanted.push_back(outer[10]);
        wanted.push_back(outer[11]);
        EXPECT_EQ(checksum(outer), 0);
    } else {
        wanted = {0x6b,     static_cast<std::uint8_t>(0x90 | (outer[1] & 0x0f)),
                  outer[2], outer[3],
                  0,        100,
                  41,       64};
        EXPECT_NE(number_at(outer, 0, 4) & 0xfffff, 0U);  // the flow label
    }
    test::put(wanted, own.bytes().data(), own.size());
    test::put(wanted, to.address.bytes().data(), own.size());
    EXPECT_EQ(outer, wanted);

    Frame inner = rest(out.frame, 14 + header);
    if (v4) {
        EXPECT_EQ(checksum(slice(inner, 0, 20)), 0);
    }
    Frame expected = rest(packet(100, 63), 14);
    EXPECT_EQ(inner, expected);
    EXPECT_EQ(bed.counters().servers.at({key, to}).packets, 1U);
    EXPECT_EQ(bed.counters().servers.at({key, to}).bytes, in.size());
}

TEST_P(XdpTunnel, lowers_every_time_to_live_rightly) {
    NEEDS_BED(bed);
    serve(bed);
    for (int ttl = 2; ttl <= 255; ++ttl) {
        const Outcome out = bed.run(packet(60, static_cast<std::uint8_t>(ttl)));
        ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX)) << ttl;
        EXPECT_EQ(rest(out.frame, 14 + header),
                  rest(packet(60, static_cast<std::uint8_t>(ttl - 1)), 14))
            << ttl;
    }
}

TEST_P(XdpTunnel, goes_with_vlan_tags) {
    NEEDS_BED(bed);
    const Tags tags{Tag{0x88a8, 100}, Tag{0x8100, 7}};
    serve(bed, 0, tags);
    for (const std::vector<std::uint16_t>& in :
         {std::vector<std::uint16_t>{}, {0x8100}, {0x88a8, 0x8100}}) {
        const Outcome out = bed.run(packet(100, 64, in));
        ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX));
        ASSERT_EQ(out.frame.size(), 22 + header + 100);
        EXPECT_EQ(slice(out.frame, 12, 8), (Frame{0x88, 0xa8, 0, 100, 0x81, 0, 0, 7}));
        EXPECT_EQ(slice(out.frame, 20, 2), v4 ? (Frame{8, 0}) : (Frame{0x86, 0xdd}));
        EXPECT_EQ(rest(out.frame, 22 + header), rest(packet(100, 63), 14));
    }
}

TEST_P(XdpTunnel, starts_each_flow_at_an_address_of_its_own) {
    NEEDS_BED(bed);
    serve(bed, 0xff);
    std::set<std::uint32_t> sources;
    for (std::uint16_t port = 1024; port < 1024 + 200; ++port) {
        Packet flow{.source = client, .destination = service};
        flow.source.port = port;
        std::set<Frame> of_one_flow;
        for (int i = 0; i < 3; ++i) {
            const Outcome out = bed.run(frame_of(flow));
            ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX));
            of_one_flow.insert(slice(out.frame, 14, header));
        }
        EXPECT_EQ(of_one_flow.size(), 1U);
        const Frame& outer = *of_one_flow.begin();
        const std::uint32_t last = number_at(outer, v4 ? 12 : 20, 4);
        EXPECT_EQ(last & ~0xffU, v4 ? 0xc6336400U : 0U);
        sources.insert(last);
        if (v4) {
            EXPECT_EQ(checksum(outer), 0);
        }
    }
    EXPECT_GT(sources.size(), 100U);
}

TEST_P(XdpTunnel, answers_what_is_too_big_as_a_router_does) {
    NEEDS_BED(bed);
    serve(bed);
    const std::size_t most = 1500 - header;
    EXPECT_EQ(bed.run(packet(most)).frame.size(), 14U + 1500U);
    EXPECT_EQ(bed.reason(abi::REASON_tunnel_mtu), 0U);
    for (const std::vector<std::uint16_t>& vlans :
         {std::vector<std::uint16_t>{}, {0x8100}, {0x88a8, 0x8100}}) {
        const Frame in = packet(most + 1, 64, vlans);
        const Outcome out = bed.run(in);
        ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX));
        // Back to where it came from, in its VLAN.
        const std::size_t link = 14 + 4 * vlans.size();
        EXPECT_EQ(slice(out.frame, 0, 6), slice(in, 6, 6));
        EXPECT_EQ(slice(out.frame, 6, 6), slice(in, 0, 6));
        EXPECT_EQ(slice(out.frame, 12, link - 12), slice(in, 12, link - 12));
        const Frame answer = rest(out.frame, link);
        ASSERT_EQ(answer.size(), header + 8 + 504);
        const Frame addresses = slice(answer, v4 ? 12 : 8, v4 ? 8 : 32);
        Frame wanted;
        test::put(wanted, service.address.bytes().data(), own.size());
        test::put(wanted, client.address.bytes().data(), own.size());
        EXPECT_EQ(addresses, wanted);
        const Frame icmp = rest(answer, header);
        EXPECT_EQ(rest(icmp, 8), slice(in, link, 504));
        EXPECT_EQ(number_at(icmp, 4, 4), most);
        if (v4) {
            EXPECT_EQ(checksum(slice(answer, 0, 20)), 0);
            EXPECT_EQ(checksum(icmp), 0);
            EXPECT_EQ(number_at(answer, 2, 2), answer.size());
            EXPECT_EQ(slice(icmp, 0, 2), (Frame{3, 4}));
        } else {
            EXPECT_EQ(number_at(answer, 4, 2), 512U);
            EXPECT_EQ(checksum(icmp, (~checksum(addresses) & 0xffffU) + 512 + 58), 0);
            EXPECT_EQ(slice(icmp, 0, 2), (Frame{2, 0}));
        }
    }
    EXPECT_EQ(bed.reason(abi::REASON_tunnel_mtu), 3U);
    EXPECT_EQ(bed.counters().servers.at({key, to}).packets, 1U);
}

TEST_P(XdpTunnel, answers_what_has_come_to_its_end) {
    NEEDS_BED(bed);
    serve(bed);
    for (const std::uint8_t ttl : {std::uint8_t{1}, std::uint8_t{0}}) {
        const Frame in = packet(60, ttl);
        const Outcome out = bed.run(in);
        ASSERT_EQ(out.verdict, static_cast<std::uint32_t>(XDP_TX));
        const Frame icmp = rest(out.frame, 14 + header);
        EXPECT_EQ(slice(icmp, 0, 2), v4 ? (Frame{11, 0}) : (Frame{3, 0}));
        EXPECT_EQ(rest(icmp, 8), slice(in, 14, header + 8));
    }
    EXPECT_EQ(bed.reason(abi::REASON_tunnel_ttl), 2U);
}

TEST_P(XdpTunnel, answers_only_so_often) {
    NEEDS_BED(bed);
    serve(bed);
    std::uint64_t answered = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 2000; ++i) {
        const Outcome out = bed.run(packet(60, 1));
        EXPECT_TRUE(out.verdict == XDP_TX || out.verdict == XDP_DROP);
        answered += out.verdict == XDP_TX ? 1 : 0;
    }
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    // Each CPU that the test ran on has its own budget: 50 at once, one a millisecond.
    const double cpus = static_cast<double>(libbpf_num_possible_cpus());
    EXPECT_GE(answered, 50U);
    EXPECT_LE(static_cast<double>(answered), cpus * (50 + took.count() + 1));
    EXPECT_EQ(bed.reason(abi::REASON_tunnel_ttl), 2000U);
}

TEST_P(XdpTunnel, survives_a_restart_and_a_change_to_direct_routing) {
    NEEDS_BED(bed);
    serve(bed, 0xff);
    const Hop hop = bed.ways.at(to.address);
    bed.restart();
    EXPECT_EQ(bed.services->hops_in_use().at({to.address, core::ForwardingMethod::tun}), hop);
    const auto found = bed.services->read();
    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->at(key).destinations,
              (std::vector<core::Destination>{{to, 1, core::ForwardingMethod::tun}}));
    bed.ways.clear();
    const core::Change change = core::EditDestination{key, {to, 1, core::ForwardingMethod::dr}};
    ASSERT_TRUE(bed.services->apply({&change, 1}, {}).has_value());
    const Frame in = packet(100);
    EXPECT_EQ(bed.run(in).frame, test::with_macs(in, test::mac_of(to.address), bed.leaves_by));
}

INSTANTIATE_TEST_SUITE_P(families, XdpTunnel, testing::Values(true, false),
                         [](const auto& v4) { return v4.param ? "IPv4" : "IPv6"; });

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
