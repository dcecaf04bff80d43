// SPDX-License-Identifier: Apache-2.0
#include "base/socket_table.h"

#include <gtest/gtest.h>

namespace dnsdirector {
namespace {

TEST(SocketTable, ReadsWhatTheKernelLists) {
    const auto udp = parse_socket_table(
        "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
        "timeout inode ref pointer drops\n"
        "  421: 350200C0:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   104      "
        "  0 18733 2 0000000000000000 0\n"
        "  422: 0A0200C0:8000 0B0200C0:0035 01 00000000:00000000 00:00000000 00000000   104      "
        "  0 18734 2 0000000000000000 0\n"
        "no socket\n");
    ASSERT_EQ(udp.size(), 2U);
    EXPECT_EQ(udp[0].local, (Endpoint{*IpAddress::parse("192.0.2.53"), 53}));
    EXPECT_EQ(udp[0].inode, 18733U);
    EXPECT_TRUE(udp[0].is_open(Protocol::udp));
    EXPECT_FALSE(udp[1].is_open(Protocol::udp));  // connected
    EXPECT_FALSE(udp[0].is_open(Protocol::tcp));
}

}  // namespace
}  // namespace dnsdirector
