// SPDX-License-Identifier: Apache-2.0
#include "cli/probe.h"

#include <gtest/gtest.h>

#include "unit/probe/responder.h"
#include "unit/support/unused_port.h"

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

TEST(ProbeCommand, HasAnOptionForEachOfACheckWords) {
    const auto with_address = [](const Bytes& query) {
        Bytes reply = reply_to(query);
        const Bytes record = {0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7};
        // The OPT record behind it stays as it came.
        reply[7] = 1;
        reply.insert(reply.end() - (query[11] == 1 ? 11 : 0), record.begin(), record.end());
        return Replies{reply};
    };
    Responder server(with_address);
    const std::string to = server.endpoint().to_string();
    const auto unhealthy = [&](const std::vector<std::string>& more) {
        std::vector<std::string> words = {"--server", to, "--name", "www.example.com"};
        words.insert(words.end(), more.begin(), more.end());
        const Printed printed = run(words);
        const std::size_t colon = printed.out.find(": ");
        return colon == std::string::npos ? printed.out.substr(0, 15) + printed.err
                                          : printed.out.substr(colon + 2);
    };
    const std::string healthy = "healthy NOERROR";
    EXPECT_EQ(unhealthy({"--edns", "4096", "--do", "--random-label"}), healthy);
    EXPECT_EQ(unhealthy({"--match", "exactly", "--expect-answer", "192.0.2.7"}), healthy);
    EXPECT_EQ(unhealthy({"--match", "pattern", "--expect-answer", "[.]7$"}), healthy);
    EXPECT_EQ(unhealthy({"--match", "all", "--expect-answer", "192.0.2.7", "192.0.2.8"}),
              "wrong answer: got 192.0.2.7, expected 192.0.2.7 and 192.0.2.8\n");
    EXPECT_EQ(unhealthy({"--flags", "aa,ra"}),
              "not authoritative, recursion not available (RA missing)\n");
    EXPECT_EQ(unhealthy({"--min-answers", "2"}), "1 answer, at least 2 expected\n");
    EXPECT_EQ(unhealthy({"--max-time", "1s", "--interface", "lo", "--source-port",
                         std::to_string(support::unused_port())}),
              healthy);
    EXPECT_EQ(unhealthy({"--interface", "no-such0"}),
              "cannot send through no-such0: no such interface\n");
    EXPECT_EQ(unhealthy({"--tls", "--timeout", "0.2"}), "timeout in the TLS handshake\n");
    const std::string shown = unhealthy({"--flags", "aa", "--show-reply"});
    EXPECT_NE(shown.find(";; ANSWER SECTION:\nwww.example.com.\t60\tIN\tA\t192.0.2.7\n"),
              std::string::npos)
        << shown;
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
             {"--server", "127.0.0.1", "--edns", "511"},
             {"--server", "127.0.0.1", "--flags", "xx"},
             {"--server", "127.0.0.1", "--match", "some"},
             {"--server", "127.0.0.1", "--match", "pattern", "--expect-answer", "("},
             {"--server", "127.0.0.1", "--min-answers", "0"},
             {"--server", "127.0.0.1", "--max-time", "soon"},
             {"--server", "127.0.0.1", "--fwmark", "0"},
             {"--server", "127.0.0.1", "--source-port", "65536"},
             {"--server", "127.0.0.1", "--interface", "a/b"},
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
