// SPDX-License-Identifier: Apache-2.0
#include "netlink/single_neighbours.h"

#include <gtest/gtest.h>
#include <linux/neighbour.h>

#include <array>
#include <cstdio>

#include "unit/support/network_namespace.h"

namespace dnsdirector::netlink {
namespace {

/// What `ip neigh show ADDRESS` prints in the thread's namespace.
std::string shown_neighbour(const std::string& who) {
    std::string text;
    std::FILE* pipe = popen(("PATH=$PATH:/usr/sbin:/sbin ip neigh show " + who).c_str(), "r");
    std::array<char, 256> part{};
    while (pipe != nullptr && std::fgets(part.data(), part.size(), pipe) != nullptr)
        text += part.data();
    if (pipe != nullptr) pclose(pipe);
    return text;
}

TEST(SingleNeighbours, UsesAnEntryAsAPacketWouldAndLeavesItsCare) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    support::ip("link add up0 type veth peer name peer0");
    support::ip("link set up0 up");
    support::ip("link set peer0 up");
    support::ip("addr add 203.0.113.1/24 dev up0");
    const auto socket = Socket::open();
    const auto table = SingleNeighbours::open();
    ASSERT_TRUE(socket && table);
    const int up0 = (**(*socket)->link("up0")).index;
    const auto at = [](const char* text) { return *IpAddress::parse(text); };

    // Nobody yet; then it is asked for.
    const auto none = (*table)->find(up0, at("203.0.113.11"));
    ASSERT_TRUE(none.has_value());
    EXPECT_FALSE(none->has_value());
    ASSERT_TRUE((*table)->use(up0, at("203.0.113.11")));
    const auto asked = (*table)->find(up0, at("203.0.113.11"));
    ASSERT_TRUE(asked && *asked);
    EXPECT_TRUE((*asked)->failed);
    EXPECT_FALSE((*asked)->mac);

    support::ip("neigh add 203.0.113.12 lladdr 02:00:00:00:00:12 dev up0 nud permanent");
    ASSERT_TRUE((*table)->use(up0, at("203.0.113.12")));
    const auto permanent = (*table)->find(up0, at("203.0.113.12"));
    ASSERT_TRUE(permanent && *permanent);
    EXPECT_EQ((*permanent)->nud_state, NUD_PERMANENT);
    EXPECT_EQ(to_string((*permanent)->mac.value()), "02:00:00:00:00:12");

    support::ip("neigh add 203.0.113.13 lladdr 02:00:00:00:00:13 dev up0 nud stale");
    ASSERT_TRUE((*table)->use(up0, at("203.0.113.13")));
    EXPECT_NE((**(*table)->find(up0, at("203.0.113.13"))).nud_state, NUD_STALE);

    EXPECT_FALSE((*table)->use(4711, at("203.0.113.14")));

    ASSERT_TRUE((*socket)->resolve(up0, at("203.0.113.15")));
    if (shown_neighbour("203.0.113.15").find("managed") == std::string::npos)
        GTEST_SKIP() << "this kernel, or this ip, knows no managed entries";
    ASSERT_TRUE((*table)->use(up0, at("203.0.113.15")));
    EXPECT_NE(shown_neighbour("203.0.113.15").find("managed"), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::netlink
