// SPDX-License-Identifier: Apache-2.0
#include "netlink/refusals.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dnsdirector::netlink {
namespace {

TEST(NetlinkRefusals, name_the_setting_that_a_full_neighbour_table_wants) {
    const auto v4 = cannot_resolve(4711, IpAddress::parse("203.0.113.11").value(), {ENOBUFS, {}});
    EXPECT_NE(v4.message.find("neighbour table full: raise net.ipv4.neigh.default.gc_thresh3"),
              std::string::npos)
        << v4.message;
    const auto v6 = cannot_resolve(4711, IpAddress::parse("2001:db8::11").value(), {ENOBUFS, {}});
    EXPECT_NE(v6.message.find("net.ipv6.neigh.default.gc_thresh3"), std::string::npos);
}

TEST(NetlinkRefusals, hand_on_the_kernels_own_words) {
    const auto error = cannot_change_address("add", 4711, IpAddress::parse("192.0.2.53").value(),
                                             {EINVAL, "ipv4: Invalid prefix length"});
    EXPECT_NE(error.message.find("ipv4: Invalid prefix length"), std::string::npos);
    EXPECT_NE(error.message.find("192.0.2.53/32"), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::netlink
