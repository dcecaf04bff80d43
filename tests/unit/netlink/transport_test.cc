// SPDX-License-Identifier: Apache-2.0
#include "netlink/transport.h"

#include <gtest/gtest.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink/netlink.h"
#include "unit/support/network_namespace.h"

namespace dnsdirector::netlink {
namespace {

using support::ip;
using support::NetworkNamespace;

TEST(NetlinkTransport, a_dump_that_was_given_up_does_not_stand_in_the_way_of_the_next) {
    DNSDIRECTOR_NEEDS_NAMESPACE(here);
    ip("link set lo up");
    const auto socket = Socket::open();
    ASSERT_TRUE(socket);
    constexpr std::size_t many = 400;  // more than one part of a dump
    for (std::size_t i = 0; i < many; ++i) {
        const auto text = fmt::format("{}.{}", i < 250 ? "192.0.2" : "198.51.100", 1 + i % 250);
        ASSERT_TRUE((*socket)->add_address(1, *IpAddress::parse(text)));
    }
    auto transport = Transport::open({});
    ASSERT_TRUE(transport);
    const ifaddrmsg fixed{};
    const Message forgotten = new_message(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    nlmsghdr* header = nlmsg_hdr(forgotten.get());
    ASSERT_GT(send(transport->descriptor(), header, header->nlmsg_len, 0), 0);

    std::size_t found = 0;
    const auto done = transport->dump(
        new_message(RTM_GETADDR, NLM_F_REQUEST, fixed).get(), [&] { found = 0; },
        [&](const nlmsghdr& one) { found += one.nlmsg_type == RTM_NEWADDR ? 1 : 0; });
    ASSERT_TRUE(done) << done.error().as_error("dump").message;
    EXPECT_GE(found, many);
}

}  // namespace
}  // namespace dnsdirector::netlink
