// SPDX-License-Identifier: Apache-2.0
#include "announce/control_protocol.h"

#include <gtest/gtest.h>

#include "unit/announce/replies.h"

namespace dnsdirector::announce {
namespace {

TEST(ControlProtocol, AReplyOfBirdEndsInACodeAndABlank) {
    EXPECT_TRUE(bird_reply_is_whole("0001 BIRD 2.0.12 ready.\n"));
    EXPECT_TRUE(bird_reply_is_whole("1000-BIRD 2.0.12\n1011-Router ID\n0013 up\n"));
    EXPECT_TRUE(bird_reply_is_whole("1007-Table master4:\n 192.0.2.53/32\n0000 \n"));
    for (const char* part : {"", "0", "0001", "0001 BIRD", "1000-BIRD\n", "1000-BIRD\n 0000 \n",
                             "1000-BIRD\nabcd x\n", "\n"})
        EXPECT_FALSE(bird_reply_is_whole(part)) << part;
}

TEST(ControlProtocol, CodesAreTakenOffAndErrorsKnown) {
    const auto reply =
        bird_reply("1007-Table master4:\n 192.0.2.53/32\n1012-\tBGP.med: 0\n0000 \n");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->text, "Table master4:\n192.0.2.53/32\n\tBGP.med: 0\n");
    EXPECT_EQ(reply->error, "");
    const auto refused = bird_reply("8003 No protocols match\n");
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->error, "No protocols match");
    EXPECT_EQ(refused->code, 8003);
    for (const char* other : {"", "\n", "SSH-2.0-OpenSSH\r\n0000 \n", " 0000 \n"})
        EXPECT_FALSE(bird_reply(other)) << other;
    EXPECT_EQ(bird_reply("HTTP/1.1 \x1b[31m\n").error().message,
              "it begins with `HTTP/1.1 ?[31m` instead of a code of four digits");
}

TEST(ControlProtocol, AReplyOfFrrEndsInThreeNulsAndAStatus) {
    using namespace std::string_literals;
    EXPECT_TRUE(frr_reply_is_whole("\0\0\0\0"s));
    EXPECT_TRUE(frr_reply_is_whole("{}\0\0\0\1"s));
    EXPECT_FALSE(frr_reply_is_whole(""s));
    EXPECT_FALSE(frr_reply_is_whole("\0\0\0"s));
    EXPECT_FALSE(frr_reply_is_whole("{}\0\0"s));
    EXPECT_EQ(frr_reply("{}\0\0\0\2"s).text, "{}");
    EXPECT_EQ(frr_reply("{}\0\0\0\2"s).status, 2U);
}

TEST(ControlProtocol, WhatIsDamagedDoesNoHarm) {
    replies::with_damaged(replies::reply("bird_protocols"), [](const std::string& text) {
        if (!bird_reply_is_whole(text)) return;
        const auto reply = bird_reply(text);
        EXPECT_LE(reply ? reply->text.size() : 0, text.size());
    });
}

}  // namespace
}  // namespace dnsdirector::announce
