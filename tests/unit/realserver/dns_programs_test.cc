// SPDX-License-Identifier: Apache-2.0
#include "realserver/dns_programs.h"

#include <gtest/gtest.h>

#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

TEST(DnsPrograms, AreToldInTheirOwnWords) {
    const Endpoint v4{fakes::address("192.0.2.53"), 53};
    const Endpoint v6{fakes::address("2001:db8::53"), 53};
    EXPECT_EQ(how_to_listen("named", v6),
              "write `listen-on-v6 port 53 { 2001:db8::53; };` into named.conf, and restart named");
    EXPECT_EQ(how_to_listen("pdns_recursor", v6),
              "write `local-address=[2001:db8::53]:53` into recursor.conf, and restart "
              "pdns_recursor");
    EXPECT_EQ(how_to_listen("other", v4),
              "have other listen at 192.0.2.53:53 itself, and restart it");
    EXPECT_EQ(how_to_send_large(""), "have the DNS server send up to 4,096 bytes over UDP");
}

}  // namespace
}  // namespace dnsdirector::realserver
