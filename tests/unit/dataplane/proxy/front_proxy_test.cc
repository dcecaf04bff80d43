// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol from a balancer in front of the director.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "dataplane/proxy/proxy_header.h"
#include "unit/dataplane/proxy/bed.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::answers_with;
using testing::Bed;
using testing::eventually;
using testing::FakeServer;
using testing::member;
using testing::message;
using testing::Octets;
using testing::TcpClient;
using testing::UdpClient;
using Kind = ProxyHeader::Kind;

SocketAddress socket_address(const char* text) {
    return SocketAddress(*Endpoint::parse(text));
}

Octets header(const char* client, const char* asked = "192.0.2.7:53", bool tcp = false) {
    std::array<std::uint8_t, largest_proxy_header> out{};
    const std::size_t size =
        write_proxy_header(out.data(), socket_address(client), socket_address(asked), tcp);
    return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

Octets joined(Octets a, const Octets& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Octets with_tlv(Octets bytes, std::size_t size) {
    const std::size_t length = load16(&bytes[14]) + size;
    store16(&bytes[14], static_cast<std::uint16_t>(length));
    bytes.insert(bytes.end(), size, 4);
    return bytes;
}

/// For nobody but the balancer itself.
Octets local() {
    Octets bytes = header("198.51.100.1:1");
    bytes.resize(16);
    bytes[12] = 0x20;
    bytes[13] = bytes[15] = 0;
    return bytes;
}

Octets changed(Octets bytes, std::size_t at, std::uint8_t to) {
    bytes[at] = to;
    return bytes;
}

// ---- the header ---------------------------------------------------------------------

TEST(ProxyHeaderRead, NamesClientAndServiceOfBothFamilies) {
    for (const auto& [client, asked] : {std::pair{"198.51.100.10:4242", "192.0.2.7:53"},
                                        std::pair{"[2001:db8::10]:4242", "[2001:db8::53]:5353"}})
        for (const bool tcp : {false, true}) {
            const Octets bytes = with_tlv(header(client, asked, tcp), 100);
            const ProxyHeader read = read_proxy_header(joined(bytes, message({})));
            ASSERT_EQ(read.kind, Kind::whole);
            EXPECT_EQ(read.size, bytes.size());
            EXPECT_TRUE(read.names_client);
            EXPECT_EQ(read.client.endpoint().to_string(), client);
            EXPECT_EQ(read.asked.endpoint().to_string(), asked);
        }
}

TEST(ProxyHeaderRead, LocalAndOtherFamiliesNameNobody) {
    Octets of_unix = header("198.51.100.1:1");
    of_unix[13] = 0x31;
    for (const Octets& bytes : {local(), with_tlv(local(), 7), changed(local(), 13, 0xff),
                                changed(header("198.51.100.1:1"), 13, 0), of_unix}) {
        const ProxyHeader read = read_proxy_header(bytes);
        EXPECT_EQ(read.kind, Kind::whole);
        EXPECT_EQ(read.size, bytes.size());
        EXPECT_FALSE(read.names_client);
    }
}

TEST(ProxyHeaderRead, WhatTheSpecificationDoesNotAllowIsBad) {
    const Octets good = header("198.51.100.1:1");
    EXPECT_EQ(read_proxy_header(message({})).kind, Kind::bad);
    const std::string version_1 = "PROXY TCP4 198.51.100.1 192.0.2.7 4242 53\r\n";
    EXPECT_EQ(read_proxy_header(Octets(version_1.begin(), version_1.end())).kind, Kind::bad);
    EXPECT_EQ(read_proxy_header(changed(good, 11, 0)).kind, Kind::bad);
    EXPECT_EQ(read_proxy_header(changed(good, 12, 0x11)).kind, Kind::bad) << "version 1";
    EXPECT_EQ(read_proxy_header(changed(good, 12, 0x22)).kind, Kind::bad) << "command 2";
    EXPECT_EQ(read_proxy_header(changed(good, 13, 0x41)).kind, Kind::bad) << "family 4";
    EXPECT_EQ(read_proxy_header(changed(good, 13, 0x13)).kind, Kind::bad) << "transport 3";
    EXPECT_EQ(read_proxy_header(changed(good, 13, 0x10)).kind, Kind::bad) << "transport 0";
    EXPECT_EQ(read_proxy_header(changed(good, 15, 11)).kind, Kind::bad) << "too short for IPv4";
    EXPECT_EQ(read_proxy_header(changed(good, 13, 0x21)).kind, Kind::bad) << "and for IPv6";
    EXPECT_EQ(read_proxy_header(with_tlv(good, largest_read_header - good.size())).kind,
              Kind::whole);
    EXPECT_EQ(read_proxy_header(with_tlv(good, largest_read_header - good.size() + 1)).kind,
              Kind::bad)
        << "too long";
}

RC_GTEST_PROP(ProxyHeaderReadProperty, OfAHeaderEveryBeginningIsAPartAndOfAnythingTheReadingEnds,
              ()) {
    Octets bytes = with_tlv(header("[2001:db8::10]:4242", "[2001:db8::53]:53"),
                            *rc::gen::inRange<std::size_t>(0, 50));
    const std::size_t size = *rc::gen::inRange<std::size_t>(0, bytes.size());
    RC_ASSERT(
        read_proxy_header(Octets(bytes.begin(), bytes.begin() + static_cast<long>(size))).kind ==
        Kind::part);
    bytes[size] = *rc::gen::arbitrary<std::uint8_t>();
    bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size() + 1));
    const ProxyHeader read = read_proxy_header(bytes);
    RC_ASSERT(read.kind != Kind::whole || read.size <= bytes.size());
}

TEST(ProxyHeaderRead, NetworksAreComparedToTheBit) {
    const auto within = [](const char* network, unsigned length, const char* peer) {
        const core::Prefix prefix{*IpAddress::parse(network), length};
        return is_within(std::span(&prefix, 1), socket_address(peer));
    };
    EXPECT_TRUE(within("203.0.113.0", 28, "203.0.113.15:1"));
    EXPECT_FALSE(within("203.0.113.0", 28, "203.0.113.16:1"));
    EXPECT_TRUE(within("203.0.113.1", 32, "203.0.113.1:1"));
    EXPECT_FALSE(within("203.0.113.1", 32, "203.0.113.0:1"));
    EXPECT_TRUE(within("0.0.0.0", 0, "203.0.113.1:1"));
    EXPECT_FALSE(within("0.0.0.0", 0, "[::1]:1"));
    EXPECT_TRUE(within("2001:db8::", 63, "[2001:db8:0:1::1]:1"));
    EXPECT_FALSE(within("2001:db8::", 63, "[2001:db8:0:2::1]:1"));
    EXPECT_TRUE(within("2001:db8::1", 128, "[2001:db8::1]:1"));
}

// ---- in the plane ---------------------------------------------------------------------

core::ProxySettings behind_a_balancer() {
    core::ProxySettings settings;
    settings.workers = 1;
    settings.proxy_protocol_from = {{*IpAddress::parse("127.0.0.0"), 8}};
    return settings;
}

/// Keeps whom the headers that a server gets are of, and answers what stands behind them.
struct Told {
    std::mutex mutex;
    std::vector<std::string> clients;

    std::vector<Octets> take(const Octets& bytes) {
        const ProxyHeader read = read_proxy_header(bytes);
        const std::lock_guard lock(mutex);
        if (read.kind != Kind::whole) return {};
        clients.push_back(read.client.endpoint().to_string() + " to " +
                          read.asked.endpoint().to_string());
        return {answer_to(Octets(bytes.begin() + static_cast<long>(read.size), bytes.end()))};
    }
    std::string last() {
        const std::lock_guard lock(mutex);
        return clients.empty() ? "nobody" : clients.back();
    }
};

TEST(ProxyFront, TheClientInTheHeaderIsTheOneThatServersAreTold) {
    Told told;
    FakeServer server([&](const Octets& bytes) { return told.take(bytes); });
    Bed bed(behind_a_balancer());
    bed.expect_header({member(server)});
    bed.serve({member(server)});
    UdpClient balancer(bed.service);
    const Octets query = message({.id = 77});
    EXPECT_EQ(balancer.ask(joined(header("198.51.100.10:4242"), query)), answer_to(query));
    EXPECT_EQ(told.last(), "198.51.100.10:4242 to 192.0.2.7:53");
    EXPECT_EQ(balancer.ask(
                  joined(with_tlv(header("[2001:db8::10]:4242", "[2001:db8::53]:53"), 30), query)),
              answer_to(query));
    EXPECT_EQ(told.last(), "[2001:db8::10]:4242 to [2001:db8::53]:53");
    EXPECT_EQ(balancer.ask(joined(local(), query)), answer_to(query));
    EXPECT_NE(told.last().find("127.0.0.1:"), std::string::npos) << "it asks for itself";
    EXPECT_NE(told.last().find("to " + bed.service.to_string()), std::string::npos);
}

TEST(ProxyFront, ADatagramWithoutAHeaderOrWithABadOneIsDroppedAndCounted) {
    FakeServer server(answers_with(0));
    Bed bed(behind_a_balancer());
    bed.serve({member(server)});
    UdpClient balancer(bed.service);
    Octets half = header("198.51.100.10:4242");
    half.resize(20);
    for (const Octets& bytes :
         {message({}), half, joined(changed(header("198.51.100.10:4242"), 12, 0x22), message({})),
          Octets{}})
        balancer.send(bytes);
    EXPECT_TRUE(eventually([&] { return bed.drops("proxy-header") == 4; }));
    EXPECT_FALSE(balancer.receive(50));
    balancer.send(header("198.51.100.10:4242"));
    EXPECT_TRUE(eventually([&] { return bed.drops("not-a-query") == 1; })) << "nothing behind it";
    EXPECT_EQ(server.asked(), 0);
}

TEST(ProxyFront, AHeaderFromElsewhereIsNotBelieved) {
    core::ProxySettings settings = behind_a_balancer();
    settings.proxy_protocol_from = {{*IpAddress::parse("203.0.113.0"), 28}};
    FakeServer server(answers_with(0));
    Bed bed(settings);
    bed.serve({member(server)});
    UdpClient client(bed.service);
    const auto answer = client.ask(joined(header("198.51.100.10:4242"), message({})));
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), 1) << "it reads as a query of 13 questions";
    EXPECT_EQ(client.ask(message({})), answer_to(message({})));
    EXPECT_EQ(bed.drops("malformed"), 1U);
    EXPECT_EQ(server.asked(), 1);
}

TEST(ProxyFront, SchedulersGoByTheClientInTheHeader) {
    FakeServer one(answers_with(0));
    FakeServer two(answers_with(0));
    core::ProxySettings settings = behind_a_balancer();
    settings.retry_percent = 0;  // whoever answers late is the only one asked
    Bed bed(settings);
    bed.serve({member(one), member(two)}, core::Scheduler::sh);
    UdpClient balancer(bed.service);
    TcpClient over_tcp(bed.service);
    int first = 0;
    for (int i = 1; i <= 20; ++i) {
        const std::string client = fmt::format("198.51.100.{}:4242", i);
        const int before = one.asked();
        ASSERT_TRUE(balancer.ask(joined(header(client.c_str()), message({}))));
        const auto choice = bed.plane->choose(
            {.client = *Endpoint::parse(client), .service = bed.key(Protocol::udp)});
        ASSERT_TRUE(choice && choice->server);
        EXPECT_EQ(one.asked() > before, *choice->server == one.endpoint()) << client;
        first += one.asked() > before ? 1 : 0;
    }
    EXPECT_GT(first, 0);
    EXPECT_LT(first, 20);
}

TEST(ProxyFront, OverTcpTheHeaderComesOnceAndInAnyPieces) {
    Told told;
    FakeServer server(answers_with(0));
    Bed bed(behind_a_balancer());
    bed.serve({member(server)});
    const Octets stream = joined(
        joined(with_tlv(header("198.51.100.10:4242"), 40), testing::framed(message({.id = 1}))),
        testing::framed(message({.id = 2})));
    for (const std::size_t piece :
         {std::size_t{1}, std::size_t{13}, std::size_t{70}, stream.size()}) {
        TcpClient balancer(bed.service);
        for (std::size_t at = 0; at < stream.size(); at += piece)
            balancer.write(
                {stream.begin() + static_cast<long>(at),
                 stream.begin() + static_cast<long>(std::min(at + piece, stream.size()))});
        std::set<int> ids;
        for (int i = 0; i < 2; ++i)
            if (const auto answer = balancer.receive()) ids.insert(load16(answer->data()));
        EXPECT_EQ(ids, (std::set{1, 2})) << piece;
        balancer.send(message({.id = 3}));
        EXPECT_EQ(balancer.receive(), answer_to(message({.id = 3})));
    }
    EXPECT_EQ(bed.drops("proxy-header"), 0U);
}

/// Over TCP: a header, then messages behind their lengths.
TEST(ProxyFront, OverTcpServersAreToldTheClientAndWhomItAsked) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SocketAddress address(*Endpoint::parse("127.0.0.1:1"));
    address.v4.sin_port = 0;
    ASSERT_EQ(bind(listener, &address.any, address.size()), 0);
    ASSERT_EQ(listen(listener, 8), 0);
    socklen_t size = sizeof address;
    ASSERT_EQ(getsockname(listener, &address.any, &size), 0);
    Bed bed(behind_a_balancer());
    bed.expect_header({{address.endpoint()}});
    bed.serve({{address.endpoint()}});
    TcpClient balancer(bed.service);
    balancer.write(header("198.51.100.10:4242", "192.0.2.7:853", true));
    balancer.send(message({}));
    const int connection = accept(listener, nullptr, nullptr);
    Octets head(28);
    ASSERT_EQ(recv(connection, head.data(), head.size(), MSG_WAITALL), 28);
    EXPECT_EQ(head, header("198.51.100.10:4242", "192.0.2.7:853", true));
    close(connection);
    close(listener);
}

TEST(ProxyFront, OverTcpABadHeaderClosesAndASlowOneIsWaitedForAsLongAsAnIdleClient) {
    core::ProxySettings settings = behind_a_balancer();
    settings.tcp_idle = Milliseconds{300};
    FakeServer server(answers_with(0));
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient without(bed.service);
    without.send(message({}));
    EXPECT_TRUE(without.closed());
    TcpClient too_long(bed.service);
    too_long.write(changed(header("198.51.100.10:4242"), 14, 0xff));
    EXPECT_TRUE(too_long.closed());
    EXPECT_EQ(bed.drops("proxy-header"), 2U);
    TcpClient slow(bed.service);
    Octets half = header("198.51.100.10:4242");
    half.resize(20);
    slow.write(half);
    EXPECT_TRUE(slow.closed());
    EXPECT_TRUE(eventually([&] { return bed.events("tcp-open") == 0; }));
    EXPECT_EQ(bed.drops("proxy-header"), 2U);
    EXPECT_EQ(server.asked(), 0);
}

TEST(ProxyFront, LimitsAreOfTheClientsInTheHeaders) {
    core::ProxySettings settings = behind_a_balancer();
    settings.tcp_per_address = 1;
    FakeServer server(answers_with(0));
    Bed bed(settings);
    bed.serve({member(server)});
    const auto asks = [&](TcpClient& client, const char* who) {
        client.write(header(who));
        client.send(message({}));
        return client.receive().has_value();
    };
    TcpClient one(bed.service), two(bed.service), three(bed.service), four(bed.service);
    EXPECT_TRUE(asks(one, "198.51.100.1:1"));
    EXPECT_TRUE(asks(two, "198.51.100.2:1"));
    EXPECT_FALSE(asks(three, "198.51.100.1:2"));
    EXPECT_TRUE(three.closed());
    EXPECT_EQ(bed.drops("tcp-limit"), 1U);
    four.write(local());
    four.send(message({}));
    EXPECT_TRUE(four.receive()) << "it counts as the balancer's own";
    EXPECT_EQ(bed.events("tcp-open"), 3U);
}

TEST(ProxyFront, WhoHasNotSentItsHeaderCountsForAllButForNobody) {
    ClientCounts counts(2, 1);
    using Verdict = ClientCounts::Verdict;
    const IpAddress client = *IpAddress::parse("198.51.100.1");
    EXPECT_EQ(counts.enter_unnamed(), Verdict::welcome);
    EXPECT_EQ(counts.enter_unnamed(), Verdict::welcome);
    EXPECT_EQ(counts.enter_unnamed(), Verdict::full);
    EXPECT_EQ(counts.name(client), Verdict::welcome);
    EXPECT_EQ(counts.name(client), Verdict::too_many_of_one);
    counts.leave_unnamed();
    EXPECT_EQ(counts.total(), 1U);
    counts.leave(client);
    EXPECT_EQ(counts.total(), 0U);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
