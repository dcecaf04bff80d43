// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <poll.h>

#include "core/mnemonics.h"
#include "probe/prober.h"
#include "unit/probe/drive.h"
#include "unit/probe/responder.h"
#include "unit/support/unused_port.h"
#include "unit/support/wait.h"

namespace dnsdirector::probe {
namespace {

using core::Failure;
using test::Bytes;
using test::Recorder;
using test::Replies;
using test::reply_to;
using test::Responder;
using test::right;
using test::truncated;

core::Check dns_check_of(const Endpoint& target, Protocol transport = Protocol::udp) {
    core::Check check;
    check.target = target;
    core::DnsCheck dns;
    dns.name = "www.example.com";
    dns.type = 1;
    dns.transport = transport;
    dns.fail_on = {2, 5};
    check.what = dns;
    check.timing.every = Seconds{60};
    check.timing.timeout = Seconds{5};
    check.timing.tries = 1;
    return check;
}

core::DnsCheck& dns_of(core::Check& check) {
    return std::get<core::DnsCheck>(check.what);
}

TEST(UdpProbe, PassesWithTheAnswerTime) {
    Responder server(right);
    Recorder recorder;
    const core::Verdict verdict = recorder.ask(dns_check_of(server.endpoint()));
    EXPECT_EQ(verdict.failure, Failure::none);
    EXPECT_EQ(verdict.reason, "");
    EXPECT_GT(verdict.rtt.count(), 0);
    EXPECT_LT(verdict.rtt, Seconds{5});
}

TEST(UdpProbe, NamesTheStatusThatFails) {
    Responder server([](const Bytes& query) { return Replies{reply_to(query, 2)}; });
    Recorder recorder;
    const core::Verdict verdict = recorder.ask(dns_check_of(server.endpoint()));
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "SERVFAIL");
}

TEST(UdpProbe, IgnoresAWrongIdAndQuestionAndTakesTheRightReply) {
    Responder server([](const Bytes& query) {
        Bytes wrong_id = reply_to(query, 2), wrong_question = reply_to(query, 2);
        wrong_id[0] ^= 1;
        wrong_question[13] = 'x';
        return Replies{wrong_id, wrong_question, Bytes{1}, Bytes{}, reply_to(query)};
    });
    Recorder recorder;
    EXPECT_EQ(recorder.ask(dns_check_of(server.endpoint())).failure, Failure::none);
    EXPECT_EQ(recorder.prober->statistics().ignored_replies, 4);
}

TEST(UdpProbe, OnlyWrongRepliesAreATimeoutThatSaysSo) {
    Responder server([](const Bytes& query) {
        Bytes reply = reply_to(query);
        reply[1] ^= 0x80;
        return Replies{reply};
    });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{500};
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout; 1 reply ignored: wrong ID or question");
}

TEST(UdpProbe, AClosedPortIsRefusedAtOnce) {
    Recorder recorder;
    core::Check check = dns_check_of(test::closed_port());
    check.timing.tries = 3;
    check.timing.timeout = Seconds{3};
    const core::Verdict verdict = recorder.ask(check, Milliseconds{1500});
    EXPECT_EQ(verdict.failure, Failure::refused);
    EXPECT_EQ(verdict.reason, "connection refused");
}

TEST(UdpProbe, SilenceTimesOutAfterAllTriesAndNotBefore) {
    Responder server({});
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{100};
    check.timing.tries = 3;
    const auto start = test::Steady::now();
    const core::Verdict verdict = recorder.ask(check);
    const auto took = test::Steady::now() - start;
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout");
    EXPECT_EQ(verdict.rtt.count(), 0);
    EXPECT_GE(took, Milliseconds{300});
    EXPECT_LT(took, Milliseconds{2000});
    EXPECT_TRUE(support::eventually([&] { return server.udp_queries() == 3; }));
}

TEST(UdpProbe, ALaterTryPasses) {
    int queries = 0;
    Responder server([&](const Bytes& query) { return ++queries < 3 ? Replies{} : right(query); });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{500};
    check.timing.tries = 3;
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::none);
    EXPECT_LT(verdict.rtt, Milliseconds{500});
}

TEST(UdpProbe, ALateReplyToAnEarlierTryCounts) {
    Bytes first;
    Responder server([&](const Bytes& query) {
        if (first.empty()) {
            first = query;
            return Replies{};
        }
        return Replies{reply_to(first)};
    });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{100};
    check.timing.tries = 2;
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::none);
    EXPECT_GE(verdict.rtt, Milliseconds{100});
}

TEST(UdpProbe, TruncationIsAskedAgainOverTcpUnlessTheCheckSaysOtherwise) {
    Responder server(truncated, right);
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(server.tcp_queries(), 1);
    dns_of(check).on_truncated = core::OnTruncated::fail;
    EXPECT_EQ(recorder.ask(check).reason, "truncated");
    dns_of(check).on_truncated = core::OnTruncated::pass;
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(server.tcp_queries(), 1);
}

TEST(UdpProbe, TheVerdictOfATruncatedReplyIsThatOfTheWholeOne) {
    Responder server(truncated, [](const Bytes& query) { return Replies{reply_to(query, 5)}; });
    Recorder recorder;
    EXPECT_EQ(recorder.ask(dns_check_of(server.endpoint())).reason, "REFUSED");
}

TEST(UdpProbe, SendsFromTheSourceAddress) {
    Responder server(right, {}, Responder::Tcp::answers, "127.0.0.9");
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    dns_of(check).via.source = IpAddress::parse("127.0.0.5");
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    dns_of(check).via.source = IpAddress::parse("203.0.113.1");
    for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
        dns_of(check).transport = transport;
        const core::Verdict verdict = recorder.ask(check);
        EXPECT_EQ(verdict.failure, Failure::local);
        EXPECT_EQ(verdict.reason, "cannot send from 203.0.113.1: not an address of this machine");
    }
}

TEST(UdpProbe, AFixedSourcePortServesRoundAfterRound) {
    Responder server(truncated, right);
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    dns_of(check).via.source_port = support::unused_port();
    for (int round = 1; round <= 3; ++round) {
        const core::Verdict verdict = recorder.ask(check);
        EXPECT_EQ(verdict.failure, Failure::none) << verdict.reason;
        EXPECT_EQ(server.tcp_queries(), round);
    }
}

TEST(UdpProbe, AnImpossibleQuestionFailsLocallyAndSaysWhy) {
    Recorder recorder;
    core::Check check = dns_check_of(test::closed_port());
    dns_of(check).expect_answers = {"not-an-address"};
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::local);
    EXPECT_NE(verdict.reason.find("not-an-address"), std::string::npos) << verdict.reason;
}

TEST(UdpProbe, AsksOverIpv6Too) {
    Responder server(truncated, right, Responder::Tcp::answers, "::1");
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    dns_of(check).via.source = IpAddress::parse("::1");
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(server.udp_queries(), 1);
    EXPECT_EQ(server.tcp_queries(), 1);
    for (const Protocol transport : {Protocol::udp, Protocol::tcp})
        EXPECT_EQ(recorder.ask(dns_check_of(test::closed_port("::1"), transport)).reason,
                  "connection refused");
}

TEST(UdpProbe, AReplyThatTookTooLongIsLate) {
    Responder server([](const Bytes& query) {
        ::poll(nullptr, 0, 60);
        return right(query);
    });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{2000};
    dns_of(check).max_time = Milliseconds{20};
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_TRUE(verdict.reason.starts_with("late by ")) << verdict.reason;
    EXPECT_TRUE(verdict.reason.ends_with("ms, 20ms allowed")) << verdict.reason;
    EXPECT_GE(verdict.rtt, Milliseconds{60});
    ASSERT_TRUE(verdict.reply);
    dns_of(check).max_time = Milliseconds{1500};
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
}

TEST(UdpProbe, AsksForAnotherNameInEachRound) {
    std::vector<Bytes> questions;
    Responder server([&](const Bytes& query) {
        questions.emplace_back(query.begin() + 12, query.end());
        return questions.size() == 1 ? Replies{} : right(query);
    });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    check.timing.timeout = Milliseconds{500};
    check.timing.tries = 2;
    dns_of(check).random_label = true;
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    EXPECT_EQ(recorder.ask(check).failure, Failure::none);
    ASSERT_EQ(questions.size(), 3);
    EXPECT_EQ(questions[0], questions[1]);  // two tries of one round
    EXPECT_NE(questions[1], questions[2]);
    EXPECT_EQ(questions[2][0], 12);
}

TEST(UdpProbe, KeepsTheReplyThatFailedAndNoOther) {
    Bytes sent;
    std::uint8_t status = 2;
    Responder server([&](const Bytes& query) {
        sent = reply_to(query, status);
        return Replies{sent};
    });
    Recorder recorder;
    const core::Verdict failed = recorder.ask(dns_check_of(server.endpoint()));
    ASSERT_TRUE(failed.reply);
    EXPECT_EQ(*failed.reply, sent);
    status = 0;
    EXPECT_FALSE(recorder.ask(dns_check_of(server.endpoint())).reply);
    EXPECT_FALSE(recorder.ask(dns_check_of(test::closed_port())).reply);
}

TEST(UdpProbe, SendsEdnsWhereToldAndJudgesTheFlags) {
    Responder server([](const Bytes& query) {
        Bytes reply = reply_to(query, query[11] == 1 && query.back() == 0 ? 0 : 1);
        reply[2] |= 0x04;  // AA
        return Replies{reply};
    });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint());
    dns_of(check).fail_on = {1};
    EXPECT_EQ(recorder.ask(check).reason, "FORMERR");
    dns_of(check).edns = core::Edns{.buffer_size = 1232, .dnssec_ok = true};
    dns_of(check).required_flags = core::header_flag::aa;
    EXPECT_EQ(recorder.ask(check).reason, "");
    dns_of(check).required_flags = core::header_flag::aa | core::header_flag::ad;
    EXPECT_EQ(recorder.ask(check).reason, "answer not authenticated (AD missing)");
}

TEST(TcpProbe, PassesAlsoWhenTheAnswerComesInPieces) {
    for (const auto how : {Responder::Tcp::answers, Responder::Tcp::in_pieces}) {
        Responder server({}, right, how);
        Recorder recorder;
        EXPECT_EQ(recorder.ask(dns_check_of(server.endpoint(), Protocol::tcp)).failure,
                  Failure::none);
        EXPECT_EQ(server.udp_queries(), 0);
    }
}

TEST(TcpProbe, IgnoresWrongIdsWhileTimeIsLeft) {
    for (const auto how : {Responder::Tcp::answers, Responder::Tcp::in_pieces}) {
        Responder server(
            {},
            [](const Bytes& query) {
                Bytes wrong = reply_to(query, 2);
                wrong[0] ^= 1;
                return Replies{wrong, wrong, reply_to(query)};
            },
            how);
        Recorder recorder;
        EXPECT_EQ(recorder.ask(dns_check_of(server.endpoint(), Protocol::tcp)).failure,
                  Failure::none);
        EXPECT_EQ(recorder.prober->statistics().ignored_replies, 2);
    }
}

TEST(TcpProbe, ARefusalAndAResetAreRefusals) {
    Recorder recorder;
    EXPECT_EQ(recorder.ask(dns_check_of(test::closed_port(), Protocol::tcp)).reason,
              "connection refused");
    Responder server({}, right, Responder::Tcp::resets);
    const core::Verdict verdict = recorder.ask(dns_check_of(server.endpoint(), Protocol::tcp));
    EXPECT_EQ(verdict.failure, Failure::refused);
    EXPECT_EQ(verdict.reason, "connection reset");
}

TEST(TcpProbe, AConnectionClosedWithoutAnAnswerFailsAfterAllTries) {
    Responder server({}, right, Responder::Tcp::closes);
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint(), Protocol::tcp);
    check.timing.tries = 2;
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::answer);
    EXPECT_EQ(verdict.reason, "connection closed without an answer");
    EXPECT_EQ(server.tcp_queries(), 2);
}

TEST(TcpProbe, SilenceTimesOut) {
    Responder server({}, [](const Bytes&) { return Replies{}; });
    Recorder recorder;
    core::Check check = dns_check_of(server.endpoint(), Protocol::tcp);
    check.timing.timeout = Milliseconds{300};
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timeout");
}

}  // namespace
}  // namespace dnsdirector::probe
