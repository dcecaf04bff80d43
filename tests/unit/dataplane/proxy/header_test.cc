// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol to servers.
#include <gtest/gtest.h>

#include "dataplane/proxy/proxy_header.h"
#include "unit/dataplane/proxy/bed.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::Bed;
using testing::FakeServer;
using testing::member;
using testing::message;
using testing::Octets;

Endpoint endpoint(const char* text) {
    return *Endpoint::parse(text);
}

TEST(ProxyHeader, IsWhatTheSpecificationSaysOfUdpOverIpv4) {
    std::array<std::uint8_t, largest_proxy_header> out{};
    const std::size_t size =
        write_proxy_header(out.data(), SocketAddress(endpoint("198.51.100.10:4242")),
                           SocketAddress(endpoint("192.0.2.53:53")), false);
    const Octets wanted = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49,
                           0x54, 0x0A, 0x21, 0x12, 0x00, 12,   198,  51,   100,  10,
                           192,  0,    2,    53,   0x10, 0x92, 0,    53};
    EXPECT_EQ(Octets(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)), wanted);
}

TEST(ProxyHeader, IsLongerForIpv6AndSaysStreamForTcp) {
    std::array<std::uint8_t, largest_proxy_header> out{};
    const std::size_t size =
        write_proxy_header(out.data(), SocketAddress(endpoint("[2001:db8::10]:4242")),
                           SocketAddress(endpoint("[2001:db8::53]:53")), true);
    EXPECT_EQ(size, 16U + 36);
    EXPECT_EQ(out[13], 0x21);
    EXPECT_EQ(out[15], 36);
}

constexpr std::size_t header_of_v4 = 28;

/// Answers what stands behind a header.
std::vector<Octets> behind_header(const Octets& bytes) {
    if (bytes.size() < header_of_v4 || bytes[0] != 0x0D) return {};
    return {answer_to(Octets(bytes.begin() + header_of_v4, bytes.end()))};
}

TEST(ProxyHeader, PrecedesEachQueryOverUdp) {
    FakeServer server(behind_header);
    Bed bed;
    bed.expect_header({member(server)});
    bed.serve({member(server)});
    testing::UdpClient client(bed.service);
    for (std::uint16_t id = 0; id < 5; ++id) {
        const auto answer = client.ask(message({.id = id}));
        ASSERT_TRUE(answer);
        EXPECT_EQ(*answer, answer_to(message({.id = id})));
    }
}

TEST(ProxyHeader, ComesAndGoesWithTheConfiguration) {
    FakeServer server([](const Octets& bytes) -> std::vector<Octets> {
        return bytes[0] == 0x0D && bytes.size() > 40 && bytes[1] == 0x0A
                   ? behind_header(bytes)
                   : std::vector<Octets>{answer_to(bytes, 3)};
    });
    Bed bed;
    bed.serve({member(server)});
    testing::UdpClient client(bed.service);
    const auto rcode = [&] {
        const auto answer = client.ask(message({}));
        return answer ? static_cast<int>(rcode_of(answer->data())) : -1;
    };
    EXPECT_EQ(rcode(), 3);
    bed.expect_header({member(server)});
    EXPECT_TRUE(testing::eventually([&] { return rcode() == 0; }));
    bed.expect_header({});
    EXPECT_TRUE(testing::eventually([&] { return rcode() == 3; }));
}

TEST(ProxyHeader, AServerThatRefusesIsKnownByWhatStandsBehindTheHeader) {
    FakeServer good(behind_header);
    Bed bed;
    const Bed::Member nobody{{bed.service.address, support::unused_port()}};
    bed.expect_header({nobody, member(good)});
    bed.serve({nobody, member(good)});
    testing::UdpClient client(bed.service);
    for (int i = 0; i < 10; ++i) {
        const auto answer = client.ask(message({}), 1000);
        ASSERT_TRUE(answer);
        EXPECT_EQ(rcode_of(answer->data()), 0);
    }
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
