// SPDX-License-Identifier: Apache-2.0
#include "cli/probe.h"

#include <gtest/gtest.h>

#include "unit/probe/responder.h"

namespace dnsdirector::cli {
namespace {

using probe::test::Bytes;
using probe::test::Replies;
using probe::test::reply_to;
using probe::test::Responder;

struct Printed {
    int status;
    std::string out, err;
};

Printed run(std::vector<std::string> words) {
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int status = run_probe(static_cast<int>(arguments.size()), arguments.data());
    std::fflush(stdout);
    return {status, testing::internal::GetCapturedStdout(), testing::internal::GetCapturedStderr()};
}

Replies with_status(const Bytes& query, std::uint8_t rcode) {
    return {reply_to(query, rcode)};
}

TEST(ProbeCommand, TakesTheNineWordsOfTheDigWrapper) {
    Responder server([](const Bytes& query) { return with_status(query, 3); },
                     [](const Bytes& query) { return with_status(query, 0); });
    const std::string to = server.endpoint().to_string();
    const auto words = [&](const std::string& pattern) {
        return std::vector<std::string>{"127.0.0.1", "IN",  "A", "www.example.com",
                                        to,          "0.5", "2", pattern};
    };
    Printed passed = run(words("SERVFAIL|REFUSED"));
    EXPECT_EQ(passed.status, 0);
    EXPECT_TRUE(passed.out.starts_with("healthy NXDOMAIN ")) << passed.out;
    EXPECT_EQ(run(words("NX")).status, 1);
    EXPECT_EQ(run(words("DOMAIN")).status, 0);
    EXPECT_EQ(run(words("nx")).status, 0);
    std::vector<std::string> tcp = words("NX");
    tcp.emplace_back("tcp");
    passed = run(tcp);
    EXPECT_EQ(passed.status, 0);
    EXPECT_TRUE(passed.out.starts_with("healthy NOERROR ")) << passed.out;
}

TEST(ProbeCommand, NoReplyAndAMalformedOneAreUnhealthyWhateverTheExpression) {
    Responder silent({});
    Responder broken([](const Bytes& query) {
        Bytes reply = reply_to(query);
        reply[7] = 1;
        return Replies{reply};
    });
    Printed result = run(
        {"0.0.0.0", "IN", "A", "example.com", silent.endpoint().to_string(), "0.1", "1", "NEVER"});
    EXPECT_EQ(result.status, 1);
    EXPECT_EQ(result.out, "unhealthy no status: timeout\n");
    result = run(
        {"0.0.0.0", "IN", "A", "example.com", broken.endpoint().to_string(), "1", "1", "NEVER"});
    EXPECT_EQ(result.status, 1);
    EXPECT_NE(result.out.find("malformed reply: "), std::string::npos) << result.out;
}

TEST(ProbeCommand, OptionsDefaultToWhatAnOperatorWants) {
    Responder server([](const Bytes& query) { return with_status(query, 2); });
    const std::string to = server.endpoint().to_string();
    EXPECT_EQ(run({"--server", to}).status, 1);
    EXPECT_EQ(run({"--server", to, "--fail-on", "REFUSED"}).status, 0);
    const Printed unexpected =
        run({"--server", to, "--fail-on", "REFUSED", "--expect-rcode", "noerror"});
    EXPECT_EQ(unexpected.status, 1);
    EXPECT_NE(unexpected.out.find(": rcode SERVFAIL, expected NOERROR"), std::string::npos)
        << unexpected.out;
}

TEST(ProbeCommand, WrongUsageSaysWhatWouldBeRight) {
    for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
             {},
             {"127.0.0.1"},
             {"--server", "nowhere"},
             {"--server", "127.0.0.1", "--type", "NOPE"},
             {"--server", "127.0.0.1", "--timeout", "soon"},
             {"--server", "127.0.0.1", "--tries", "0"},
             {"--server", "127.0.0.1", "--source", "2001:db8::1"},
             {"--server", "127.0.0.1", "--fail-on", "("},
             {"--server", "127.0.0.1", "--expect-answer", "x"},
             {"--server", "127.0.0.1", "--on-truncated", "maybe"},
             {"127.0.0.1", "IN", "A", "a..b", "127.0.0.1", "1", "1", "X"},
             {"127.0.0.1", "IN", "A", "a", "127.0.0.1", "1", "1", "X", "sctp"}}) {
        const Printed result = run(words);
        EXPECT_EQ(result.status, 2) << (words.empty() ? "" : words.back());
        EXPECT_FALSE(result.err.empty());
    }
    EXPECT_EQ(run({"--help"}).status, 0);
}

}  // namespace
}  // namespace dnsdirector::cli
