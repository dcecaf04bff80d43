// SPDX-License-Identifier: Apache-2.0
#include "control/target.h"

#include <gtest/gtest.h>

namespace dnsdirector::control {
namespace {

core::Configuration two_clusters() {
    const Endpoint v4{*IpAddress::parse("203.0.113.11"), 53};
    const Endpoint v6{*IpAddress::parse("2001:db8:1::1"), 53};
    const auto service = [](const char* address, Protocol protocol, const char* cluster,
                            const Endpoint& server, const char* name) {
        core::Service result;
        result.key = {*IpAddress::parse(address), 53, protocol};
        result.cluster = cluster;
        result.real_servers = {{name, server, 1, {}}};
        return result;
    };
    core::Configuration configuration;
    configuration.services = {
        service("192.0.2.53", Protocol::udp, "a", v4, "ns1"),
        service("192.0.2.53", Protocol::tcp, "a", v4, "ns1"),
        service("2001:db8::53", Protocol::udp, "b", v6, "ns1"),
        service("192.0.2.54", Protocol::udp, "", v4, "203.0.113.11:53"),
    };
    return configuration;
}

std::size_t count(const char* text) {
    const auto target = parse_target(text);
    EXPECT_TRUE(target) << text;
    return target ? find_matches(two_clusters(), *target).size() : 0;
}

TEST(Target, MeansEveryMatchInAllClustersFamiliesAndProtocols) {
    EXPECT_EQ(count("ns1"), 3U);
    EXPECT_EQ(count("a/ns1"), 2U);
    EXPECT_EQ(count("b/ns1"), 1U);
    EXPECT_EQ(count("203.0.113.11"), 3U);
    EXPECT_EQ(count("203.0.113.11:53/tcp"), 1U);
    EXPECT_EQ(count("203.0.113.11/udp"), 2U);
    EXPECT_EQ(count("203.0.113.11:54"), 0U);
    EXPECT_EQ(count("2001:db8:1::1"), 1U);
    EXPECT_EQ(count("[2001:db8:1::1]"), 1U);
    EXPECT_EQ(count("[2001:db8:1::1]:53/udp"), 1U);
    EXPECT_EQ(count("ns2"), 0U);
}

TEST(Target, AnyPortMeansAServerOfAllPorts) {
    const Endpoint all_ports{*IpAddress::parse("203.0.113.11"), 0};
    const auto means = [&](const char* text) {
        return matches(*parse_target(text), "", Protocol::tcp, "203.0.113.11:53", all_ports);
    };
    EXPECT_TRUE(means("203.0.113.11:53"));
    EXPECT_TRUE(means("203.0.113.11:80/tcp"));
    EXPECT_TRUE(means("203.0.113.11"));
    EXPECT_FALSE(means("203.0.113.11:53/udp"));
    EXPECT_FALSE(means("203.0.113.12:53"));
    const core::ServiceKey service{*IpAddress::parse("192.0.2.53"), 0, Protocol::tcp};
    EXPECT_TRUE(matches(*parse_target("192.0.2.53:53"), service));
}

TEST(Target, MayMeanAServiceIpOrASorryServer) {
    const core::ServiceKey service{*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
    const core::SorryServer sorry{{*IpAddress::parse("203.0.113.200"), 54}, false};
    const auto means = [&](const char* text) {
        const auto target = parse_target(text);
        return std::pair{matches(*target, service), matches(*target, service, sorry)};
    };
    EXPECT_EQ(means("192.0.2.53"), std::pair(true, false));
    EXPECT_EQ(means("192.0.2.53:53/udp"), std::pair(true, false));
    EXPECT_EQ(means("192.0.2.53/tcp"), std::pair(false, false));
    EXPECT_EQ(means("192.0.2.53:54"), std::pair(false, false));
    EXPECT_EQ(means("203.0.113.200"), std::pair(false, true));
    EXPECT_EQ(means("203.0.113.200:54/udp"), std::pair(false, true));
    EXPECT_EQ(means("203.0.113.200:53"), std::pair(false, false));
    EXPECT_EQ(means("ns1"), std::pair(false, false));
}

TEST(Target, AHugeOneIsRefusedAndNotRepeated) {
    const auto target = parse_target(std::string(100'000, 'x'));
    ASSERT_FALSE(target);
    EXPECT_LT(target.error().message.size(), 200U);
}

TEST(Target, AnEmptyNameIsRefusedWithTheFormThatIsRight) {
    for (const char* text : {"", "a/"}) {
        const auto target = parse_target(text);
        ASSERT_FALSE(target);
        EXPECT_NE(target.error().message.find("[CLUSTER/]NAME"), std::string::npos);
    }
}

}  // namespace
}  // namespace dnsdirector::control
