// SPDX-License-Identifier: Apache-2.0
//
// What goes to every server of a service: who gets it, how often, and what its sender gets.
#include <mutex>

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
using testing::member;
using testing::message;
using testing::Octets;
using testing::TcpClient;
using testing::UdpClient;

constexpr std::uint8_t notify = 4, update = 5;
constexpr std::uint8_t servfail = 2, refused = 5, notauth = 9;

std::vector<Octets> no_answer(const Octets& /*query*/) {
    return {};
}

/// Answers the nth message, from 1, and those after it.
FakeServer::Behaviour answers_from(int nth) {
    return [nth, count = std::make_shared<std::atomic<int>>(0)](
               const Octets& query) -> std::vector<Octets> {
        if (++*count < nth) return {};
        return {answer_to(query)};
    };
}

/// Answers like another one once it is told to.
struct Gate {
    std::atomic<bool> open{false};
    [[nodiscard]] FakeServer::Behaviour behaviour(std::uint8_t rcode = 0) {
        return [this, rcode](const Octets& query) -> std::vector<Octets> {
            const bool opened = eventually([&] { return open.load(); });
            return opened ? std::vector<Octets>{answer_to(query, rcode)} : std::vector<Octets>{};
        };
    }
};

core::ToAll both(std::uint32_t answers = 0) {
    core::ToAll what;
    what.notify = what.update = true;
    what.answers = answers;
    return what;
}

core::ProxySettings timeout(Nanoseconds query_timeout) {
    core::ProxySettings settings;
    settings.query_timeout = query_timeout;
    return settings;
}

/// Which carries the message; tests say what holds for both.
class ToAllOver : public ::testing::TestWithParam<Protocol> {
protected:
    [[nodiscard]] static std::optional<Octets> ask(const Bed& bed, const Octets& question,
                                                   int timeout_ms = 5000) {
        if (GetParam() == Protocol::udp) return UdpClient(bed.service).ask(question, timeout_ms);
        TcpClient client(bed.service);
        client.send(question);
        return client.receive(timeout_ms);
    }
    [[nodiscard]] static int rcode(const Bed& bed, const Octets& question, int timeout_ms = 5000) {
        const auto answer = ask(bed, question, timeout_ms);
        return answer ? rcode_of(answer->data()) : -1;
    }
};
INSTANTIATE_TEST_SUITE_P(Transports, ToAllOver, ::testing::Values(Protocol::udp, Protocol::tcp),
                         [](const auto& each) { return std::string(to_string(each.param)); });

TEST_P(ToAllOver, EveryServerGetsItOnceAndTheClientOneAnswer) {
    FakeServer one(answers_with(0)), two(answers_with(0)), three(answers_with(0));
    Bed bed;
    const std::vector<Bed::Member> all = {member(one), member(two), member(three)};
    bed.to_all(both(), all);
    bed.serve(all);
    std::uint16_t id = 7;
    for (const std::uint8_t opcode : {notify, update}) {
        const Octets question = message({.id = ++id, .opcode = opcode, .type = 6});
        const auto answer = ask(bed, question);
        ASSERT_TRUE(answer);
        EXPECT_EQ(*answer, answer_to(question));
    }
    for (const FakeServer* server : {&one, &two, &three})
        EXPECT_EQ(server->asked(), 2);
    for (const Bed::Member& each : all)
        EXPECT_EQ(bed.plane->counters()->servers.at({bed.key(GetParam()), each.server}).packets,
                  2U);
    EXPECT_EQ(bed.plane->counters()->services.at(bed.key(GetParam())).packets, 2U);
    EXPECT_EQ(bed.events("to-all"), 2U);
    EXPECT_EQ(bed.events("to-all-failed"), 0U);
}

TEST_P(ToAllOver, OnlyWhatIsNamedDoesAndQueriesGoToOne) {
    FakeServer one(answers_with(0)), two(answers_with(0));
    Bed bed;
    core::ToAll what;
    what.notify = true;
    bed.to_all(what, {member(one), member(two)});
    bed.serve({member(one), member(two)});
    EXPECT_EQ(rcode(bed, message({.id = 1, .opcode = update})), 0);
    EXPECT_EQ(rcode(bed, message({.id = 2})), 0);
    EXPECT_EQ(one.asked() + two.asked(), 2);
    bed.to_all({}, {member(one), member(two)});
    EXPECT_TRUE(eventually([&] {
        const int before = one.asked() + two.asked();
        return rcode(bed, message({.id = 3, .opcode = notify})) == 0 &&
               one.asked() + two.asked() == before + 1;
    })) << "switched off by a reload";
}

TEST_P(ToAllOver, ThoseWithoutWorkGetItAndDoNotCount) {
    FakeServer serving(answers_with(0)), drained(no_answer), down(no_answer),
        refuses(answers_with(5));
    Bed bed(timeout(Seconds{8}));
    bed.to_all(both(), {member(serving), member(drained), member(down), member(refuses)});
    bed.serve({member(serving), member(drained, 0)});
    EXPECT_EQ(rcode(bed, message({.opcode = notify})), 0);
    for (const FakeServer* server : {&drained, &down, &refuses})
        EXPECT_TRUE(eventually([&] { return server->asked() >= 1; }));
}

TEST_P(ToAllOver, WhereNobodyIsInServiceAllCount) {
    FakeServer one(answers_with(0)), two(answers_with(refused));
    Bed bed;
    bed.to_all(both(), {member(one), member(two)});
    bed.serve({});
    EXPECT_EQ(rcode(bed, message({.id = 1, .opcode = notify})), refused);
    bed.to_all(both(1), {member(one), member(two)});
    EXPECT_TRUE(eventually([&] { return rcode(bed, message({.id = 2, .opcode = notify})) == 0; }));
}

TEST_P(ToAllOver, SoManyAnswersAsWantedAreWaitedFor) {
    for (const std::uint32_t wanted : {1U, 2U}) {
        FakeServer one(answers_with(0)), silent(no_answer);
        Gate gate;
        FakeServer later(gate.behaviour());
        Bed bed(timeout(Seconds{4}));
        const std::vector<Bed::Member> all = {member(one), member(silent), member(later)};
        bed.to_all(both(wanted), all);
        bed.serve(all);
        if (wanted == 1) {
            EXPECT_EQ(rcode(bed, message({.opcode = update})), 0);
            gate.open = true;
            EXPECT_TRUE(eventually([&] { return bed.drops("late-answer") == 1; }));
        } else {
            EXPECT_EQ(rcode(bed, message({.id = 1, .opcode = update}), 300), -1);
            gate.open = true;
            EXPECT_EQ(rcode(bed, message({.id = 2, .opcode = update})), 0);
        }
    }
}

TEST_P(ToAllOver, WhatTellsMostIsTheAnswerAsSoonAsTooFewAgree) {
    FakeServer good(answers_with(0)), broken(answers_with(servfail)),
        not_mine(answers_with(notauth));
    Gate never;  // opens when the test is over
    FakeServer slow(never.behaviour());
    Bed bed(timeout(Seconds{30}));
    const std::vector<Bed::Member> all = {member(good), member(broken), member(not_mine),
                                          member(slow)};
    bed.to_all(both(2), all);
    bed.serve(all);
    // Two may still agree.
    std::thread opens([&] {
        EXPECT_TRUE(eventually([&] { return not_mine.asked() == 1 && slow.asked() == 1; }));
        never.open = true;
    });
    EXPECT_EQ(rcode(bed, message({.id = 1, .opcode = update})), 0);
    opens.join();
    never.open = false;
    bed.to_all(both(4), all);
    EXPECT_TRUE(eventually([&] {
        const int got = rcode(bed, message({.id = 2, .opcode = update}), 1000);
        return got == notauth || got == servfail;
    })) << "the fourth is not waited for";
    never.open = true;
    bed.to_all(both(3), all);
    EXPECT_TRUE(eventually([&] {
        return rcode(bed, message({.id = 3, .opcode = update}), 1000) == notauth;
    })) << "not SERVFAIL, where both have spoken";
    EXPECT_GE(bed.events("to-all-failed"), 2U);
}

TEST_P(ToAllOver, WhoIsSilentToAnUpdateIsAskedOnceAndTheClientIsTold) {
    FakeServer good(answers_with(0)), silent(no_answer);
    Bed bed(timeout(Milliseconds{500}));
    bed.to_all(both(), {member(good), member(silent)});
    bed.serve({member(good), member(silent)});
    EXPECT_EQ(rcode(bed, message({.opcode = update})), servfail);
    EXPECT_TRUE(eventually([&] { return silent.asked() == 1; }));
    EXPECT_EQ(bed.events("to-all-unanswered"), 1U);
    EXPECT_EQ(bed.events("to-all-again"), 0U);
    EXPECT_EQ(bed.drops("unanswered"), 0U);
}

TEST_P(ToAllOver, AServerThatRefusesConnectionsFailsAnUpdateAtOnce) {
    FakeServer good(answers_with(0));
    Bed bed(timeout(Seconds{30}));
    const Bed::Member nobody{{bed.service.address, support::unused_port()}};
    bed.to_all(both(), {member(good), nobody});
    bed.serve({member(good), nobody});
    EXPECT_EQ(rcode(bed, message({.opcode = update})), servfail);
    EXPECT_TRUE(eventually([&] { return good.asked() == 1; }));
}

TEST_P(ToAllOver, ANotifyWaitsForAServerThatStartsAnew) {
    FakeServer good(answers_with(0));
    Bed bed(timeout(Seconds{8}));
    const std::uint16_t port = support::unused_port();
    const Bed::Member away{{bed.service.address, port}};
    bed.to_all(both(), {member(good), away});
    bed.serve({member(good), away});
    std::optional<FakeServer> back;
    std::thread starts([&] {
        EXPECT_TRUE(eventually([&] { return good.asked() == 1; }));
        back.emplace(answers_with(0), port);
    });
    EXPECT_EQ(rcode(bed, message({.opcode = notify}), 10000), 0);
    starts.join();
    EXPECT_EQ(good.asked(), 1);
    EXPECT_EQ(back->asked(), 1);
    EXPECT_GE(bed.events("to-all-again"), 1U);
}

TEST_P(ToAllOver, WhoGoesOutOfServiceIsNotWaitedForAnyMore) {
    FakeServer good(answers_with(0)), hangs(no_answer);
    Bed bed(timeout(Seconds{30}));
    bed.to_all(both(), {member(good), member(hangs)});
    bed.serve({member(good), member(hangs)});
    std::thread checks([&] {
        EXPECT_TRUE(eventually([&] { return hangs.asked() >= 1 && good.asked() == 1; }));
        bed.serve({member(good)});
    });
    EXPECT_EQ(rcode(bed, message({.opcode = notify})), 0);
    checks.join();
}

TEST_P(ToAllOver, AServerThatLeavesTheConfigurationMeanwhileHarmsNothing) {
    Gate gate;
    FakeServer good(answers_with(0)), leaves(gate.behaviour());
    Bed bed(timeout(Seconds{30}));
    bed.to_all(both(), {member(good), member(leaves)});
    bed.serve({member(good), member(leaves)});
    std::thread reload([&] {
        EXPECT_TRUE(eventually([&] { return leaves.asked() == 1 && good.asked() == 1; }));
        bed.to_all(both(), {member(good)});
        bed.serve({member(good)});
    });
    EXPECT_EQ(rcode(bed, message({.id = 1, .opcode = notify})), 0);
    reload.join();
    gate.open = true;
    EXPECT_TRUE(eventually([&] { return bed.drops("late-answer") == 1; }));
    EXPECT_EQ(rcode(bed, message({.id = 2, .opcode = notify})), 0);
    EXPECT_EQ(leaves.asked(), 1);
}

TEST_P(ToAllOver, LargeOnesReachEachServerWhole) {
    std::mutex mutex;
    std::vector<Octets> seen;
    const auto remembers = [&](const Octets& query) -> std::vector<Octets> {
        const std::lock_guard lock(mutex);
        seen.push_back(query);
        return {answer_to(Octets(query.begin(), query.begin() + 33))};
    };
    FakeServer one(remembers), two(remembers), three(remembers);
    Bed bed;
    const std::vector<Bed::Member> all = {member(one), member(two), member(three)};
    bed.to_all(both(), all);
    bed.serve(all);
    for (const std::size_t padding : {400UL, 480UL, 481UL, 20000UL}) {
        {
            const std::lock_guard lock(mutex);
            seen.clear();
        }
        const Octets question = message({.opcode = update, .padding = padding});
        ASSERT_EQ(rcode(bed, question), 0) << padding;
        const std::lock_guard lock(mutex);
        ASSERT_EQ(seen.size(), 3U);
        for (Octets& each : seen) {
            std::copy_n(question.begin(), 2, each.begin());
            EXPECT_EQ(each, question) << padding;
        }
    }
}

TEST_P(ToAllOver, EightyServersEachGetIt) {
    constexpr int many = 80;
    std::vector<std::unique_ptr<FakeServer>> servers;
    std::vector<Bed::Member> all;
    for (int i = 0; i < many; ++i) {
        servers.push_back(std::make_unique<FakeServer>(answers_with(0)));
        all.push_back(member(*servers.back()));
    }
    Bed bed(timeout(Seconds{8}));
    bed.to_all(both(), all);
    bed.serve(all);
    EXPECT_EQ(rcode(bed, message({.opcode = notify}), 10000), 0);
    for (const auto& server : servers)
        EXPECT_GE(server->asked(), 1);
}

TEST_P(ToAllOver, OnlyThoseWhoAreNamedMaySendThem) {
    FakeServer one(answers_with(0)), two(answers_with(0));
    Bed bed;
    core::ToAll what = both();
    what.from = {{*IpAddress::parse("198.51.100.0"), 24}, {*IpAddress::parse("2001:db8::"), 32}};
    bed.to_all(what, {member(one), member(two)});
    bed.serve({member(one), member(two)});
    const Octets question = message({.id = 9, .opcode = notify});
    const auto answer = ask(bed, question);
    ASSERT_TRUE(answer);
    EXPECT_EQ(*answer, answer_to(question, refused));
    EXPECT_EQ(bed.drops("not-allowed"), 1U);
    EXPECT_EQ(one.asked() + two.asked(), 0);
    EXPECT_EQ(rcode(bed, message({.id = 10})), 0) << "queries are everybody's";
    what.from.push_back({*IpAddress::parse("127.0.0.0"), 12});
    bed.to_all(what, {member(one), member(two)});
    EXPECT_TRUE(eventually([&] { return rcode(bed, question) == 0; }));
}

TEST_P(ToAllOver, AStopWaitsForTheAnswers) {
    Gate gate;
    FakeServer slow(gate.behaviour());
    Bed bed;
    bed.to_all(both(), {member(slow)});
    bed.serve({member(slow)});
    std::optional<Octets> answer;
    std::thread client([&] { answer = ask(bed, message({.opcode = notify})); });
    ASSERT_TRUE(eventually([&] { return slow.asked() == 1; }));
    // While the stop waits, as a rule; were it earlier, the answer would come all the same.
    std::thread opens([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        gate.open = true;
    });
    ASSERT_TRUE(bed.plane->detach());
    client.join();
    opens.join();
    EXPECT_TRUE(answer);
}

// ---- over UDP alone -----------------------------------------------------------------

TEST(ProxyToAll, ASilentServerIsNotifiedAgainAndTheOthersAreNot) {
    FakeServer good(answers_with(0)), hard_of_hearing(answers_from(3));
    Bed bed(timeout(Seconds{12}));
    bed.to_all(both(), {member(good), member(hard_of_hearing)});
    bed.serve({member(good), member(hard_of_hearing)});
    const auto answer = UdpClient(bed.service).ask(message({.opcode = notify}), 10000);
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), 0);
    EXPECT_EQ(good.asked(), 1);
    EXPECT_EQ(hard_of_hearing.asked(), 3);
    EXPECT_EQ(bed.events("to-all-again"), 2U);
}

TEST(ProxyToAll, ASilentServerGetsANotifyFiveTimesAndThenNoMore) {
    FakeServer silent(no_answer);
    Bed bed(timeout(Seconds{4}));  // all five are due within 750 ms
    bed.to_all(both(), {member(silent)});
    bed.serve({member(silent)});
    const auto answer = UdpClient(bed.service).ask(message({.opcode = notify}), 10000);
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), servfail);
    EXPECT_TRUE(eventually([&] { return silent.asked() == 5; }));
}

TEST(ProxyToAll, WhoAsksAgainGetsTheSameAnswerAndTheServersNothingNew) {
    Gate gate;
    FakeServer good(answers_with(0)), slow(gate.behaviour());
    Bed bed(timeout(Seconds{30}));
    bed.to_all(both(1), {member(good), member(slow)});
    bed.serve({member(good), member(slow)});
    UdpClient client(bed.service);
    const Octets question = message({.opcode = update, .padding = 600});
    for (int i = 0; i < 3; ++i) {
        const auto answer = client.ask(question);
        ASSERT_TRUE(answer) << i;
        EXPECT_EQ(*answer, answer_to(question));
    }
    EXPECT_EQ(good.asked(), 1);
    EXPECT_EQ(bed.events("to-all-repeated"), 2U);
    EXPECT_EQ(bed.events("to-all"), 1U);
    Octets other = question;
    other.back() ^= 1;
    ASSERT_TRUE(client.ask(other)) << "another message with the same ID is another one";
    EXPECT_EQ(good.asked(), 2);
    gate.open = true;
}

TEST(ProxyToAll, AFloodOfThemIsCutShortAndQueriesAreServed) {
    FakeServer silent(no_answer), good(answers_with(0));
    Bed bed(timeout(Seconds{20}));
    bed.to_all(both(), {member(silent), member(good)});
    bed.serve({member(good)});
    const UdpClient client(bed.service);
    // As many fan-outs as may be at a time.
    for (int id = 0; id < 1024; ++id) {
        client.send(message({.id = static_cast<std::uint16_t>(id), .opcode = update}));
        if (id % 64 == 63)
            ASSERT_TRUE(eventually([&] {
                return bed.events("to-all") == static_cast<std::uint64_t>(id) + 1;
            })) << id;
    }
    const UdpClient other(bed.service);
    EXPECT_FALSE(other.ask(message({.id = 5000, .opcode = notify}), 200));
    EXPECT_EQ(bed.drops("to-all-limit"), 1U);
    EXPECT_TRUE(other.ask(message({.id = 5001})));
    TcpClient over_tcp(bed.service);
    over_tcp.send(message({.id = 5002, .opcode = notify}));
    const auto answer = over_tcp.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), servfail);
}

TEST(ProxyToAll, MoreServersThanHaveRoomAreRefusedOverTcp) {
    FakeServer good(answers_with(0));
    Bed bed;
    std::vector<Bed::Member> all = {member(good)};
    for (std::uint16_t port = 1; port <= 16384; ++port)
        all.push_back({{*IpAddress::parse("203.0.113.1"), port}});
    bed.to_all(both(), all);
    bed.serve({member(good)});
    TcpClient client(bed.service);
    client.send(message({.opcode = notify}));
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(rcode_of(answer->data()), servfail);
    EXPECT_EQ(bed.drops("to-all-limit"), 1U);
    EXPECT_EQ(good.asked(), 0);
}

// ---- the PROXY protocol, and connections ----------------------------------------------

TEST_P(ToAllOver, TheHeaderComesBeforeItForThoseThatTakeOne) {
    FakeServer plain(answers_with(0)), with_header(answers_with(0));
    with_header.take_header();
    Bed bed;
    const std::vector<Bed::Member> all = {member(plain), member(with_header)};
    bed.to_all(both(), all, {member(with_header)});
    bed.serve(all);
    for (const std::uint8_t opcode : {notify, update})
        EXPECT_EQ(rcode(bed, message({.opcode = opcode})), 0);
    EXPECT_EQ(with_header.asked(), 2);
    EXPECT_EQ(plain.asked(), 2);
}

TEST(ProxyToAll, OverTcpTheRestGetsItAlsoWhenTheClientLeavesWithItsAnswer) {
    for (const bool header : {false, true}) {
        FakeServer good(answers_with(0));
        Bed bed(timeout(Seconds{8}));
        const std::uint16_t port = support::unused_port();
        const Bed::Member away{{bed.service.address, port}};
        bed.to_all(both(1), {member(good), away},
                   header ? std::vector{away} : std::vector<Bed::Member>{});
        bed.serve({member(good), away});
        {
            TcpClient client(bed.service);
            client.send(message({.opcode = notify}));
            ASSERT_TRUE(client.receive());
        }
        FakeServer back(answers_with(0), port);
        if (header) back.take_header();
        EXPECT_TRUE(eventually([&] { return back.asked() == 1; })) << header;
    }
}

TEST(ProxyToAll, AnUpdateGoesOverAConnectionThatNoServerIsJustClosing) {
    FakeServer one(answers_with(0)), two(answers_with(0));
    Bed bed;
    bed.to_all(both(), {member(one), member(two)});
    bed.serve({member(one), member(two)});
    TcpClient client(bed.service);
    for (std::uint16_t id = 1; id <= 4; ++id) {
        client.send(message({.id = id, .opcode = update}));
        const auto answer = client.receive();
        ASSERT_TRUE(answer);
        EXPECT_EQ(rcode_of(answer->data()), 0);
    }
    EXPECT_EQ(one.connections(), 4);
    EXPECT_EQ(two.connections(), 4);
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
