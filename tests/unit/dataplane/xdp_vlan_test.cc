// SPDX-License-Identifier: Apache-2.0
//
// VLAN tags: whatever stack of them a packet comes with, it leaves with the one of
// its server. And which interface lies below which VLAN devices.
#include <gtest/gtest.h>
#include <linux/bpf.h>

#include "dataplane/xdp/port.h"
#include "unit/dataplane/packets.h"
#include "unit/dataplane/xdp_bed.h"
#include "unit/support/one_cpu.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::Bed;
using test::Frame;
using test::frame_of;
using test::mac_of;
using test::Packet;
using test::server;

const Endpoint service4 = *Endpoint::parse("192.0.2.53:53");
const Endpoint service6 = *Endpoint::parse("[2001:db8::53]:53");
const Endpoint client4 = *Endpoint::parse("198.51.100.7:4000");
const Endpoint client6 = *Endpoint::parse("[2001:db8:7::7]:4000");

constexpr std::uint16_t customer = 0x8100;
constexpr std::uint16_t provider = 0x88a8;

struct Stack {
    const char* name;
    std::vector<Tag> tags;
};
const Stack stacks[] = {
    {"none", {}},
    {"one", {{customer, 105}}},
    {"provider", {{provider, 4094}}},
    {"two", {{provider, 100}, {customer, 7}}},
    {"two_alike", {{customer, 1}, {customer, 2}}},
};

/// What `frame`, made without tags, looks like with these.
Frame tagged(const Frame& frame, const std::vector<Tag>& tags, std::uint16_t priority = 0) {
    Frame with{frame.begin(), frame.begin() + 12};
    for (std::size_t i = 0; i < tags.size(); ++i) {
        test::put16(with, tags[i].protocol);
        test::put16(with, static_cast<std::uint16_t>(tags[i].id | (i == 0 ? priority : 0)));
    }
    with.insert(with.end(), frame.begin() + 12, frame.end());
    return with;
}

Hop hop_with(const std::vector<Tag>& tags, std::uint32_t ifindex) {
    Hop hop;
    hop.ifindex = ifindex;
    hop.server = {2, 0, 0, 0, 1, 11};
    hop.own = {2, 0, 0, 0, 0, 2};
    for (std::size_t i = 0; i < tags.size(); ++i)
        hop.tags[i] = tags[i];
    return hop;
}

class EveryStack : public testing::TestWithParam<std::tuple<bool, Protocol>> {
protected:
    const Endpoint& service = std::get<0>(GetParam()) ? service4 : service6;
    const Endpoint& client = std::get<0>(GetParam()) ? client4 : client6;
    const core::ServiceKey key{service.address, 53, std::get<1>(GetParam())};
    const Frame plain =
        frame_of({.source = client, .destination = service, .protocol = key.protocol});
};

TEST_P(EveryStack, becomes_the_servers_over_either_port) {
    NEEDS_BED(bed);
    const core::Destination to{server(service, 11), 1};
    for (const bool other_port : {false, true})
        for (const Stack& out : stacks) {
            bed.ways[to.server.address] = hop_with(out.tags, other_port ? bed.far() : bed.near());
            bed.serve(key, {to});
            ASSERT_TRUE(bed.services->refresh(std::vector{to.server.address}, {}).has_value());
            for (const Stack& in : stacks) {
                SCOPED_TRACE(std::string{in.name} + " to " + out.name);
                const std::uint16_t priority = 0xb000;  // 5, and may be dropped
                const Frame frame = tagged(plain, in.tags, priority);
                const auto outcome = bed.run(frame);
                EXPECT_EQ(outcome.verdict,
                          static_cast<std::uint32_t>(other_port ? XDP_REDIRECT : XDP_TX));
                // The priority goes from outermost tag to outermost tag.
                EXPECT_EQ(outcome.frame,
                          tagged(test::with_macs(plain, {2, 0, 0, 0, 1, 11}, {2, 0, 0, 0, 0, 2}),
                                 out.tags, in.tags.empty() ? 0 : priority));
            }
        }
    const Counters counters = bed.counters();
    EXPECT_EQ(counters.services.at(key).packets, 2 * std::size(stacks) * std::size(stacks));
    EXPECT_EQ(counters.servers.at({key, to.server}).packets, counters.services.at(key).packets);
}

TEST_P(EveryStack, is_judged_as_an_untagged_packet_is) {
    NEEDS_BED(bed);
    bed.serve(key, {{server(service, 11), 1}});
    for (const Stack& in : stacks) {
        SCOPED_TRACE(in.name);
        const Frame whole = tagged(plain, in.tags);
        Frame another = whole;
        another[5] = 9;  // another machine's
        EXPECT_EQ(bed.run(another).verdict, static_cast<std::uint32_t>(XDP_PASS));
        for (std::size_t size = 14; size < whole.size(); ++size) {
            const auto outcome =
                bed.run({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
            EXPECT_TRUE(outcome.verdict == XDP_PASS || outcome.verdict == XDP_DROP) << size;
        }
    }
    const Frame three = tagged(plain, {{customer, 1}, {customer, 2}, {customer, 3}});
    const auto outcome = bed.run(three);
    EXPECT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_PASS));
    EXPECT_EQ(outcome.frame, three);
    EXPECT_EQ(bed.counters().services.at(key).packets, 0U);
}

INSTANTIATE_TEST_SUITE_P(XdpVlan, EveryStack,
                         testing::Combine(testing::Bool(),
                                          testing::Values(Protocol::udp, Protocol::tcp)),
                         [](const auto& kind) {
                             return std::string{to_string(std::get<1>(kind.param))} +
                                    (std::get<0>(kind.param) ? "4" : "6");
                         });

/// The classic case: one machine, one MAC, two servers.
TEST(XdpVlan, tells_two_servers_with_one_mac_apart_by_their_vlan) {
    NEEDS_BED(bed);
    const core::ServiceKey key{service4.address, 53, Protocol::udp};
    bed.ways[server(service4, 11).address] = hop_with({{customer, 105}}, bed.near());
    bed.ways[server(service4, 12).address] = hop_with({{customer, 109}}, bed.near());
    bed.serve(key, {{server(service4, 11), 1}, {server(service4, 12), 1}});
    std::map<std::uint16_t, int> vlans;
    const support::OneCpu one_cpu;  // the cursor is each CPU's own
    for (int i = 0; i < 10; ++i) {
        const auto outcome = bed.run(frame_of({.source = client4, .destination = service4}));
        ASSERT_EQ(outcome.verdict, static_cast<std::uint32_t>(XDP_TX));
        ++vlans[static_cast<std::uint16_t>(outcome.frame[14] << 8 | outcome.frame[15])];
    }
    EXPECT_EQ(vlans, (std::map<std::uint16_t, int>{{105, 5}, {109, 5}}));
}

TEST(XdpVlan, ways_survive_a_restart) {
    NEEDS_BED(bed);
    const core::ServiceKey key{service4.address, 53, Protocol::udp};
    const Endpoint first = server(service4, 11);
    const Hop hop = hop_with({{provider, 100}, {customer, 7}}, bed.near());
    bed.ways[first.address] = hop;
    bed.serve(key, {{first, 1}});
    bed.restart();
    EXPECT_EQ(bed.services->hops_in_use().at({first.address, core::ForwardingMethod::dr}), hop);
}

// ---- what lies below ---------------------------------------------------------

netlink::Link link(int index, const char* name, const char* kind = "", int lower = 0,
                   std::uint16_t protocol = 0, std::uint16_t id = 0) {
    netlink::Link link;
    link.index = index;
    link.name = name;
    link.kind = kind;
    link.mac = {2, 0, 0, 0, 0, 1};
    link.lower = lower;
    link.vlan_protocol = protocol;
    link.vlan_id = id;
    return link;
}

Links links_of(const std::vector<netlink::Link>& all) {
    Links links;
    for (const netlink::Link& each : all)
        links.emplace(each.index, each);
    return links;
}

TEST(XdpPort, is_below_all_vlan_devices) {
    const Links links = links_of({link(2, "eth0"), link(3, "eth0.100", "vlan", 2, provider, 100),
                                  link(4, "eth0.100.7", "vlan", 3, customer, 7),
                                  link(5, "eth0.100.7.9", "vlan", 4, customer, 9),
                                  link(6, "away", "vlan", 0, customer, 9)});
    EXPECT_EQ(port_below(links, 2)->index, 2);
    EXPECT_EQ(count(port_below(links, 2)->tags), 0U);
    EXPECT_EQ(port_below(links, 3)->index, 2);
    EXPECT_EQ(port_below(links, 3)->tags, (Tags{Tag{provider, 100}}));
    EXPECT_EQ(port_below(links, 4)->index, 2);
    EXPECT_EQ(port_below(links, 4)->tags, (Tags{Tag{provider, 100}, Tag{customer, 7}}));
    EXPECT_EQ(port_below(links, 5).error().message,
              "eth0.100.7.9 is the third VLAN device on top of each other; the program takes two");
    EXPECT_EQ(port_below(links, 6).error().message,
              "there is no interface below away in this network namespace");
}

TEST(XdpPort, must_be_an_ethernet_interface_that_is_given_clients_frames) {
    std::vector<netlink::Link> all{link(1, "lo"),
                                   link(2, "eth0"),
                                   link(3, "bond0", "bond"),
                                   link(4, "br0", "bridge"),
                                   link(5, "mv0", "macvlan"),
                                   link(6, "iv0", "ipvlan"),
                                   link(7, "tun0", "tun"),
                                   link(8, "tap0", "tun"),
                                   link(9, "eth1"),
                                   link(10, "eth2"),
                                   link(11, "eth3")};
    all[0].loopback = true;
    all[6].mac = {};
    all[8].master = 3;
    all[8].port_kind = "bond";
    all[9].master = 4;
    all[9].port_kind = "bridge";
    all[10].port_kind = "vrf";
    const Links links = links_of(all);
    const auto why = [&](int index) { return unfit(links, links.at(index)); };
    for (const int fit : {2, 3, 4, 5, 8, 11})
        EXPECT_EQ(why(fit), "") << links.at(fit).name;
    EXPECT_TRUE(why(1).starts_with("lo has no MAC addresses")) << why(1);
    EXPECT_TRUE(why(7).starts_with("tun0 (tun) has no MAC addresses")) << why(7);
    EXPECT_TRUE(why(6).starts_with("iv0 is an ipvlan device")) << why(6);
    EXPECT_EQ(why(9), "eth1 is a port of the bond bond0, which has the addresses: name bond0");
    EXPECT_EQ(why(10), "eth2 is a port of the bridge br0, which has the addresses: name br0");
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
