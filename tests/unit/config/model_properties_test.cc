// SPDX-License-Identifier: Apache-2.0
//
// Whatever way a configuration is written, it means the same.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

/// What a test's configuration says, apart from how.
struct Server {
    unsigned host = 1;  ///< last byte of its address
    unsigned weight = 1;
};
struct Meaning {
    std::vector<Server> servers;
    unsigned port = 53;
    unsigned quorum = 1;
    unsigned delay = 10;
    bool tcp = false;
};

Meaning any_meaning() {
    Meaning meaning;
    const auto hosts = *rc::gen::unique<std::vector<unsigned>>(rc::gen::inRange(1U, 255U));
    for (const unsigned host : hosts)
        meaning.servers.push_back({host, *rc::gen::inRange(0U, 65536U)});
    if (meaning.servers.empty()) meaning.servers.push_back({});
    meaning.port = *rc::gen::inRange(1U, 65536U);
    meaning.quorum = *rc::gen::inRange(1U, 1000U);
    meaning.delay = *rc::gen::inRange(1U, 3600U);
    meaning.tcp = *rc::gen::arbitrary<bool>();
    return meaning;
}

/// White space and comments between two statements: at least one line's end.
std::string between() {
    return *rc::gen::element<std::string>("\n", "\r\n", "\n\n", " \t\n", " # comment { \"\n",
                                          "!x }\n\t", "\n   \n# y\n");
}
std::string blank() {
    return *rc::gen::element<std::string>(" ", "\t", "   ", " \t ");
}
std::string open() {
    return *rc::gen::element<std::string>("{", " {\n", "\n{", "\n# x\n{\r\n", " { # y\n");
}
std::string word(const std::string& text) {
    return *rc::gen::arbitrary<bool>() ? text : '"' + text + '"';
}

std::string compatible_text(const Meaning& meaning) {
    std::vector<std::string> lines = {
        *rc::gen::element<std::string>("lb_algo", "lvs_sched") + blank() + word("wrr"),
        *rc::gen::element<std::string>("lb_kind", "lvs_method") + blank() + word("DR"),
        "protocol" + blank() + (meaning.tcp ? "TCP" : "UDP"),
        "quorum" + blank() + std::to_string(meaning.quorum),
        "delay_loop" + blank() +
            *rc::gen::element(fmt::format("{}", meaning.delay), fmt::format("{}s", meaning.delay),
                              fmt::format("{}000ms", meaning.delay)),
    };
    std::vector<std::string> mixed;
    std::string servers;
    for (const Server& server : meaning.servers)
        servers += fmt::format("real_server{}198.51.100.{} {}{}weight {}{}DNS_CHECK{}}}}}{}",
                               blank(), server.host, meaning.port, open(), server.weight, between(),
                               open(), between());
    // The order of keywords does not matter.
    while (!lines.empty()) {
        const auto at = *rc::gen::inRange<std::size_t>(0, lines.size());
        mixed.push_back(lines[at] + between());
        lines.erase(lines.begin() + static_cast<std::ptrdiff_t>(at));
    }
    mixed.insert(mixed.begin() + *rc::gen::inRange<std::ptrdiff_t>(0, 6), servers);
    std::string text = fmt::format("director {{ interface eth0 }}{}virtual_server{}192.0.2.53 {}{}",
                                   between(), blank(), meaning.port, open());
    for (const std::string& part : mixed)
        text += part;
    return text + "}";
}

core::Configuration compatible_model(const Meaning& meaning) {
    core::Configuration configuration;
    configuration.director.interfaces = {"eth0"};
    core::Service service;
    service.key = {IpAddress::parse("192.0.2.53").value(), static_cast<std::uint16_t>(meaning.port),
                   meaning.tcp ? Protocol::tcp : Protocol::udp};
    // A quorum that nobody could reach is what all together weigh, as in keepalived.
    unsigned sum = 0;
    for (const Server& server : meaning.servers)
        sum += server.weight;
    service.quorum.required = std::min(meaning.quorum, std::max(sum, 1U));
    service.on_all_down = core::OnAllDown::empty;
    for (const Server& server : meaning.servers) {
        core::Check check;
        check.target = {IpAddress::parse(fmt::format("198.51.100.{}", server.host)).value(),
                        service.key.port};
        core::DnsCheck question;
        question.expect_rcode = 0;
        question.on_truncated = core::OnTruncated::pass;
        check.what = question;
        const Seconds delay{meaning.delay};
        check.timing = {delay, Seconds{5}, 1, 1, 4, delay, Seconds{0}, delay};
        check.untested = core::Untested::in;
        service.real_servers.push_back(
            {check.target.to_string(),
             check.target,
             server.weight,
             {static_cast<core::CheckIndex>(configuration.checks.size())}});
        configuration.checks.push_back(check);
    }
    configuration.services.push_back(service);
    return configuration;
}

RC_GTEST_PROP(ModelProperties, EveryWayToWriteTheCompatibleFormMeansTheSame, ()) {
    const Meaning meaning = any_meaning();
    const std::string text = compatible_text(meaning);
    const Loaded loaded = parse_text(text);
    for (const Message& message : loaded.messages)
        RC_LOG() << message.to_string() << "\n";
    RC_LOG() << text;
    RC_ASSERT(loaded.ok());
    RC_ASSERT(*loaded.configuration == compatible_model(meaning));
}

/// Where a text is cut or damaged, what is left still ends in messages or a
/// configuration, never in neither or both.
RC_GTEST_PROP(ModelProperties, DamagedTextsAreReadToTheirEnd, ()) {
    std::string text = compatible_text(any_meaning());
    const auto damage = *rc::gen::inRange<int>(1, 5);
    for (int i = 0; i < damage && !text.empty(); ++i) {
        const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
        if (*rc::gen::arbitrary<bool>())
            text.erase(at, *rc::gen::inRange<std::size_t>(1, 20));
        else
            text.insert(at,
                        *rc::gen::element<std::string>("{", "}", "\"", "#", "x", "\n", ";", " 9"));
    }
    const Loaded loaded = parse_text(text);
    const bool errors = std::any_of(loaded.messages.begin(), loaded.messages.end(),
                                    [](const Message& m) { return m.severity == Severity::error; });
    RC_ASSERT(errors != loaded.ok());
}

/// CPU time of this thread, so that what else runs on the machine does not
/// count; the best of three, for caches that others emptied.
template <typename Work>
std::chrono::nanoseconds cpu_time(Work work) {
    const auto now = [] {
        timespec time{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    };
    auto best = std::chrono::nanoseconds::max();
    for (int i = 0; i < 3; ++i) {
        const std::chrono::nanoseconds start = now();
        work();
        best = std::min(best, std::chrono::nanoseconds(now()) - start);
    }
    return best;
}

// Twenty times the input: anything quadratic takes four hundred times as long.
constexpr int much_longer = 100;
constexpr std::chrono::milliseconds too_short_to_compare{20};

std::string large(unsigned servers) {
    std::string text =
        "director { interface eth0; max_slots 67108864 }\n"
        "dns_cluster big {\nservice_ip 2001:db8::53\ncheck { query \"www.example.com A\" }\n";
    for (unsigned i = 0; i < servers; ++i)
        text += fmt::format("real_server s{} {{ address 2001:db8:1::{:x} }}\n", i, i + 1);
    return text + "}\n";
}

TEST(Size, TwentyTimesTheServersTakeAboutTwentyTimesTheTime) {
    const Loaded loaded = parse_text(large(10000));
    ASSERT_TRUE(loaded.ok());
    EXPECT_EQ(loaded.configuration->services.size(), 2U);
    EXPECT_EQ(loaded.configuration->checks.size(), 20000U);
    const auto time_to_parse = [](const std::string& text) {
        return cpu_time([&] { EXPECT_TRUE(parse_text(text).ok()); });
    };
    EXPECT_LT(time_to_parse(large(20000)), much_longer * time_to_parse(large(1000)));
}

TEST(Size, LinesAndWordsWithoutEndTakeNoLonger) {
    const auto time_to_refuse = [](const std::string& piece, std::size_t times) {
        std::string text = "include ";
        for (std::size_t i = 0; i < times; ++i)
            text += piece;
        return cpu_time([&] { EXPECT_FALSE(parse_text(text).ok()); });
    };
    for (const char* piece : {"\"\" ", "a{} ", "{", "}", "${} ", "x ", "\"", "a{"})
        EXPECT_LT(time_to_refuse(piece, 100000),
                  much_longer * time_to_refuse(piece, 5000) + too_short_to_compare)
            << piece;
}

}  // namespace
}  // namespace dnsdirector::config
