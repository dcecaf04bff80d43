// SPDX-License-Identifier: Apache-2.0
//
// What tests/lab/test_dig.py holds to the program itself is not repeated here:
// this is about the bytes, the tries and the clock.
#include <gtest/gtest.h>

#include <thread>

#include "dns/message.h"
#include "probe/ask_once.h"
#include "probe/prober.h"
#include "unit/probe/drive.h"
#include "unit/probe/responder.h"
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

core::Check dig_check_of(const Endpoint& target, Milliseconds timeout = Seconds{5},
                         std::uint32_t tries = 1) {
    core::DigCheck dig;
    dig.name = "www.example.com.";
    dig.edns = core::Edns{};
    core::Check check;
    check.target = target;
    check.what = dig;
    check.timing.every = Seconds{60};
    check.timing.timeout = timeout;
    check.timing.tries = tries;
    return check;
}

DigReport dig_once(const core::Check& check) {
    return probe::dig_once(check.target, std::get<core::DigCheck>(check.what), check.timing)
        .value();
}

/// A query's COOKIE, which is the end of what dig sends.
Bytes cookie_of(const Bytes& query) {
    constexpr std::size_t opt = 12 + 17 + 4 + 11;  // header, question, OPT's fixed part
    EXPECT_EQ(dns::read16(query, opt), 10);
    return {query.begin() + opt + 4, query.end()};
}

/// BADCOOKIE (23) with a server cookie of eight bytes.
Bytes bad_cookie(const Bytes& query) {
    Bytes reply = reply_to(query, 7);
    constexpr std::size_t opt_ttl = 12 + 17 + 4 + 5, opt_length = opt_ttl + 4;
    reply[opt_ttl] = 1;
    reply.resize(opt_length + 6 + 8);
    reply[opt_length + 1] = 4 + 16;
    reply[opt_length + 5] = 16;
    reply.insert(reply.end(), 8, 0x5a);
    return reply;
}

TEST(DigProbe, SendsWhatDigSends) {
    Bytes query;
    Responder server([&](const Bytes& got) {
        query = got;
        return right(got);
    });
    core::Check check = dig_check_of(server.endpoint());
    std::get<core::DigCheck>(check.what).edns = core::Edns{4096, true};
    EXPECT_EQ(dig_once(check).exit_status, 0);
    const Bytes head = {0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 1};  // RD, AD; question, OPT
    ASSERT_EQ(query.size(), 12U + 17 + 4 + 11 + 12);
    EXPECT_EQ(Bytes(query.begin() + 2, query.begin() + 12), head);
    const Bytes opt = {0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 12, 0, 10, 0, 8};
    EXPECT_EQ(Bytes(query.end() - 23, query.end() - 8), opt);
}

TEST(DigProbe, AnyReplyPassesAndSilenceIsNine) {
    Responder server([](const Bytes& query) { return Replies{reply_to(query, 2)}; });
    EXPECT_EQ(dig_once(dig_check_of(server.endpoint())).exit_status, 0);
    Responder silent({});
    const DigReport report = dig_once(dig_check_of(silent.endpoint(), Milliseconds{50}, 3));
    EXPECT_EQ(report.exit_status, 9);
    EXPECT_EQ(report.report.verdict.reason, "timeout");
    EXPECT_TRUE(support::eventually([&] { return silent.udp_queries() == 3; }));
}

TEST(DigProbe, ARefusalIsAFailureLikeAnyOther) {
    const DigReport report = dig_once(dig_check_of(test::closed_port(), Seconds{5}, 3));
    EXPECT_EQ(report.exit_status, 9);
    EXPECT_EQ(report.report.verdict.reason, "connection refused");
    EXPECT_EQ(report.report.verdict.failure, Failure::silence);
}

TEST(DigProbe, ALateReplyToAnEarlierTryIsLost) {
    Bytes first;
    Responder server([&](const Bytes& query) {
        if (!first.empty()) return Replies{};
        first = query;
        std::this_thread::sleep_for(Milliseconds{1500});  // half way through the second try
        return right(query);
    });
    EXPECT_EQ(dig_once(dig_check_of(server.endpoint(), Milliseconds{1000}, 2)).exit_status, 9);
}

TEST(DigProbe, AsksAgainWithTheServersCookieAndThenOverTcp) {
    std::vector<Bytes> cookies;
    Responder server(
        [&](const Bytes& query) {
            cookies.push_back(cookie_of(query));
            return Replies{bad_cookie(query)};
        },
        right);
    EXPECT_EQ(dig_once(dig_check_of(server.endpoint())).exit_status, 0);
    ASSERT_EQ(cookies.size(), 2U);
    EXPECT_EQ(cookies[0].size(), 8U);
    EXPECT_EQ(cookies[1].size(), 16U);
    EXPECT_TRUE(std::equal(cookies[0].begin(), cookies[0].end(), cookies[1].begin()));
    EXPECT_EQ(cookies[1].back(), 0x5a);
    EXPECT_EQ(server.tcp_queries(), 1);
}

TEST(DigProbe, TruncationGoesToTcpUnlessItIsIgnored) {
    Responder server(truncated, {}, Responder::Tcp::closes);
    core::Check check = dig_check_of(server.endpoint(), Seconds{5}, 2);
    const DigReport report = dig_once(check);
    EXPECT_EQ(report.exit_status, 9);
    EXPECT_EQ(report.report.verdict.reason, "connection closed without an answer");
    EXPECT_EQ(server.tcp_queries(), 2);
    std::get<core::DigCheck>(check.what).ignore_truncation = true;
    EXPECT_EQ(dig_once(check).exit_status, 0);
}

TEST(DigProbe, WhatIsPassedOverBeginsTheTimeAnew) {
    Responder server([](const Bytes& query) {
        std::this_thread::sleep_for(Milliseconds{200});
        Bytes other = reply_to(query);
        other[0] ^= 0xff;
        return Replies{other};
    });
    const auto start = test::Steady::now();
    const DigReport report = dig_once(dig_check_of(server.endpoint(), Milliseconds{1000}));
    EXPECT_EQ(report.exit_status, 9);
    EXPECT_EQ(report.report.verdict.reason, "timeout; 1 reply ignored: wrong ID or question");
    EXPECT_GE(test::Steady::now() - start, Milliseconds{1200});
}

TEST(DigProbe, TheLimitEndsTheRound) {
    Responder silent({});
    core::Check check = dig_check_of(silent.endpoint(), Milliseconds{100}, 100);
    check.timing.limit = Milliseconds{250};
    Recorder recorder;
    const auto start = test::Steady::now();
    const core::Verdict verdict = recorder.ask(check);
    EXPECT_EQ(verdict.failure, Failure::silence);
    EXPECT_EQ(verdict.reason, "timed out after 250ms");
    EXPECT_LT(test::Steady::now() - start, Milliseconds{2000});
}

TEST(DigProbe, AMissingSourceIsOurFaultAndDigsNine) {
    core::Check check = dig_check_of(test::closed_port(), Seconds{5}, 3);
    std::get<core::DigCheck>(check.what).via.source = IpAddress::parse("192.0.2.99");
    const DigReport report = dig_once(check);
    EXPECT_EQ(report.exit_status, 9);
    EXPECT_EQ(report.report.verdict.failure, Failure::local);
}

TEST(DigProbe, AQuestionIsPutAnewSixtyFourTimesAtMost) {
    core::Check check = dig_check_of(test::closed_port(), Seconds{5}, 100);
    std::get<core::DigCheck>(check.what).tcp = true;
    EXPECT_EQ(dig_once(check).exit_status, 9);
    Responder closing({}, {}, Responder::Tcp::closes);
    check.target = closing.endpoint();
    EXPECT_EQ(dig_once(check).exit_status, 1);
    EXPECT_EQ(closing.tcp_queries(), 65);
}

TEST(DigProbe, ServesManyRoundsFromFewSockets) {
    Responder server(right);
    Recorder recorder;
    core::Check check = dig_check_of(server.endpoint());
    check.timing.every = Milliseconds{50};
    recorder.prober->add(1, check, true);
    ASSERT_TRUE(recorder.wait_for(30));
    for (const auto& entry : recorder.verdicts)
        EXPECT_EQ(entry.verdict.failure, Failure::none);
}

}  // namespace
}  // namespace dnsdirector::probe
