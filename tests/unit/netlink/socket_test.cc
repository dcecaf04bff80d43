// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/neighbour.h>

#include <algorithm>

#include "netlink/netlink.h"
#include "unit/support/network_namespace.h"
#include "unit/support/wait.h"

namespace dnsdirector::netlink {
namespace {

using support::ip;
using support::NetworkNamespace;

IpAddress address(const char* text) {
    return IpAddress::parse(text).value();
}

std::unique_ptr<Socket> open_socket() {
    auto socket = Socket::open();
    EXPECT_TRUE(socket.has_value());
    return std::move(*socket);
}

int index_of(Socket& socket, const std::string& name) {
    const auto link = socket.link(name);
    EXPECT_TRUE(link && *link) << name;
    return link && *link ? (*link)->index : 0;
}

std::optional<Neighbour> find(Socket& socket, const char* who) {
    const auto all = socket.neighbours();
    EXPECT_TRUE(all.has_value());
    for (const Neighbour& neighbour : *all)
        if (neighbour.address == address(who)) return neighbour;
    return std::nullopt;
}

TEST(NetlinkText, prints_a_mac) {
    EXPECT_EQ(to_string(Mac{0x02, 0, 0, 0, 0xab, 0x01}), "02:00:00:00:ab:01");
}

TEST(NetlinkSocket, reads_links_with_kind_mac_mtu_and_state) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link add up0 address 02:00:00:00:00:01 mtu 1400 type veth peer name peer0");
    ip("link set up0 up");
    ip("link add br0 type bridge");
    ip("link set up0 master br0");
    const auto socket = open_socket();

    const auto links = socket->links();
    ASSERT_TRUE(links.has_value());
    EXPECT_EQ(links->size(), 4U);  // lo, the pair, the bridge

    const auto veth = socket->link("up0");
    ASSERT_TRUE(veth && *veth);
    EXPECT_EQ((*veth)->name, "up0");
    EXPECT_EQ((*veth)->kind, "veth");
    EXPECT_EQ(to_string((*veth)->mac), "02:00:00:00:00:01");
    EXPECT_EQ((*veth)->mtu, 1400U);
    EXPECT_TRUE((*veth)->up);
    EXPECT_FALSE((*veth)->running) << "its peer is down";
    EXPECT_EQ((*veth)->master, index_of(*socket, "br0"));
    EXPECT_EQ((*veth)->lower, 0) << "a peer is not below";
    EXPECT_EQ((*veth)->xdp_program_id, 0U);
    EXPECT_EQ(**socket->link((*veth)->index), **veth);

    const auto lo = socket->link("lo");
    ASSERT_TRUE(lo && *lo);
    EXPECT_TRUE((*lo)->loopback);
    EXPECT_EQ((*lo)->kind, "");
}

TEST(NetlinkSocket, says_nothing_of_a_link_that_is_not_there) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto socket = open_socket();
    for (const char* name : {"nothere", "", "a-name-longer-than-any-interface-may-have"}) {
        const auto link = socket->link(name);
        ASSERT_TRUE(link.has_value()) << link.error().message;
        EXPECT_FALSE(link->has_value()) << name;
    }
    EXPECT_FALSE(socket->link(4711).value().has_value());
    EXPECT_FALSE(socket->link(-1).value().has_value());
}

TEST(NetlinkSocket, tells_how_to_reach_an_address) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    ip("addr add 203.0.113.1/24 dev eth0");
    ip("addr add 2001:db8:1::1/64 dev eth0 nodad");
    ip("route add 198.51.100.0/25 via 203.0.113.254");
    ip("route add 2001:db8:2::/64 via 2001:db8:1::fe");
    ip("route add 198.51.100.128/25 via inet6 2001:db8:1::fe dev eth0");
    ip("route add blackhole 192.0.2.0/24");
    ip("-6 route add unreachable 2001:db8:3::/64");
    const auto socket = open_socket();
    const int eth0 = index_of(*socket, "eth0");

    const auto direct = socket->route_to(address("203.0.113.11"));
    ASSERT_TRUE(direct.has_value()) << direct.error().message;
    EXPECT_EQ(*direct, (Route{Route::Type::unicast, eth0, std::nullopt, address("203.0.113.1")}));

    const auto direct6 = socket->route_to(address("2001:db8:1::11"));
    ASSERT_TRUE(direct6.has_value()) << direct6.error().message;
    EXPECT_EQ(direct6->type, Route::Type::unicast);
    EXPECT_EQ(direct6->out_interface, eth0);
    EXPECT_FALSE(direct6->gateway);

    EXPECT_EQ(socket->route_to(address("198.51.100.1"))->gateway, address("203.0.113.254"));
    EXPECT_EQ(socket->route_to(address("2001:db8:2::1"))->gateway, address("2001:db8:1::fe"));
    EXPECT_EQ(socket->route_to(address("198.51.100.129"))->gateway, address("2001:db8:1::fe"))
        << "an IPv4 route by an IPv6 gateway";

    EXPECT_EQ(socket->route_to(address("203.0.113.1"))->type, Route::Type::local);
    // Put into force by a work queue.
    EXPECT_TRUE(support::eventually([&] {
        const auto own = socket->route_to(address("2001:db8:1::1"));
        return own && own->type == Route::Type::local;
    }));

    const auto nowhere = socket->route_to(address("198.18.0.1"));
    ASSERT_FALSE(nowhere.has_value());
    EXPECT_NE(nowhere.error().message.find("no route to 198.18.0.1"), std::string::npos)
        << nowhere.error().message;
    // Whether a blackhole is an error or a type is the family's habit; never a way.
    for (const char* hole : {"192.0.2.1", "2001:db8:3::1"}) {
        const auto route = socket->route_to(address(hole));
        EXPECT_TRUE(!route || route->type == Route::Type::other) << hole;
    }
}

TEST(NetlinkSocket, adds_and_removes_host_addresses_once) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = open_socket();
    const int lo = index_of(*socket, "lo");
    for (const char* text : {"192.0.2.53", "2001:db8::53"}) {
        const IpAddress service = address(text);
        const InterfaceAddress held{lo, service, service.host_prefix_length()};
        const auto holds = [&] {
            const auto all = socket->addresses().value();
            return std::find(all.begin(), all.end(), held) != all.end();
        };
        EXPECT_EQ(socket->add_address(lo, service), Result<bool>{true});
        EXPECT_TRUE(holds()) << text;
        EXPECT_EQ(socket->add_address(lo, service), Result<bool>{false});
        // The kernel puts an IPv6 address into force by a work queue.
        EXPECT_TRUE(support::eventually([&] {
            const auto route = socket->route_to(service);
            return route && route->type == Route::Type::local;
        })) << text;
        EXPECT_EQ(socket->remove_address(lo, service), Result<bool>{true});
        EXPECT_FALSE(holds()) << text;
        EXPECT_EQ(socket->remove_address(lo, service), Result<bool>{false});
    }
    EXPECT_EQ(socket->remove_address(4711, address("192.0.2.53")), Result<bool>{false});
    EXPECT_FALSE(socket->add_address(4711, address("192.0.2.53")).has_value());
}

TEST(NetlinkSocket, says_which_switch_keeps_an_ipv6_address_off) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::sysctl("net/ipv6/conf/lo/disable_ipv6", "1");
    const auto socket = open_socket();
    const auto added = socket->add_address(index_of(*socket, "lo"), address("2001:db8::53"));
    ASSERT_FALSE(added.has_value());
    EXPECT_NE(added.error().message.find("net.ipv6.conf.lo.disable_ipv6"), std::string::npos)
        << added.error().message;
}

TEST(NetlinkSocket, never_chooses_a_service_ip_as_its_own_source) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    ip("addr add 2001:db8:1::1/64 dev eth0 nodad");
    ip("route add 2001:db8:53::/48 via 2001:db8:1::fe");
    const auto socket = open_socket();
    // Closer to the destination than the interface's own address.
    ASSERT_TRUE(socket->add_address(index_of(*socket, "eth0"), address("2001:db8:53::53")));
    EXPECT_EQ(socket->route_to(address("2001:db8:53::54"))->preferred_source,
              address("2001:db8:1::1"));
}

/// Two namespaces, a cable between them, addresses of both families.
class NetlinkNeighbours : public ::testing::Test {
protected:
    void connect(const NetworkNamespace& other) {
        ip("link set lo up");
        ip("link add eth0 type veth peer name server0 netns " + other.path());
        ip("addr add 203.0.113.1/24 dev eth0");
        ip("addr add 2001:db8:1::1/64 dev eth0 nodad");
        {
            const NetworkNamespace::Visit visit{other};
            ip("link set server0 address 02:00:00:00:00:11");
            ip("addr add 203.0.113.11/24 dev server0");
            ip("addr add 2001:db8:1::11/64 dev server0 nodad");
            ip("link set server0 up");
        }
        ip("link set eth0 up");
    }
};

TEST_F(NetlinkNeighbours, resolves_and_goes_on_caring) {
    NetworkNamespace other;
    other.leave();
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect(other);
    const auto socket = open_socket();
    const int eth0 = index_of(*socket, "eth0");
    for (const char* server : {"203.0.113.11", "2001:db8:1::11"}) {
        const auto asked = socket->resolve(eth0, address(server));
        ASSERT_TRUE(asked.has_value()) << asked.error().message;
        ASSERT_TRUE(support::eventually([&] {
            const auto found = find(*socket, server);
            return found && found->mac;
        })) << server;
        const auto found = find(*socket, server);
        EXPECT_EQ(to_string(*found->mac), "02:00:00:00:00:11");
        EXPECT_FALSE(found->failed);
        EXPECT_EQ(found->interface, eth0);
        EXPECT_TRUE(socket->release(eth0, address(server)).has_value());
        EXPECT_TRUE(find(*socket, server)->mac) << "released, but not forgotten";
        EXPECT_TRUE(socket->release(eth0, address(server)).has_value()) << "again";
    }
    EXPECT_TRUE(socket->release(eth0, address("203.0.113.77")).has_value()) << "never known";
    EXPECT_TRUE(socket->release(4711, address("203.0.113.11")).has_value()) << "interface gone";
}

TEST_F(NetlinkNeighbours, reports_one_that_does_not_answer_and_no_mac_for_it) {
    NetworkNamespace other;
    other.leave();
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect(other);
    support::sysctl("net/ipv4/neigh/eth0/retrans_time_ms", "20");
    const auto socket = open_socket();
    ASSERT_TRUE(socket->resolve(index_of(*socket, "eth0"), address("203.0.113.99")));
    ASSERT_TRUE(support::eventually([&] {
        const auto found = find(*socket, "203.0.113.99");
        return found && found->nud_state == NUD_FAILED;
    }));
    EXPECT_TRUE(find(*socket, "203.0.113.99")->failed);
    EXPECT_FALSE(find(*socket, "203.0.113.99")->mac);
}

TEST_F(NetlinkNeighbours, keeps_the_mac_of_a_stale_entry) {
    NetworkNamespace other;
    other.leave();
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect(other);
    ip("neigh add 203.0.113.12 lladdr 02:00:00:00:00:12 dev eth0 nud stale");
    const auto found = find(*open_socket(), "203.0.113.12");
    ASSERT_TRUE(found && found->mac);
    EXPECT_EQ(to_string(*found->mac), "02:00:00:00:00:12");
    EXPECT_FALSE(found->failed);
}

TEST_F(NetlinkNeighbours, leaves_a_permanent_entry_permanent) {
    NetworkNamespace other;
    other.leave();
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    connect(other);
    ip("neigh add 203.0.113.13 lladdr 02:00:00:00:00:13 dev eth0 nud permanent");
    const auto socket = open_socket();
    const int eth0 = index_of(*socket, "eth0");
    ASSERT_TRUE(socket->resolve(eth0, address("203.0.113.13")));
    EXPECT_EQ(find(*socket, "203.0.113.13")->nud_state, NUD_PERMANENT);
    ASSERT_TRUE(socket->release(eth0, address("203.0.113.13")));
    EXPECT_EQ(find(*socket, "203.0.113.13")->nud_state, NUD_PERMANENT);
}

TEST_F(NetlinkNeighbours, names_the_interface_that_is_gone) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto asked = open_socket()->resolve(4711, address("203.0.113.11"));
    ASSERT_FALSE(asked.has_value());
    EXPECT_NE(asked.error().message.find("4711"), std::string::npos) << asked.error().message;
}

TEST_F(NetlinkNeighbours, reads_ten_thousand) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    // Permanent ones do not count towards gc_thresh3, which is the machine's.
    std::string lines;
    for (int i = 0; i < 10'000; ++i)
        lines += fmt::format(
            "neigh add 198.18.{}.{} lladdr 02:00:00:00:{:02x}:{:02x} dev eth0 nud "
            "permanent\n",
            i / 200, i % 200 + 1, i / 200, i % 200 + 1);
    support::ip_batch(lines);
    const auto all = open_socket()->neighbours();
    ASSERT_TRUE(all.has_value()) << all.error().message;
    const auto ours = std::count_if(all->begin(), all->end(), [](const Neighbour& neighbour) {
        return neighbour.mac && neighbour.nud_state == NUD_PERMANENT &&
               (*neighbour.mac)[5] == neighbour.address.bytes()[3];
    });
    EXPECT_EQ(ours, 10'000);
}

}  // namespace
}  // namespace dnsdirector::netlink
