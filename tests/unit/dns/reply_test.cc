// SPDX-License-Identifier: Apache-2.0
#include "dns/reply.h"

#include <gtest/gtest.h>

namespace dnsdirector::dns {
namespace {

using Message = std::vector<std::uint8_t>;
constexpr std::uint16_t id = 0x1234;

core::DnsCheck question(std::string name = "www.example.com", std::uint16_t type = 1) {
    core::DnsCheck check;
    check.name = std::move(name);
    check.type = type;
    return check;
}

void append(Message& message, std::initializer_list<int> bytes) {
    for (const int byte : bytes)
        message.push_back(static_cast<std::uint8_t>(byte));
}

/// A reply without records to the check's question.
Message empty_reply(const core::DnsCheck& check, int rcode = 0) {
    Query query = Query::make(check).value();
    query.set_id(id);
    Message reply(query.message().begin(), query.message().end());
    reply[2] |= 0x80;
    reply[3] = static_cast<std::uint8_t>(0x80 | rcode);
    return reply;
}

/// Adds a record to section 0 to 2; its owner is the question's name.
void add_record(Message& reply, int type, const Message& rdata, int section = 0,
                int claimed_length = -1) {
    const int length = claimed_length < 0 ? static_cast<int>(rdata.size()) : claimed_length;
    ++reply[static_cast<std::size_t>(7 + 2 * section)];
    append(reply, {0xC0, 12, type >> 8, type & 255, 0, 1, 0, 0, 0, 60, length >> 8, length & 255});
    reply.insert(reply.end(), rdata.begin(), rdata.end());
}

Judged judge_as(const core::DnsCheck& check, const Message& reply,
                Protocol transport = Protocol::udp) {
    return judge(reply, Query::make(check).value(), id, Criteria::make(check).value(), transport);
}

void expect_malformed(const core::DnsCheck& check, const Message& reply) {
    const Judged judged = judge_as(check, reply);
    EXPECT_EQ(judged.judgement, Judgement::fail);
    EXPECT_TRUE(judged.reason.starts_with("malformed reply: ")) << judged.reason;
}

TEST(Query, IsTheWireFormOfTheQuestion) {
    Query query = Query::make(question("a.Example.")).value();
    query.set_id(id);
    const Message expected = {0,   29, 0x12, 0x34, 1,   0,   0,   1,   0,   0, 0, 0, 0, 0, 1,
                              'a', 7,  'E',  'x',  'a', 'm', 'p', 'l', 'e', 0, 0, 1, 0, 1};
    Message framed(query.framed().begin(), query.framed().end());
    EXPECT_EQ(framed[1], framed.size() - 2);
    framed[1] = 29;
    EXPECT_EQ(framed, expected);
}

TEST(Query, RefusesWhatIsNoName) {
    EXPECT_FALSE(Query::make(question(std::string(64, 'a') + ".example")));
    EXPECT_FALSE(Query::make(question("a..b")));
    EXPECT_TRUE(Query::make(question(".")));
}

TEST(Judge, PassesTheReplyWhateverTheLetterCase) {
    Message reply = empty_reply(question());
    EXPECT_EQ(judge_as(question(), reply).judgement, Judgement::pass);
    reply[13] = 'W';
    EXPECT_EQ(judge_as(question(), reply).judgement, Judgement::pass);
    EXPECT_EQ(judge_as(question("WWW.eXample.com"), reply).judgement, Judgement::pass);
}

TEST(Judge, IgnoresWhatIsNotTheReply) {
    const core::DnsCheck check = question();
    const auto ignored = [&](std::size_t at, std::uint8_t change) {
        Message reply = empty_reply(check);
        reply[at] ^= change;
        const Judged judged = judge_as(check, reply);
        EXPECT_EQ(judged.judgement, Judgement::ignore) << at;
        return judged.reason;
    };
    EXPECT_EQ(ignored(0, 1), "wrong ID");
    EXPECT_EQ(ignored(1, 1), "wrong ID");
    EXPECT_EQ(ignored(2, 0x80), "not a reply");
    EXPECT_EQ(ignored(2, 0x08), "not a reply");
    EXPECT_EQ(ignored(13, 1), "wrong question");
    const std::size_t size = empty_reply(check).size();
    EXPECT_EQ(ignored(size - 1, 2), "wrong question");
    EXPECT_EQ(ignored(size - 3, 2), "wrong question");
    EXPECT_EQ(judge_as(check, {}).judgement, Judgement::ignore);
    EXPECT_EQ(judge_as(check, {0x12}).judgement, Judgement::ignore);
}

TEST(Judge, EveryCutOfAReplyIsMalformed) {
    core::DnsCheck check = question("example.com", 6);
    Message reply = empty_reply(check);
    const Message soa = {2, 'n', 's', 0xC0, 12, 0xC0, 12, 0, 0, 0, 1, 0, 0, 0,
                         2, 0,   0,   0,    3,  0,    0,  0, 4, 0, 0, 0, 5};
    add_record(reply, 6, soa);
    add_record(reply, 1, {192, 0, 2, 1}, 2);
    ASSERT_EQ(judge_as(check, reply).judgement, Judgement::pass);
    for (std::size_t size = 2; size < reply.size(); ++size)
        expect_malformed(check, Message(reply.begin(), reply.begin() + static_cast<long>(size)));
}

TEST(Judge, BrokenRecordsAreMalformed) {
    const core::DnsCheck check = question();
    const struct {
        int type;
        Message rdata;
        int claimed;
    } broken[] = {
        {1, {192, 0, 2}, -1},         // an address of three bytes
        {28, {1, 2, 3, 4}, -1},       // of four, in IPv6
        {1, {192, 0, 2, 1}, 5},       // longer than the message
        {5, {0xC0, 61}, -1},          // a pointer to itself or ahead
        {5, {0xC0}, -1},              // half a pointer
        {5, {3, 'w', 'w'}, -1},       // a label past the end
        {5, {0x40, 0}, -1},           // an unknown type of label
        {5, {1, 'a', 0, 0}, -1},      // something behind the name
        {6, {0, 0, 0, 0, 0, 1}, -1},  // SOA without its numbers
        {15, {0}, -1},                // half a preference
        {2, Message(70, 1), -1},      // no end of the name
    };
    for (const auto& [type, rdata, claimed] : broken) {
        Message reply = empty_reply(check);
        add_record(reply, type, rdata, 0, claimed);
        SCOPED_TRACE(type);
        expect_malformed(check, reply);
    }
}

TEST(Judge, NamesInLoopsAndOver255BytesAreMalformed) {
    const core::DnsCheck check = question();
    Message loop = empty_reply(check);
    loop[7] = 1;
    const int at = static_cast<int>(loop.size());
    append(loop, {0xC0 | at >> 8, at & 255, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0});
    expect_malformed(check, loop);

    Message forth_and_back = empty_reply(check);
    forth_and_back[7] = 1;
    append(forth_and_back, {1, 'a', 0xC0, at, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0});
    expect_malformed(check, forth_and_back);

    Message longest = empty_reply(check);
    longest[7] = 1;
    for (int label = 0; label < 4; ++label) {
        append(longest, {63});
        longest.insert(longest.end(), 63, 'x');
    }
    append(longest, {0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0});
    expect_malformed(check, longest);
}

TEST(Judge, MoreRecordsAnnouncedThanThereAreIsMalformed) {
    for (const std::size_t count : {6U, 8U, 10U}) {
        Message reply = empty_reply(question());
        reply[count] = 0xFF;
        expect_malformed(question(), reply);
    }
}

TEST(Judge, QuestionsOtherThanOneAreMalformedUnlessTheStatusExplainsIt) {
    Message reply = empty_reply(question());
    reply[5] = 2;
    expect_malformed(question(), reply);
    reply[5] = 0;
    reply.resize(header_size);
    expect_malformed(question(), reply);
    core::DnsCheck check = question();
    check.fail_on = {1};
    reply[3] = 1;
    EXPECT_EQ(judge_as(check, reply).reason, "FORMERR");
}

TEST(Judge, StatusDecides) {
    core::DnsCheck check = question();
    EXPECT_EQ(judge_as(check, empty_reply(check, 2)).judgement, Judgement::pass);
    check.fail_on = {2, 5};
    EXPECT_EQ(judge_as(check, empty_reply(check, 2)).reason, "SERVFAIL");
    EXPECT_EQ(judge_as(check, empty_reply(check, 5)).reason, "REFUSED");
    EXPECT_EQ(judge_as(check, empty_reply(check, 3)).judgement, Judgement::pass);
    check.expect_rcode = 0;
    EXPECT_EQ(judge_as(check, empty_reply(check, 3)).reason, "rcode NXDOMAIN, expected NOERROR");
}

TEST(Judge, ExtendedStatusComesFromTheOptRecord) {
    core::DnsCheck check = question();
    check.fail_on = {16};
    Message reply = empty_reply(check);
    reply[11] = 1;
    append(reply, {0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0});
    EXPECT_EQ(judge_as(check, reply).reason, "BADVERS");
}

TEST(Judge, ExpectedAnswersAreLookedForAmongAllRecordsOfTheType) {
    core::DnsCheck check = question();
    check.expect_answers = {"198.51.100.80", "198.51.100.81"};
    Message reply = empty_reply(check);
    add_record(reply, 5, {3, 'c', 'd', 'n', 0xC0, 16});
    EXPECT_EQ(judge_as(check, reply).reason,
              "wrong answer: got no A record, expected 198.51.100.80 or 198.51.100.81");
    add_record(reply, 1, {198, 51, 100, 7});
    EXPECT_EQ(judge_as(check, reply).reason,
              "wrong answer: got 198.51.100.7, expected 198.51.100.80 or 198.51.100.81");
    add_record(reply, 1, {198, 51, 100, 81});
    EXPECT_EQ(judge_as(check, reply).judgement, Judgement::pass);
    EXPECT_EQ(judge_as(check, empty_reply(check, 3)).reason,
              "wrong answer: got NXDOMAIN, expected 198.51.100.80 or 198.51.100.81");
}

TEST(Judge, AnExpectedRecordInAnotherSectionDoesNotCount) {
    core::DnsCheck check = question();
    check.expect_answers = {"198.51.100.80"};
    Message reply = empty_reply(check);
    add_record(reply, 1, {198, 51, 100, 80}, 2);
    EXPECT_EQ(judge_as(check, reply).judgement, Judgement::fail);
}

TEST(Judge, ExpectedNamesAreComparedUncompressedAndWhateverTheLetterCase) {
    const struct {
        std::uint16_t type;
        std::string expected;
        Message rdata;
    } cases[] = {
        {2, "ns.EXAMPLE.com.", {2, 'N', 's', 0xC0, 12}},
        {15, "10 mail.example.com.", {0, 10, 4, 'm', 'A', 'i', 'l', 0xC0, 12}},
        {6,
         "example.com. Host.example.com. 1 2 3 4 5",
         {0xC0, 12, 4, 'h', 'o', 's', 't', 0xC0, 12, 0, 0, 0, 1, 0, 0,
          0,    2,  0, 0,   0,   3,   0,   0,    0,  4, 0, 0, 0, 5}},
        {28, "2001:db8::53", {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53}},
        {16, "\"Hello; world\"", {12, 'H', 'e', 'l', 'l', 'o', ';', ' ', 'w', 'o', 'r', 'l', 'd'}},
        {65280, "\\# 2 abcd", {0xab, 0xcd}},
    };
    for (const auto& [type, expected, rdata] : cases) {
        SCOPED_TRACE(expected);
        core::DnsCheck check = question("example.com", type);
        check.expect_answers = {expected};
        Message reply = empty_reply(check);
        add_record(reply, type, rdata);
        const Judged judged = judge_as(check, reply);
        EXPECT_EQ(judged.judgement, Judgement::pass) << judged.reason;
        reply.back() ^= type == 2 || type == 15 ? 4 : 1;  // a pointer to elsewhere
        EXPECT_EQ(judge_as(check, reply).judgement, Judgement::fail);
    }
}

TEST(Judge, TruncationCountsOverUdpOnly) {
    core::DnsCheck check = question();
    Message reply = empty_reply(check);
    reply[2] |= 0x02;
    reply[7] = 9;  // records that were cut off
    EXPECT_EQ(judge_as(check, reply).judgement, Judgement::truncated);
    check.on_truncated = core::OnTruncated::fail;
    EXPECT_EQ(judge_as(check, reply).reason, "truncated");
    check.on_truncated = core::OnTruncated::pass;
    EXPECT_EQ(judge_as(check, reply).judgement, Judgement::pass);
    check.fail_on = {2};
    reply[3] |= 2;
    EXPECT_EQ(judge_as(check, reply).reason, "SERVFAIL");
    reply[7] = 0;
    check.fail_on = {};
    EXPECT_EQ(judge_as(check, reply, Protocol::tcp).judgement, Judgement::pass);
}

TEST(Criteria, RefuseDataThatTheTypeCannotHave) {
    core::DnsCheck check = question();
    for (const char* text : {"", "www", "2001:db8::1", "192.0.2.1 192.0.2.2", "192.0.2.1\nx"}) {
        check.expect_answers = {text};
        EXPECT_FALSE(Criteria::make(check)) << text;
    }
    check.type = 255;
    check.expect_answers = {"192.0.2.1"};
    EXPECT_FALSE(Criteria::make(check));
}

}  // namespace
}  // namespace dnsdirector::dns
