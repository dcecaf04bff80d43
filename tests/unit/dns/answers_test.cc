// SPDX-License-Identifier: Apache-2.0
#include "dns/answers.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "dns/reply.h"

namespace dnsdirector::dns {
namespace {

using core::AnswerMatch;
using Message = std::vector<std::uint8_t>;
constexpr std::uint16_t query_id = 0x1234;

core::DnsCheck expecting(AnswerMatch match, std::vector<std::string> answers,
                         std::uint16_t type = 1) {
    core::DnsCheck check;
    check.name = "www.example.com";
    check.type = type;
    check.match = match;
    check.expect_answers = std::move(answers);
    return check;
}

Message reply_with(const core::DnsCheck& check, const std::vector<Message>& answers,
                   std::uint16_t flags = 0x8080) {
    Query query = Query::make(check).value();
    query.set_id(query_id);
    Message reply(query.message().begin(),
                  query.message().begin() + header_size +
                      static_cast<std::ptrdiff_t>(query.question().size()));
    reply[2] = static_cast<std::uint8_t>(flags >> 8);
    reply[3] = static_cast<std::uint8_t>(flags);
    reply[7] = static_cast<std::uint8_t>(answers.size());
    reply[11] = 0;
    for (const Message& data : answers) {
        const std::uint8_t fixed[] = {0xC0,
                                      12,
                                      static_cast<std::uint8_t>(check.type >> 8),
                                      static_cast<std::uint8_t>(check.type),
                                      0,
                                      1,
                                      0,
                                      0,
                                      0,
                                      60,
                                      0,
                                      static_cast<std::uint8_t>(data.size())};
        reply.insert(reply.end(), std::begin(fixed), std::end(fixed));
        reply.insert(reply.end(), data.begin(), data.end());
    }
    return reply;
}

std::string reason(const core::DnsCheck& check, const Message& reply) {
    return judge(reply, Query::make(check).value(), query_id, Criteria::make(check).value(),
                 Protocol::udp)
        .reason;
}

Message address(int last) {
    return {192, 0, 2, static_cast<std::uint8_t>(last)};
}
std::string address_text(int last) {
    return "192.0.2." + std::to_string(last);
}

TEST(Answers, TheWaysOfMatchingDiffer) {
    const std::vector<std::string> expected = {"192.0.2.1", "192.0.2.2"};
    const struct {
        std::vector<Message> got;
        std::string any, all, exactly;
    } cases[] = {
        {{address(1), address(2)}, "", "", ""},
        {{address(2), address(1), address(1)}, "", "", ""},
        {{address(1)},
         "",
         "wrong answer: got 192.0.2.1, expected 192.0.2.1 and 192.0.2.2",
         "wrong answer: got 192.0.2.1, expected exactly 192.0.2.1 and 192.0.2.2"},
        {{address(3), address(2), address(1)},
         "",
         "",
         "wrong answer: got 192.0.2.1, 192.0.2.2 and 192.0.2.3, expected exactly 192.0.2.1 and "
         "192.0.2.2"},
        {{address(9)},
         "wrong answer: got 192.0.2.9, expected 192.0.2.1 or 192.0.2.2",
         "wrong answer: got 192.0.2.9, expected 192.0.2.1 and 192.0.2.2",
         "wrong answer: got 192.0.2.9, expected exactly 192.0.2.1 and 192.0.2.2"},
        {{},
         "wrong answer: got no A record, expected 192.0.2.1 or 192.0.2.2",
         "wrong answer: got no A record, expected 192.0.2.1 and 192.0.2.2",
         "wrong answer: got no A record, expected exactly 192.0.2.1 and 192.0.2.2"},
    };
    for (const auto& [got, any, all, exactly] : cases) {
        const auto as = [&](AnswerMatch match) {
            const core::DnsCheck check = expecting(match, expected);
            return reason(check, reply_with(check, got));
        };
        EXPECT_EQ(as(AnswerMatch::any), any);
        EXPECT_EQ(as(AnswerMatch::all), all);
        EXPECT_EQ(as(AnswerMatch::exactly), exactly);
    }
}

TEST(Answers, APatternIsSearchedInThePresentationForm) {
    core::DnsCheck check = expecting(AnswerMatch::pattern, {"^\"v=spf1 .*-all\"$"}, 16);
    EXPECT_EQ(
        reason(check,
               reply_with(check, {{2, 'h', 'i'},
                                  {11, 'v', '=', 's', 'p', 'f', '1', ' ', '-', 'a', 'l', 'l'}})),
        "");
    EXPECT_EQ(reason(check, reply_with(check, {{2, 'h', 'i'}})),
              "wrong answer: got \"hi\", expected what matches \"^\"v=spf1 .*-all\"$\"");
    check = expecting(AnswerMatch::pattern, {"2[.]7$"});
    EXPECT_EQ(reason(check, reply_with(check, {address(17), address(7)})), "");
    EXPECT_NE(reason(check, reply_with(check, {address(17)})), "");
    check.expect_answers = {"("};
    EXPECT_NE(Criteria::make(check).error().message.find("\"(\" is no regular expression"),
              std::string::npos);
    check.expect_answers = {"a", "b"};
    EXPECT_FALSE(Criteria::make(check));
}

TEST(Answers, LongSetsAreShownShortly) {
    const core::DnsCheck check = expecting(AnswerMatch::any, {"198.51.100.1"});
    std::vector<Message> got;
    for (int last = 1; last <= 9; ++last)
        got.push_back(address(last));
    EXPECT_EQ(reason(check, reply_with(check, got)),
              "wrong answer: got 192.0.2.1, 192.0.2.2, 192.0.2.3 and 6 more, expected "
              "198.51.100.1");
}

TEST(Answers, TooFewAreCounted) {
    core::DnsCheck check = expecting(AnswerMatch::any, {});
    check.min_answers = 2;
    EXPECT_EQ(reason(check, reply_with(check, {address(1), address(2)})), "");
    EXPECT_EQ(reason(check, reply_with(check, {address(1)})), "1 answer, at least 2 expected");
    EXPECT_EQ(reason(check, reply_with(check, {})), "0 answers, at least 2 expected");
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8083)),
              "0 answers (NXDOMAIN), at least 2 expected");
}

TEST(Flags, MissingOnesAreNamed) {
    using namespace core::header_flag;
    core::DnsCheck check = expecting(AnswerMatch::any, {});
    check.required_flags = aa | ra | ad;
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8000 | aa | ra | ad)), "");
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8000 | ra | ad)), "not authoritative");
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8000 | aa | ad)),
              "recursion not available (RA missing)");
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8000 | aa)),
              "recursion not available (RA missing), answer not authenticated (AD missing)");
    // The status says more than a missing flag.
    check.fail_on = {2};
    EXPECT_EQ(reason(check, reply_with(check, {}, 0x8002)), "SERVFAIL");
}

/// Against sets, as the words are meant.
RC_GTEST_PROP(Answers, MatchAsSetsDo, ()) {
    const auto numbers = rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4));
    const std::vector<int> expected = *rc::gen::nonEmpty(numbers);
    const std::vector<int> got = *numbers;
    std::vector<std::string> words;
    std::vector<Message> records;
    for (const int last : expected)
        words.push_back(address_text(last));
    for (const int last : got)
        records.push_back(address(last));
    const std::set<int> want(expected.begin(), expected.end()), have(got.begin(), got.end());
    const bool all = std::ranges::includes(have, want);
    const bool any = std::ranges::any_of(want, [&](int last) { return have.contains(last); });
    const auto passes = [&](AnswerMatch match) {
        const core::DnsCheck check = expecting(match, words);
        return reason(check, reply_with(check, records)).empty();
    };
    RC_ASSERT(passes(AnswerMatch::any) == any);
    RC_ASSERT(passes(AnswerMatch::all) == all);
    RC_ASSERT(passes(AnswerMatch::exactly) == (want == have));
}

}  // namespace
}  // namespace dnsdirector::dns
