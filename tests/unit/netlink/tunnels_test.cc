// SPDX-License-Identifier: Apache-2.0
#include "netlink/tunnels.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "netlink/netlink.h"
#include "netlink/quiet_addresses.h"
#include "unit/support/network_namespace.h"

namespace dnsdirector::netlink {
namespace {

using support::ip;

std::string addresses_of_lo() {
    std::string text;
    FILE* pipe = popen("ip -o address show dev lo", "r");
    char piece[512];
    while (fgets(piece, sizeof piece, pipe) != nullptr)
        text += piece;
    EXPECT_EQ(pclose(pipe), 0);
    return text;
}

TEST(TunnelDevices, take_packets_at_one_end_from_anybody_or_say_which_module_is_missing) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    const auto devices = TunnelDevices::open().value();
    const TunnelDevice wished[] = {
        {"dnsd4", IpAddress::parse("203.0.113.11").value(), 1480, true},
        {"dnsd6", IpAddress::parse("2001:db8:1::11").value(), 1460, true}};
    for (const TunnelDevice& device : wished) {
        const auto added = devices->add(device);
        if (!added) {
            EXPECT_NE(added.error().message.find(std::string("modprobe ") +
                                                 tunnel_module(device.local.family())),
                      std::string::npos)
                << added.error().message;
            EXPECT_TRUE(devices->list().value().empty());
            EXPECT_FALSE(devices->remove(device.name).value());
            continue;
        }
        EXPECT_EQ(devices->list().value(), std::vector{device});
        EXPECT_FALSE(devices->add(device));
        TunnelDevice other = device;
        other.mtu = 1400;
        ASSERT_TRUE(devices->mend(other));
        EXPECT_EQ(devices->list().value(), std::vector{other});
        EXPECT_TRUE(devices->remove(device.name).value());
        EXPECT_TRUE(devices->list().value().empty());
    }
}

TEST(QuietAddresses, are_of_scope_host_or_deprecated_and_go_as_others_do) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = Socket::open().value();
    const auto quiet = QuietAddresses::open().value();
    const int lo = socket->link("lo").value()->index;
    for (const auto& [text, shown] :
         {std::pair{"192.0.2.53", "192.0.2.53/32 scope host noprefixroute"},
          std::pair{"2001:db8::53", "2001:db8::53/128 scope global nodad deprecated"}}) {
        const IpAddress address = IpAddress::parse(text).value();
        EXPECT_TRUE(quiet->add(lo, address).value());
        EXPECT_FALSE(quiet->add(lo, address).value());
        const std::string listed = addresses_of_lo();
        EXPECT_NE(listed.find(shown), std::string::npos) << listed;
        EXPECT_TRUE(socket->remove_address(lo, address).value());
        EXPECT_EQ(addresses_of_lo().find(text), std::string::npos);
    }
}

}  // namespace
}  // namespace dnsdirector::netlink
