// SPDX-License-Identifier: Apache-2.0
//
// From routes and neighbours to ports, tags, MACs and tunnels.
#include <gtest/gtest.h>

#include "dataplane/xdp/next_hops.h"
#include "unit/dataplane/fake_netlink.h"

namespace dnsdirector::dataplane::xdp {
namespace {

using test::FakeNetlink;
constexpr auto dr = core::ForwardingMethod::dr;
constexpr auto tun = core::ForwardingMethod::tun;
constexpr netlink::Mac own{2, 0, 0, 0, 0, 1};
constexpr netlink::Mac kai{2, 0, 0, 0, 1, 11};
constexpr netlink::Mac router{2, 0, 0, 0, 2, 254};

IpAddress ip(const char* text) {
    return *IpAddress::parse(text);
}

class XdpNextHops : public testing::Test {
protected:
    XdpNextHops() {
        net.all_links = {FakeNetlink::link(2, "eth1", own),
                         FakeNetlink::vlan(3, "eth1.105", own, 2, 105),
                         FakeNetlink::vlan(4, "eth1.109", own, 2, 109),
                         FakeNetlink::vlan(5, "eth1.7", {2, 0, 0, 0, 0, 7}, 2, 7, 0x88a8),
                         FakeNetlink::vlan(6, "eth1.7.8", {2, 0, 0, 0, 0, 7}, 5, 8)};
    }
    NextHops& hops() {
        if (!made) {
            made.emplace(net, sources);
            EXPECT_TRUE(made->load().has_value());
        }
        return *made;
    }
    void track(const std::set<Target>& servers, const std::set<IpAddress>& directors = {}) {
        hops().track(servers, directors, {});
    }
    netlink::Neighbour answers(const char* address, int interface, const netlink::Mac& mac) {
        return {.interface = interface, .address = ip(address), .mac = mac};
    }

    FakeNetlink net;
    std::vector<core::Prefix> sources;
    std::optional<NextHops> made;
};

TEST_F(XdpNextHops, of_one_machine_in_two_vlans_differ_by_their_tags) {
    net.on_link(ip("203.0.113.11"), 3);
    net.on_link(ip("198.51.100.11"), 4);
    net.neighbour(ip("203.0.113.11"), 3, kai);
    net.neighbour(ip("198.51.100.11"), 4, kai);
    track({{ip("203.0.113.11"), dr}, {ip("198.51.100.11"), dr}});
    const Hop* first = hops().hop({ip("203.0.113.11"), dr});
    const Hop* second = hops().hop({ip("198.51.100.11"), dr});
    ASSERT_TRUE(first != nullptr && second != nullptr);
    for (const Hop* hop : {first, second}) {
        EXPECT_EQ(hop->ifindex, 2U);  // the port below
        EXPECT_EQ(hop->server, kai);
        EXPECT_EQ(hop->own, own);
    }
    EXPECT_EQ(first->tags, (Tags{Tag{0x8100, 105}}));
    EXPECT_EQ(second->tags, (Tags{Tag{0x8100, 109}}));
    EXPECT_EQ(hops().ports(), (std::set<int>{2}));
}

TEST_F(XdpNextHops, over_stacked_vlans_have_both_tags_and_the_devices_mac) {
    net.on_link(ip("203.0.113.11"), 6);
    track({{ip("203.0.113.11"), dr}});
    EXPECT_EQ(hops().hop({ip("203.0.113.11"), dr}), nullptr);
    EXPECT_EQ(hops().reason({ip("203.0.113.11"), dr}),
              "no ARP answer from 203.0.113.11 on eth1.7.8");
    hops().on_neighbour(answers("203.0.113.11", 6, kai), {});
    const Hop* hop = hops().hop({ip("203.0.113.11"), dr});
    ASSERT_NE(hop, nullptr);
    EXPECT_EQ(hop->tags, (Tags{Tag{0x88a8, 7}, Tag{0x8100, 8}}));
    EXPECT_EQ(hop->own, (netlink::Mac{2, 0, 0, 0, 0, 7}));
    EXPECT_EQ(hops().take_changed(), std::vector{ip("203.0.113.11")});
}

TEST_F(XdpNextHops, follow_a_vlan_device_that_is_made_anew_with_another_number) {
    net.on_link(ip("203.0.113.11"), 3);
    net.neighbour(ip("203.0.113.11"), 3, kai);
    track({{ip("203.0.113.11"), dr}});
    const netlink::Link changed = FakeNetlink::vlan(3, "eth1.105", own, 2, 205);
    hops().on_link(changed, false, {});
    ASSERT_TRUE(hops().deadline().has_value());
    hops().on_deadline(*hops().deadline());
    EXPECT_EQ(hops().hop({ip("203.0.113.11"), dr})->tags[0].id, 205);
}

TEST_F(XdpNextHops, by_a_tunnel_lead_to_the_router_that_two_servers_share) {
    net.behind(ip("192.0.2.11"), 3, ip("203.0.113.254"));
    net.behind(ip("192.0.2.12"), 3, ip("203.0.113.254"));
    net.routes[ip("192.0.2.12")].mtu = 1400;
    const Target first{ip("192.0.2.11"), tun};
    const Target second{ip("192.0.2.12"), tun};
    track({first, second});
    EXPECT_EQ(hops().reason(first),
              "no ARP answer from 203.0.113.254, the router to 192.0.2.11, on eth1.105");
    EXPECT_EQ(net.asked.size(), 1U);
    hops().on_neighbour(answers("203.0.113.254", 3, router), {});
    ASSERT_NE(hops().hop(first), nullptr) << hops().reason(first);
    EXPECT_EQ(hops().hop(first)->server, router);
    EXPECT_EQ(hops().hop(first)->tags, (Tags{Tag{0x8100, 105}}));
    EXPECT_EQ(hops().hop(first)->tunnel, (Tunnel{ip("203.0.113.1"), ip("192.0.2.11"), 0, 1500}));
    EXPECT_EQ(hops().hop(second)->tunnel->mtu, 1400U);
    // Clients' packets come from that router.
    EXPECT_FALSE(hops().take_insiders()->contains(router));
    track({second});
    EXPECT_EQ(net.asked.size(), 1U);
    track({});
    EXPECT_EQ(net.asked.size(), 0U);
}

TEST_F(XdpNextHops, spread_a_tunnels_source_over_a_network_of_its_own) {
    sources = {{ip("198.51.100.0"), 24}, {ip("2001:db8:5::"), 64}};
    net.on_link(ip("203.0.113.11"), 2);
    net.on_link(ip("2001:db8:1::11"), 2);
    net.neighbour(ip("203.0.113.11"), 2, kai);
    net.neighbour(ip("2001:db8:1::11"), 2, kai);
    track({{ip("203.0.113.11"), tun}, {ip("2001:db8:1::11"), tun}});
    EXPECT_EQ(hops().hop({ip("203.0.113.11"), tun})->tunnel,
              (Tunnel{ip("198.51.100.0"), ip("203.0.113.11"), 0xff, 1500}));
    EXPECT_EQ(hops().hop({ip("2001:db8:1::11"), tun})->tunnel,
              (Tunnel{ip("2001:db8:5::"), ip("2001:db8:1::11"), 0xffffffff, 1500}));
}

TEST_F(XdpNextHops, refuse_a_tunnel_that_is_too_narrow_for_ipv6) {
    net.on_link(ip("2001:db8:1::11"), 2);
    net.routes[ip("2001:db8:1::11")].mtu = 1319;
    track({{ip("2001:db8:1::11"), tun}});
    EXPECT_EQ(hops().reason({ip("2001:db8:1::11"), tun}),
              "the MTU on the way to 2001:db8:1::11 by eth1 is 1319; a tunnel needs at least 1320");
}

TEST_F(XdpNextHops, of_one_server_may_go_both_ways) {
    net.on_link(ip("203.0.113.11"), 2);
    net.neighbour(ip("203.0.113.11"), 2, kai);
    track({{ip("203.0.113.11"), dr}, {ip("203.0.113.11"), tun}});
    EXPECT_FALSE(hops().hop({ip("203.0.113.11"), dr})->tunnel.has_value());
    EXPECT_TRUE(hops().hop({ip("203.0.113.11"), tun})->tunnel.has_value());
    EXPECT_EQ(net.asked.size(), 1U);
}

TEST_F(XdpNextHops, name_tun_for_a_server_behind_a_gateway) {
    net.behind(ip("192.0.2.11"), 2, ip("203.0.113.254"));
    track({{ip("192.0.2.11"), dr}});
    EXPECT_EQ(hops().reason({ip("192.0.2.11"), dr}),
              "192.0.2.11 is behind gateway 203.0.113.254: direct routing (lb_kind DR) needs it on "
              "the same network; TUN will serve");
}

TEST_F(XdpNextHops, follow_a_server_that_becomes_this_machine) {
    net.on_link(ip("203.0.113.11"), 2);
    net.neighbour(ip("203.0.113.11"), 2, kai);
    const Target server{ip("203.0.113.11"), dr};
    track({server});
    EXPECT_FALSE(hops().hop(server)->local);
    net.local(ip("203.0.113.11"));
    hops().on_address(ip("203.0.113.11"), {});
    hops().on_deadline(*hops().deadline());
    EXPECT_TRUE(hops().hop(server)->local);
    EXPECT_EQ(hops().reason(server), "");
    EXPECT_EQ(net.asked.size(), 0U);
    EXPECT_FALSE(hops().take_insiders()->contains(kai));
}

TEST_F(XdpNextHops, know_whose_frames_must_not_be_forwarded) {
    net.on_link(ip("203.0.113.11"), 3);
    net.neighbour(ip("203.0.113.11"), 3, kai);
    net.on_link(ip("203.0.113.2"), 2);
    net.neighbour(ip("203.0.113.2"), 2, {2, 0, 0, 0, 0, 2});
    net.local(ip("203.0.113.1"));
    track({{ip("203.0.113.11"), dr}}, {ip("203.0.113.1"), ip("203.0.113.2")});
    EXPECT_EQ(hops().take_insiders(), (InsiderMacs{{own, abi::INSIDER_SELF},
                                                   {{2, 0, 0, 0, 0, 2}, abi::INSIDER_DIRECTOR},
                                                   {{2, 0, 0, 0, 0, 7}, abi::INSIDER_SELF},
                                                   {kai, abi::INSIDER_SERVER}}));
    EXPECT_EQ(hops().take_insiders(), std::nullopt);
}

TEST_F(XdpNextHops, refuse_a_server_with_a_mac_of_this_machine) {
    net.on_link(ip("203.0.113.11"), 2);
    net.neighbour(ip("203.0.113.11"), 2, own);
    track({{ip("203.0.113.11"), dr}});
    EXPECT_EQ(hops().hop({ip("203.0.113.11"), dr}), nullptr);
    EXPECT_EQ(hops().reason({ip("203.0.113.11"), dr}),
              "203.0.113.11 answers on eth1 with the MAC of this machine's own eth1 "
              "(02:00:00:00:00:01): a copied MAC, or proxy ARP");
}

}  // namespace
}  // namespace dnsdirector::dataplane::xdp
