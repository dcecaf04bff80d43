// SPDX-License-Identifier: Apache-2.0
#include "dns/present.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace dnsdirector::dns {
namespace {

using Message = std::vector<std::uint8_t>;

/// Header with these counts and the question www.example.com A.
Message message_with(std::uint16_t flags, std::array<std::uint8_t, 3> counts = {}) {
    Message message = {
        0x12, 0x34, static_cast<std::uint8_t>(flags >> 8), static_cast<std::uint8_t>(flags), 0, 1};
    for (const std::uint8_t count : counts)
        message.insert(message.end(), {0, count});
    for (const char* label : {"www", "example", "com", ""}) {
        const std::string_view text = label;
        message.push_back(static_cast<std::uint8_t>(text.size()));
        message.insert(message.end(), text.begin(), text.end());
    }
    message.insert(message.end(), {0, 1, 0, 1});
    return message;
}

void add(Message& message, const Message& bytes) {
    message.insert(message.end(), bytes.begin(), bytes.end());
}

TEST(InDigForm, ShowsHeaderQuestionAndSections) {
    Message reply = message_with(0x8580, {2, 1, 0});
    add(reply, {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1});
    add(reply, {0xC0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 4, 3, 'a', '"', 7});
    add(reply, {0xC0, 16, 0, 2, 0, 1, 0, 1, 0x51, 0x80, 0, 5, 2, 'n', 's', 0xC0, 16});
    EXPECT_EQ(in_dig_form(reply),
              ";; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4660\n"
              ";; flags: qr aa rd ra; QUERY: 1, ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 0\n"
              "\n"
              ";; QUESTION SECTION:\n"
              ";www.example.com.\t\tIN\tA\n"
              "\n"
              ";; ANSWER SECTION:\n"
              "www.example.com.\t60\tIN\tA\t192.0.2.1\n"
              "www.example.com.\t60\tIN\tTXT\t\"a\\\"\\007\"\n"
              "\n"
              ";; AUTHORITY SECTION:\n"
              "example.com.\t\t86400\tIN\tNS\tns.example.com.\n"
              "\n"
              ";; MSG SIZE  rcvd: 82\n");
}

TEST(InDigForm, ShowsTheExtendedStatusAndError) {
    Message reply = message_with(0x8182, {0, 0, 1});
    // OPT with DO, 1232 bytes, extended RCODE 1, an EDE with text and an unknown option.
    add(reply, {0, 0, 41, 0x04, 0xD0, 1, 0, 0x80, 0, 0, 16, 0, 15, 0, 5, 0, 22, 'n', 's', '\n'});
    add(reply, {0xFD, 0xE9, 0, 3, 1, 2, 3});
    EXPECT_EQ(in_dig_form(reply),
              ";; ->>HEADER<<- opcode: QUERY, status: BADTIME, id: 4660\n"
              ";; flags: qr rd ra; QUERY: 1, ANSWER: 0, AUTHORITY: 0, ADDITIONAL: 1\n"
              "\n"
              ";; OPT PSEUDOSECTION:\n"
              "; EDNS: version: 0, flags: do; udp: 1232\n"
              "; EDE: 22 (No Reachable Authority): (ns\\010)\n"
              "; OPT=65001: 010203\n"
              ";; QUESTION SECTION:\n"
              ";www.example.com.\t\tIN\tA\n"
              "\n"
              ";; MSG SIZE  rcvd: 60\n");
}

TEST(InDigForm, ShowsWhatCanBeReadOfABrokenMessage) {
    Message reply = message_with(0x8180, {2, 0, 0});
    add(reply, {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 3, 192, 0, 2});
    add(reply, {0xC0, 12, 0, 1});
    const std::string text = in_dig_form(reply);
    EXPECT_NE(text.find("A\t\\# 3 c00002\n"), std::string::npos) << text;
    EXPECT_NE(text.find(";; malformed: record 2 of 2 in the answer section is cut off"),
              std::string::npos)
        << text;
    EXPECT_EQ(in_dig_form({}), ";; malformed: 0 bytes, and a header has 12\n");
    Message behind = message_with(0x8180);
    add(behind, {1, 2, 3});
    EXPECT_NE(in_dig_form(behind).find(";; 3 bytes behind the last record\n"), std::string::npos);
}

TEST(InDigForm, StaysShortWhateverIsSent) {
    Message reply = message_with(0x8180, {0, 0, 0});
    reply[6] = 0x03;  // 768 answers
    for (int record = 0; record < 768; ++record)
        add(reply, {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1});
    const std::string text = in_dig_form(reply);
    EXPECT_LT(text.size(), 10'000);
    EXPECT_NE(text.find("; … 668 more\n"), std::string::npos);
}

RC_GTEST_PROP(InDigForm, PrintsOnlyWholeLinesOfPrintableText, ()) {
    Message reply = *rc::gen::arbitrary<Message>();
    if (*rc::gen::arbitrary<bool>()) {
        Message whole = message_with(0x8180, {3, 1, 2});
        add(whole, reply);
        reply = whole;
    }
    const std::string text = in_dig_form(reply);
    RC_ASSERT(text.ends_with('\n'));
    for (const char character : text)
        RC_ASSERT(character == '\n' || character == '\t' || (character & 0x80) != 0 ||
                  (character >= 0x20 && character < 0x7F));
}

}  // namespace
}  // namespace dnsdirector::dns
