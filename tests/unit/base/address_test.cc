// SPDX-License-Identifier: Apache-2.0
#include "base/address.h"

#include <gtest/gtest.h>

#include "base/time.h"

namespace dnsdirector {
namespace {

TEST(IpAddress, ReadsAndPrintsBothFamilies) {
    EXPECT_EQ(IpAddress::parse("192.0.2.53")->to_string(), "192.0.2.53");
    EXPECT_EQ(IpAddress::parse("2001:DB8:0::53")->to_string(), "2001:db8::53");
    EXPECT_TRUE(IpAddress::parse("192.0.2.53")->is_v4());
    EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
}

TEST(IpAddress, RefusesWhatIsNoAddress) {
    for (const char* text :
         {"", "192.0.2", "192.0.2.256", "192.0.2.1/24", "2001:db8::g", "fe80::1%eth0", "192.0.2.1 ",
          "01234567890123456789012345678901234567890123456789"})
        EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(Endpoint, ReadsWhatItPrints) {
    for (const char* text : {"192.0.2.53:53", "[2001:db8::53]:853"})
        EXPECT_EQ(Endpoint::parse(text)->to_string(), text);
    EXPECT_EQ(Endpoint::parse("2001:db8::53", 53)->to_string(), "[2001:db8::53]:53");
    EXPECT_EQ(Endpoint::parse("192.0.2.53", 53)->port, 53);
}

TEST(Endpoint, RefusesBadPortsAndMissingOnes) {
    for (const char* text : {"192.0.2.53", "192.0.2.53:", "192.0.2.53:0", "192.0.2.53:65536",
                             "[2001:db8::1]", "[192.0.2.1]:53", "[2001:db8::1]53", "[2001:db8::1"})
        EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Time, PrintsDurationsExactlyAndTimesInUtc) {
    EXPECT_EQ(to_text(Milliseconds{500}), "500ms");
    EXPECT_EQ(to_text(Milliseconds{1500}), "1500ms");
    EXPECT_EQ(to_text(Seconds{90}), "90s");
    EXPECT_EQ(to_text(Seconds{3600}), "1h");
    EXPECT_EQ(to_rfc3339(WallTime{Microseconds{1'000'000'123'456}}), "1970-01-12T13:46:40.123Z");
}

}  // namespace
}  // namespace dnsdirector
