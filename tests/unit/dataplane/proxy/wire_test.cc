// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/wire.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

#include "unit/dataplane/proxy/messages.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using testing::message;
using testing::Octets;

Bytes view(const Octets& bytes) {
    return bytes;
}

TEST(ProxyWire, ReadsWhatAQueryAsks) {
    const Octets query = message({.id = 7, .name = "www.example.com", .type = 28});
    const Query read = read_query(view(query));
    EXPECT_EQ(read.kind, Query::Kind::fine);
    EXPECT_EQ(read.type, 28);
    EXPECT_EQ(read.question_size, 17 + 4);
    EXPECT_TRUE(read.may_be_asked_twice());
}

TEST(ProxyWire, UpdateNotifyAndTransfersAreNotAskedTwice) {
    for (const std::uint8_t opcode : {4, 5})
        EXPECT_FALSE(read_query(view(message({.opcode = opcode}))).may_be_asked_twice());
    for (const std::uint16_t type : {251, 252})
        EXPECT_FALSE(read_query(view(message({.type = type}))).may_be_asked_twice());
}

TEST(ProxyWire, AResponseOrHalfAHeaderIsNoQuery) {
    EXPECT_EQ(read_query(view(message({.response = true}))).kind, Query::Kind::not_a_query);
    Octets query = message({});
    query.resize(11);
    EXPECT_EQ(read_query(view(query)).kind, Query::Kind::not_a_query);
}

TEST(ProxyWire, SeveralQuestionsAreMalformed) {
    Octets query = message({});
    query[5] = 2;
    EXPECT_EQ(read_query(view(query)).kind, Query::Kind::malformed);
}

TEST(ProxyWire, ACompressedNameInAQuestionIsMalformedEvenIfItLoops) {
    Octets query(12, 0);
    query[5] = 1;
    for (const std::uint8_t byte : {0xc0, 0x0c, 0x00, 0x01, 0x00, 0x01})
        query.push_back(byte);
    EXPECT_EQ(read_query(view(query)).kind, Query::Kind::malformed);
}

TEST(ProxyWire, ANameOf255BytesIsReadAndOneOf256IsNot) {
    const auto with_labels = [](const std::vector<std::size_t>& labels) {
        Octets query(12, 0);
        query[5] = 1;
        for (const std::size_t size : labels) {
            query.push_back(static_cast<std::uint8_t>(size));
            query.insert(query.end(), size, 'x');
        }
        query.push_back(0);
        query.insert(query.end(), {0, 1, 0, 1});
        return query;
    };
    EXPECT_EQ(read_query(view(with_labels({63, 63, 63, 61}))).question_size, 255 + 4);
    EXPECT_EQ(read_query(view(with_labels({63, 63, 63, 62}))).kind, Query::Kind::malformed);
}

TEST(ProxyWire, AnAnswerRepeatsTheQuestionByteByByte) {
    const Octets query = message({.name = "www.example.com"});
    const Bytes question = view(query).subspan(header_size);
    EXPECT_TRUE(answers(view(message({.name = "www.example.com", .response = true})), question, 0));
    EXPECT_FALSE(
        answers(view(message({.name = "WWW.example.com", .response = true})), question, 0));
    EXPECT_FALSE(
        answers(view(message({.name = "www.example.net", .response = true})), question, 0));
    EXPECT_FALSE(answers(view(query), question, 0)) << "a query is no answer";
    EXPECT_FALSE(answers(view(message({.opcode = 5, .name = "www.example.com", .response = true})),
                         question, 0));
}

TEST(ProxyWire, OnlyAnErrorOrTheAnswerToAnUpdateMayComeWithoutAQuestion) {
    const Octets query = message({});
    const Bytes question = view(query).subspan(header_size);
    for (const auto& [rcode, accepted] : {std::pair{0, false}, {3, false}, {1, true}, {2, true}}) {
        Octets reply(12, 0);
        reply[2] = 0x80;
        reply[3] = static_cast<std::uint8_t>(rcode);
        EXPECT_EQ(answers(view(reply), question, 0), accepted) << rcode;
        reply[2] |= 5 << 3;
        EXPECT_TRUE(answers(view(reply), question, 5)) << rcode << ": RFC 2136, section 3.8";
    }
}

TEST(ProxyWire, OwnAnswersKeepIdAndQuestionAndHaveNoRecords) {
    const Octets query = message({.id = 0xabcd, .name = "www.example.com"});
    std::array<std::uint8_t, header_size + largest_question> out{};
    const std::size_t size = make_answer(view(query), read_query(view(query)).question_size,
                                         Rcode::servfail, out.data());
    ASSERT_EQ(size, query.size());
    EXPECT_EQ(load16(out.data()), 0xabcd);
    EXPECT_TRUE(is_response(out.data()));
    EXPECT_EQ(rcode_of(out.data()), 2);
    EXPECT_TRUE(answers({out.data(), size}, view(query).subspan(header_size), 0));
}

TEST(ProxyWire, TheHashOfANameDoesNotHeedCaseTypeOrClass) {
    const auto hash = [](const char* name, std::uint16_t type) {
        const Octets query = message({.name = name, .type = type});
        return hash_of_name(view(query).subspan(header_size));
    };
    EXPECT_EQ(hash("www.example.com", 1), hash("WwW.eXample.com", 28));
    EXPECT_NE(hash("www.example.com", 1), hash("www.example.net", 1));
}

RC_GTEST_PROP(ProxyWireProperty, NothingIsReadBeyondTheEndOfAnyBytes, (const Octets& bytes)) {
    // A copy of exact size on the heap: a sanitizer sees one byte too far.
    const Query query = read_query(bytes);
    if (query.kind != Query::Kind::fine) return;
    RC_ASSERT(header_size + query.question_size <= bytes.size());
    RC_ASSERT(query.question_size <= largest_question);
    std::array<std::uint8_t, header_size + largest_question> out{};
    const std::size_t size = make_answer(bytes, query.question_size, Rcode::servfail, out.data());
    RC_ASSERT(answers({out.data(), size}, Bytes(bytes).subspan(header_size, query.question_size),
                      query.opcode));
}

RC_GTEST_PROP(ProxyWireProperty, WhatIsCutIsNoAnswer, ()) {
    const Octets reply = message({.name = "www.example.com", .response = true});
    const std::size_t size = *rc::gen::inRange<std::size_t>(0, reply.size());
    const Octets cut(reply.begin(), reply.begin() + static_cast<std::ptrdiff_t>(size));
    RC_ASSERT(!answers(cut, Bytes(reply).subspan(header_size), 0));
}

}  // namespace
}  // namespace dnsdirector::dataplane::proxy
