// SPDX-License-Identifier: Apache-2.0
#include "core/prefix.h"

#include <gtest/gtest.h>

namespace dnsdirector::core {
namespace {

IpAddress an_address(const char* text) {
    return *IpAddress::parse(text);
}

TEST(Prefix, ContainsWhatBeginsAlike) {
    const struct {
        const char* network;
        unsigned length;
        const char* address;
        bool contained;
    } cases[] = {
        {"198.51.100.0", 24, "198.51.100.255", true},
        {"198.51.100.0", 24, "198.51.101.0", false},
        {"198.51.100.128", 25, "198.51.100.127", false},
        {"198.51.100.129", 25, "198.51.100.255", true},  // what is behind does not count
        {"198.51.100.7", 32, "198.51.100.7", true},
        {"198.51.100.7", 32, "198.51.100.6", false},
        {"0.0.0.0", 0, "203.0.113.1", true},
        {"0.0.0.0", 0, "2001:db8::1", false},
        {"::", 0, "2001:db8::1", true},
        {"2001:db8:0:8000::", 49, "2001:db8:0:ffff::1", true},
        {"2001:db8:0:8000::", 49, "2001:db8:0:7fff::1", false},
        {"2001:db8::1", 128, "2001:db8::1", true},
        {"2001:db8::1", 128, "2001:db8::2", false},
    };
    for (const auto& [network, length, address, contained] : cases) {
        const Prefix prefix{an_address(network), length};
        EXPECT_EQ(prefix.contains(an_address(address)), contained)
            << prefix.to_string() << " " << address;
    }
}

}  // namespace
}  // namespace dnsdirector::core
