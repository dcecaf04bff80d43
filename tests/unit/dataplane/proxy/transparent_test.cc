// SPDX-License-Identifier: Apache-2.0
//
// Servers that are asked from the client's own address. The client is one of 127.0.0.0/8 that a
// balancer brings: all of them are this machine's, so that the replies come back.
#include "dataplane/proxy/transparent.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "dataplane/proxy/proxy_header.h"
#include "unit/dataplane/proxy/bed.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::Bed;
using testing::FakeServer;
using testing::member;
using testing::message;
using testing::Octets;

class ProxyTransparent : public ::testing::Test {
protected:
    void SetUp() override {
        if (const auto may = may_be_transparent(Family::ipv4); !may)
            GTEST_SKIP() << may.error().message;
    }

    static core::ProxySettings behind_a_balancer() {
        core::ProxySettings settings;
        settings.workers = 1;
        settings.proxy_protocol_from = {{*IpAddress::parse("127.0.0.1"), 32}};
        return settings;
    }
    static Octets brought(const char* client, const char* asked, const Octets& query) {
        std::array<std::uint8_t, largest_proxy_header> out{};
        const std::size_t size =
            write_proxy_header(out.data(), SocketAddress(*Endpoint::parse(client)),
                               SocketAddress(*Endpoint::parse(asked)), false);
        Octets bytes(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
        bytes.insert(bytes.end(), query.begin(), query.end());
        return bytes;
    }
    static void expect(const Bed& bed, const std::vector<Endpoint>& servers, bool transparent) {
        core::Configuration configuration;
        core::Service& service = configuration.services.emplace_back();
        for (const Endpoint& server : servers)
            service.real_servers.push_back(
                {.name = "", .endpoint = server, .checks = {}, .transparent = transparent});
        ASSERT_TRUE(bed.plane->check(configuration));
        bed.plane->expect(configuration);
    }
};

TEST_F(ProxyTransparent, QueriesLeaveFromTheClientsAddress) {
    std::mutex mutex;
    std::string peer;
    FakeServer server([&](const Octets& query) -> std::vector<Octets> {
        const std::lock_guard lock(mutex);
        peer = testing::last_peer().address.to_string();
        return {answer_to(query)};
    });
    Bed bed(behind_a_balancer());
    bed.serve({member(server)});
    testing::UdpClient balancer(bed.service);
    const auto seen = [&](const char* client, const char* asked) {
        EXPECT_EQ(balancer.ask(brought(client, asked, message({}))), answer_to(message({})));
        const std::lock_guard lock(mutex);
        return peer;
    };
    EXPECT_EQ(seen("127.1.2.3:4242", "192.0.2.53:53"), "127.0.0.1");
    expect(bed, {server.endpoint()}, true);
    ASSERT_TRUE(testing::eventually(
        [&] { return seen("127.1.2.3:4242", "192.0.2.53:53") == "127.1.2.3"; }));
    EXPECT_EQ(seen("127.9.8.7:53", "192.0.2.53:53"), "127.9.8.7");
    EXPECT_EQ(seen("[2001:db8::1]:4242", "[2001:db8::53]:53"), "127.0.0.1")
        << "no address of the server's family";
    expect(bed, {server.endpoint()}, false);
    EXPECT_TRUE(testing::eventually(
        [&] { return seen("127.1.2.3:4242", "192.0.2.53:53") == "127.0.0.1"; }));
}

TEST_F(ProxyTransparent, NoServerIsToBlameForAClientWhomNothingCanBeSentFrom) {
    FakeServer one(testing::answers_with(0));
    FakeServer two(testing::answers_with(0));
    Bed bed(behind_a_balancer());
    expect(bed, {one.endpoint(), two.endpoint()}, true);
    bed.serve({member(one), member(two)});
    testing::UdpClient balancer(bed.service);
    for (int i = 0; i < 5; ++i) {
        const auto answer = balancer.ask(brought("224.0.0.1:4242", "192.0.2.53:53", message({})));
        ASSERT_TRUE(answer);
        EXPECT_EQ(rcode_of(answer->data()), 2);
    }
    EXPECT_EQ(bed.drops("send-failed"), 10U) << "two tries each";
    EXPECT_EQ(balancer.ask(brought("127.1.2.3:4242", "192.0.2.53:53", message({}))),
              answer_to(message({})));
    bed.plane->on_readable();
    EXPECT_EQ(bed.events("accused"), 0U);
    EXPECT_TRUE(SocketAddress(*Endpoint::parse("[fe80::1]:53")).is_link_local());
    EXPECT_FALSE(SocketAddress(*Endpoint::parse("[2001:db8::1]:53")).is_link_local());
}

TEST_F(ProxyTransparent, OverTcpEachClientHasAConnectionOfItsOwn) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SocketAddress address(Endpoint{*IpAddress::parse("127.0.0.1"), 0});
    socklen_t size = sizeof address;
    ASSERT_EQ(bind(listener, &address.any, address.size()), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    ASSERT_EQ(getsockname(listener, &address.any, &size), 0);
    Bed bed(behind_a_balancer());
    expect(bed, {address.endpoint()}, true);
    bed.serve({{address.endpoint()}});
    for (const char* client : {"127.1.2.3", "127.1.2.4"}) {
        testing::TcpClient balancer(bed.service);
        balancer.write(brought(fmt::format("{}:4242", client).c_str(), "192.0.2.53:53",
                               testing::framed(message({}))));
        SocketAddress peer;
        size = sizeof peer;
        const int connection = accept(listener, &peer.any, &size);
        EXPECT_EQ(peer.endpoint().address.to_string(), client);
        Octets query(2 + message({}).size());
        EXPECT_EQ(recv(connection, query.data(), query.size(), MSG_WAITALL),
                  static_cast<ssize_t>(query.size()));
        query[4] |= 0x80;
        EXPECT_EQ(::send(connection, query.data(), query.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(query.size()));
        EXPECT_EQ(balancer.receive(), answer_to(message({})));
        ::close(connection);
    }
    ::close(listener);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
