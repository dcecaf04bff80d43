// SPDX-License-Identifier: Apache-2.0
#include "netlink/monitor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "unit/support/network_namespace.h"
#include "unit/support/wait.h"

namespace dnsdirector::netlink {
namespace {

using support::drive;
using support::ip;

IpAddress parsed(const char* text) {
    return IpAddress::parse(text).value();
}

TEST(NetlinkMonitor, follows_links_addresses_neighbours_and_routes) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    auto monitor = Monitor::open().value();
    std::vector<std::pair<Link, bool>> links;
    std::vector<std::pair<InterfaceAddress, bool>> addresses;
    std::vector<Neighbour> neighbours;
    int routes = 0;
    monitor->on_link = [&](const Link& link, bool gone) { links.emplace_back(link, gone); };
    monitor->on_address = [&](const InterfaceAddress& held, bool gone) {
        addresses.emplace_back(held, gone);
    };
    monitor->on_neighbour = [&](const Neighbour& neighbour) { neighbours.push_back(neighbour); };
    monitor->on_route = [&] { ++routes; };
    monitor->on_overflow = [] { ADD_FAILURE() << "nothing was lost here"; };
    monitor->on_readable();  // nothing waits: returns at once

    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    ASSERT_TRUE(drive(*monitor, [&] {
        return std::any_of(links.begin(), links.end(), [](const auto& seen) {
            return seen.first.name == "eth0" && seen.first.up && !seen.second;
        });
    }));

    ip("addr add 203.0.113.1/24 dev eth0");
    ASSERT_TRUE(drive(*monitor, [&] {
        return std::any_of(addresses.begin(), addresses.end(), [](const auto& seen) {
            return seen.first.address == parsed("203.0.113.1") && seen.first.prefix_length == 24 &&
                   !seen.second;
        });
    }));
    ASSERT_TRUE(drive(*monitor, [&] { return routes > 0; })) << "the connected route";

    routes = 0;
    ip("route add 198.51.100.0/24 via 203.0.113.254");
    ASSERT_TRUE(drive(*monitor, [&] { return routes > 0; }));
    routes = 0;
    ip("route add 198.51.100.0/24 via 203.0.113.254 table 100");
    ip("rule add from 203.0.113.1 table 100");
    ASSERT_TRUE(drive(*monitor, [&] { return routes > 0; })) << "a policy rule";

    ip("neigh add 203.0.113.11 lladdr 02:00:00:00:00:11 dev eth0 nud reachable");
    ip("neigh del 203.0.113.11 dev eth0");
    ASSERT_TRUE(drive(*monitor, [&] { return !neighbours.empty() && neighbours.back().gone; }));
    const auto known = std::find_if(neighbours.begin(), neighbours.end(),
                                    [](const Neighbour& seen) { return seen.mac.has_value(); });
    ASSERT_NE(known, neighbours.end());
    EXPECT_EQ(known->address, parsed("203.0.113.11"));
    EXPECT_EQ(to_string(*known->mac), "02:00:00:00:00:11");

    ip("addr del 203.0.113.1/24 dev eth0");
    ip("link del eth0");
    ASSERT_TRUE(drive(*monitor, [&] {
        return std::any_of(links.begin(), links.end(), [](const auto& seen) {
            return seen.first.name == "eth0" && seen.second;
        });
    }));
    EXPECT_TRUE(std::any_of(addresses.begin(), addresses.end(),
                            [](const auto& seen) { return seen.second; }));
}

TEST(NetlinkMonitor, is_silent_about_routes_of_other_tables) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link add eth0 type veth peer name peer0");
    // IPv6 would add routes of its own a little later.
    support::sysctl("net/ipv6/conf/eth0/disable_ipv6", "1");
    support::sysctl("net/ipv6/conf/peer0/disable_ipv6", "1");
    ip("link set peer0 up");
    ip("link set eth0 up");
    ip("addr add 203.0.113.1/24 dev eth0");
    auto monitor = Monitor::open().value();
    int routes = 0;
    bool neighbour = false;
    monitor->on_route = [&] { ++routes; };
    monitor->on_neighbour = [&](const Neighbour&) { neighbour = true; };
    ip("route add 198.51.100.0/24 via 203.0.113.254 table 100");
    ip("route add blackhole 192.0.2.0/24");
    ip("neigh add 203.0.113.11 lladdr 02:00:00:00:00:11 dev eth0 nud reachable");
    // Messages come in order: with this one all before have been seen.
    ASSERT_TRUE(drive(*monitor, [&] { return neighbour; }));
    EXPECT_EQ(routes, 0);
}

TEST(NetlinkMonitor, says_when_the_kernel_dropped_messages_and_goes_on) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    auto monitor = KernelMonitor::open(4096).value();
    int overflows = 0;
    int neighbours = 0;
    monitor->on_overflow = [&] { ++overflows; };
    monitor->on_neighbour = [&](const Neighbour&) { ++neighbours; };
    std::string lines;
    for (int i = 1; i <= 200; ++i)
        lines += fmt::format(
            "neigh add 203.0.113.{} lladdr 02:00:00:00:00:{:02x} dev eth0 nud permanent\n", i, i);
    support::ip_batch(lines);
    ASSERT_TRUE(drive(*monitor, [&] { return overflows > 0; }));
    EXPECT_LT(neighbours, 200);

    neighbours = 0;
    ip("neigh add 203.0.113.201 lladdr 02:00:00:00:00:c9 dev eth0 nud permanent");
    EXPECT_TRUE(drive(*monitor, [&] { return neighbours == 1; }));
}

TEST(NetlinkMonitor, holds_a_change_of_ten_thousand_neighbours) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link add eth0 type veth peer name peer0");
    ip("link set peer0 up");
    ip("link set eth0 up");
    auto monitor = Monitor::open().value();
    int neighbours = 0;
    monitor->on_neighbour = [&](const Neighbour& seen) { neighbours += seen.mac ? 1 : 0; };
    monitor->on_overflow = [] { ADD_FAILURE() << "the buffer is too small"; };
    std::string lines;
    for (int i = 0; i < 10'000; ++i)
        lines +=
            fmt::format("neigh add 198.18.{}.{} lladdr 02:00:00:00:00:01 dev eth0 nud permanent\n",
                        i / 200, i % 200 + 1);
    support::ip_batch(lines);  // all of it before the first read
    EXPECT_TRUE(drive(*monitor, [&] { return neighbours == 10'000; })) << neighbours;
}

}  // namespace
}  // namespace dnsdirector::netlink
