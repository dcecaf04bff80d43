// SPDX-License-Identifier: Apache-2.0
//
// The proxy plane over TCP: real workers, servers and clients on loopback.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "dataplane/proxy/transfer.h"
#include "dataplane/proxy/wire.h"
#include "unit/dataplane/proxy/bed.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::answer_to;
using testing::answers_with;
using testing::Bed;
using testing::eventually;
using testing::FakeServer;
using testing::framed;
using testing::member;
using testing::message;
using testing::Octets;
using testing::TcpClient;

TEST(ProxyTcp, AnswersAQuery) {
    FakeServer server(answers_with(0));
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    client.send(message({.id = 9}));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(*answer, answer_to(message({.id = 9})));
}

TEST(ProxyTcp, ManyQueriesOfOneConnectionAreAnsweredWhateverTheOrder) {
    FakeServer server(answers_with(0));
    server.reverse();
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    Octets all;
    for (std::uint16_t id = 1; id <= 200; ++id) {
        const Octets one = framed(message({.id = id, .name = "n" + std::to_string(id)}));
        all.insert(all.end(), one.begin(), one.end());
    }
    client.write(all);
    std::set<std::uint16_t> answered;
    for (int i = 0; i < 200; ++i) {
        const auto answer = client.receive();
        ASSERT_TRUE(answer) << i;
        const std::uint16_t id = load16(answer->data());
        EXPECT_EQ(*answer, answer_to(message({.id = id, .name = "n" + std::to_string(id)})));
        answered.insert(id);
    }
    EXPECT_EQ(answered.size(), 200U);
    EXPECT_LE(server.connections(), 4);
}

TEST(ProxyTcp, AQueryMayComeByteByByteAndBeLarge) {
    FakeServer server(answers_with(0, 1000));
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (const std::uint8_t byte : framed(message({.id = 3})))
        client.write({byte});
    ASSERT_TRUE(client.receive());
    const Octets large = message({.id = 4, .padding = 60000});
    client.send(large);
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(*answer, answer_to(large, 0, 1000));
}

TEST(ProxyTcp, ConnectionsToServersAreUsedAgain) {
    FakeServer server(answers_with(0));
    Bed bed;
    bed.serve({member(server)});
    for (std::uint16_t id = 0; id < 20; ++id) {
        TcpClient client(bed.service);
        client.send(message({.id = id}));
        ASSERT_TRUE(client.receive());
    }
    EXPECT_EQ(server.connections(), 1);
    EXPECT_EQ(bed.events("tcp-reused"), 19U);
}

TEST(ProxyTcp, AQueryStandsBehindAnotherOnlyWhenNoConnectionIsFree) {
    FakeServer server([](const Octets&) { return std::vector<Octets>{}; });
    core::ProxySettings settings;
    settings.tcp_to_server = 3;
    settings.retry_percent = 0;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (int id = 1; id <= 5; ++id) {
        client.send(message({.id = static_cast<std::uint16_t>(id)}));
        ASSERT_TRUE(eventually([&] { return server.asked() == id; })) << id;
        EXPECT_EQ(server.connections(), std::min(id, 3));
    }
}

TEST(ProxyTcp, AConnectionThatTheServerClosesIsReplacedAndNoQueryIsLost) {
    FakeServer server(answers_with(0));
    server.close_after(3);
    core::ProxySettings settings;
    settings.tcp_to_server = 1;
    settings.retry_percent = 0;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 0; id < 30; ++id) {
        client.send(message({.id = id}));
        const auto answer = client.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(rcode_of(answer->data()), 0);
    }
    EXPECT_EQ(server.connections(), 10);
}

TEST(ProxyTcp, AQueryThatAServerRefusesGoesToAnother) {
    FakeServer good(answers_with(0));
    Bed bed;
    bed.serve({{{bed.service.address, support::unused_port()}}, member(good)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 0; id < 20; ++id) {
        client.send(message({.id = id}));
        const auto answer = client.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(rcode_of(answer->data()), 0);
    }
    EXPECT_GE(bed.events("retry-refused"), 1U);
}

TEST(ProxyTcp, WhereAllRefuseTheAnswerIsServfail) {
    Bed bed;
    bed.serve({{{bed.service.address, support::unused_port()}}});
    TcpClient client(bed.service);
    client.send(message({.id = 8}));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), 2);
}

/// A message of a transfer: SOAs of these serials, a TXT record for each 0.
Octets transfer_message(const Octets& query, const std::vector<std::uint32_t>& records) {
    Octets bytes = answer_to(query);
    bytes[7] = static_cast<std::uint8_t>(records.size());
    for (const std::uint32_t serial : records) {
        bytes.insert(bytes.end(), {0xc0, 0x0c, 0, static_cast<std::uint8_t>(serial != 0 ? 6 : 16),
                                   0, 1, 0, 0, 0, 60});
        if (serial == 0) {
            bytes.insert(bytes.end(), {0, 2, 1, 'x'});
            continue;
        }
        bytes.insert(bytes.end(),
                     {0, 24, 0xc0, 0x0c, 0xc0, 0x0c, 0, 0, static_cast<std::uint8_t>(serial >> 8),
                      static_cast<std::uint8_t>(serial & 0xff)});
        bytes.insert(bytes.end(), 16, 0);
    }
    return bytes;
}

TEST(ProxyTcp, AZoneTransferOfManyMessagesComesWholeOverAConnectionOfItsOwn) {
    FakeServer server([](const Octets& query) -> std::vector<Octets> {
        if (read_query(query).type != 252) return {answer_to(query)};
        std::vector<Octets> messages = {transfer_message(query, {7, 0})};
        for (int i = 0; i < 50; ++i) {
            Octets next(header_size, 0);  // without a question (RFC 5936, section 2.2.1)
            next[0] = query[0];
            next[1] = query[1];
            next[2] = 0x80;
            next[7] = 1;
            next.insert(next.end(), 30000, 0x11);
            messages.push_back(next);
        }
        messages.push_back(transfer_message(query, {0, 7}));
        return messages;
    });
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    client.send(message({.id = 1}));
    client.send(message({.id = 2, .type = 252}));
    std::size_t bytes = 0;
    for (int i = 0; i < 53; ++i) {
        const auto part = client.receive();
        ASSERT_TRUE(part) << i;
        const std::uint16_t id = load16(part->data());
        EXPECT_TRUE(id == 1 || id == 2);
        if (id == 2) bytes += part->size();
    }
    EXPECT_GT(bytes, 50U * 30000);
    EXPECT_EQ(server.connections(), 2);
    client.send(message({.id = 3}));
    const auto after = client.receive();
    ASSERT_TRUE(after);
    EXPECT_EQ(load16(after->data()), 3);
}

TEST(ProxyTransfer, EndsWithTheSoaThatItBeganWith) {
    const Octets query = message({.type = 252});
    using Parts = std::vector<std::vector<std::uint32_t>>;
    for (const Parts& parts : {Parts{{7, 0, 0, 7}},           // AXFR
                               Parts{{7}, {0}, {0, 0}, {7}},  // … a record a message
                               Parts{{9, 8, 0, 9, 0, 9}},     // IXFR
                               Parts{{9, 7, 0, 8}, {0, 8, 0}, {9, 0, 9}}}) {
        TransferEnd end;
        for (std::size_t i = 0; i < parts.size(); ++i)
            EXPECT_EQ(end.is_last(transfer_message(query, parts[i])), i + 1 == parts.size()) << i;
    }
    TransferEnd refused;
    EXPECT_TRUE(refused.is_last(answer_to(query, 5)));
}

RC_GTEST_PROP(ProxyTransferProperty, NothingIsReadBeyondTheEnd, (const Octets& bytes)) {
    TransferEnd end;
    (void)end.is_last(bytes);
    Octets valid = transfer_message(message({.type = 252}), {7, 0, 7});
    valid.resize(*rc::gen::inRange<std::size_t>(0, valid.size()));
    (void)end.is_last(Octets(valid));
}

TEST(ProxyTcp, TransfersOneAfterAnotherLeaveNoConnectionBehind) {
    FakeServer server([](const Octets& query) -> std::vector<Octets> {
        return {transfer_message(query, {7, 0, 0}), transfer_message(query, {0, 7})};
    });
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 0; id < 20; ++id) {
        client.send(message({.id = id, .type = 252}));
        ASSERT_TRUE(client.receive()) << id;
        ASSERT_TRUE(client.receive()) << id;
    }
    EXPECT_EQ(server.connections(), 20);
}

// ---- limits -----------------------------------------------------------------------

TEST(ProxyTcp, AnIdleOrHalfOpenClientIsClosed) {
    FakeServer server(answers_with(0));
    core::ProxySettings settings;
    settings.tcp_idle = Milliseconds{300};
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient idle(bed.service);
    TcpClient half(bed.service);
    half.write({0, 200, 1, 2, 3});
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(half.closed());
    EXPECT_TRUE(eventually([&] { return bed.events("tcp-open") == 0; }));
}

TEST(ProxyTcp, AClientThatReadsNothingIsClosedAndOthersAreServed) {
    FakeServer server(answers_with(0, 60000));
    core::ProxySettings settings;
    settings.tcp_idle = Milliseconds{500};
    settings.tcp_in_flight = 1000;
    Bed bed(settings);
    bed.serve({member(server)});
    {
        TcpClient greedy(bed.service);
        Octets all;
        for (std::uint16_t id = 0; id < 300; ++id) {
            const Octets one = framed(message({.id = id}));
            all.insert(all.end(), one.begin(), one.end());
        }
        greedy.write(all);
        TcpClient other(bed.service);
        other.send(message({.id = 1}));
        EXPECT_TRUE(other.receive());
        EXPECT_TRUE(eventually([&] { return bed.events("tcp-open") == 0; }));
    }
}

TEST(ProxyTcp, OneAddressGetsSoManyConnectionsAndNotMore) {
    FakeServer server(answers_with(0));
    core::ProxySettings settings;
    settings.tcp_per_address = 2;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient one(bed.service);
    TcpClient two(bed.service);
    ASSERT_TRUE(eventually([&] { return bed.events("tcp-open") == 2; }));
    TcpClient three(bed.service);
    EXPECT_TRUE(three.closed());
    EXPECT_EQ(bed.drops("tcp-limit"), 1U);
    one.send(message({}));
    EXPECT_TRUE(one.receive());
}

TEST(ProxyTcp, WhereAllPlacesAreTakenTheLongestIdleMakesRoom) {
    FakeServer server(answers_with(0));
    core::ProxySettings settings;
    settings.tcp_clients = 2;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient first(bed.service);
    ASSERT_TRUE(eventually([&] { return bed.events("tcp-open") == 1; }));
    TcpClient second(bed.service);
    second.send(message({}));
    ASSERT_TRUE(second.receive());
    TcpClient third(bed.service);
    third.send(message({}));
    EXPECT_TRUE(third.receive());
    EXPECT_TRUE(first.closed());
}

TEST(ProxyTcp, AConnectionEndsWhenItHasBroughtItsBytesAndItsQueriesAreAnswered) {
    FakeServer server(answers_with(0));
    core::ProxySettings settings;
    settings.tcp_bytes = 100;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 0; id < 3; ++id) {
        client.send(message({.id = id}));
        ASSERT_TRUE(client.receive()) << id;
    }
    EXPECT_TRUE(client.closed());
}

TEST(ProxyTcp, WhoClosesItsOwnDirectionStillGetsItsAnswers) {
    FakeServer server([](const Octets& query) -> std::vector<Octets> {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        return {answer_to(query)};
    });
    Bed bed;
    bed.serve({member(server)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 0; id < 3; ++id)
        client.send(message({.id = id}));
    client.shut_writing();
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(client.receive()) << i;
    EXPECT_TRUE(client.closed());
}

TEST(ProxyTcp, QueriesBeyondThoseInFlightWaitAndAreAnswered) {
    FakeServer server([](const Octets& query) -> std::vector<Octets> {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return {answer_to(query)};
    });
    core::ProxySettings settings;
    settings.tcp_in_flight = 2;
    Bed bed(settings);
    bed.serve({member(server)});
    TcpClient client(bed.service);
    Octets all;
    for (std::uint16_t id = 0; id < 50; ++id) {
        const Octets one = framed(message({.id = id}));
        all.insert(all.end(), one.begin(), one.end());
    }
    client.write(all);
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(client.receive()) << i;
}

TEST(ProxyTcp, AServiceThatGoesAnswersWhatWaitsAndTakesNoMore) {
    FakeServer slow([](const Octets& query) -> std::vector<Octets> {
        std::this_thread::sleep_for(std::chrono::milliseconds(150));
        return {answer_to(query)};
    });
    Bed bed;
    bed.serve({member(slow)});
    TcpClient client(bed.service);
    client.send(message({}));
    ASSERT_TRUE(eventually([&] { return slow.asked() == 1; }));
    ASSERT_TRUE(bed.plane->apply(core::diff(*bed.plane->read(), {})));
    EXPECT_TRUE(client.receive());
    EXPECT_TRUE(client.closed());
    EXPECT_FALSE(TcpClient(bed.service).connected());
}

TEST(ProxyTcp, GarbageEndsAConnectionAndHarmsNobody) {
    FakeServer server(answers_with(0));
    Bed bed;
    bed.serve({member(server)});
    TcpClient speaks_http(bed.service);
    speaks_http.write({'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '\r', '\n'});
    TcpClient answers(bed.service);
    answers.send(message({.response = true}));
    EXPECT_TRUE(answers.closed());
    TcpClient empty(bed.service);
    empty.write({0, 0});
    EXPECT_TRUE(empty.closed());
    TcpClient client(bed.service);
    client.send(message({}));
    EXPECT_TRUE(client.receive());
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
