// SPDX-License-Identifier: Apache-2.0
//
// The kinds of native checks, what a DNS question may ask for, and what a
// cluster does besides.
#include <chrono>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

/// The one check of a block in a cluster of one server and one service.
core::Check only_check(const std::string& block) {
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "dns_cluster c { service_ip 192.0.2.53; protocol udp\ncheck { " +
        block + " }\nreal_server ns1 { address 203.0.113.11 } }\n");
    EXPECT_EQ(c.checks.size(), 1U) << block;
    return c.checks.empty() ? core::Check{} : c.checks[0];
}

core::DnsCheck dns_check_of(const std::string& lines,
                            const std::string& query = "www.example.com A") {
    return std::get<core::DnsCheck>(
        only_check("query \"" + query + "\"; transport udp; " + lines).what);
}

TEST(NativeChecks, EachKindHasItsKeyword) {
    EXPECT_EQ(only_check("connect").what, core::Check::What(core::TcpCheck{}));
    EXPECT_EQ(only_check("ping").what, core::Check::What(core::PingCheck{}));
    EXPECT_EQ(only_check("datagram 0102 \"03 ff\"; require_reply; min_reply_length 4; "
                         "max_reply_length 9")
                  .what,
              core::Check::What(core::UdpCheck{{}, {1, 2, 3, 255}, true, 4, 9}));
    EXPECT_EQ(only_check("require_reply; datagram").what,
              core::Check::What(core::UdpCheck{{}, {}, true, 0, 65535}));
    EXPECT_EQ(
        only_check("script \"/bin/x {address} {port} {name} {} > /dev/null\"; user nobody; dynamic")
            .what,
        core::Check::What(core::ScriptCheck{
            {"/bin/x", "203.0.113.11", "53", "ns1", "{}"}, "", "", "nobody", true}));
    EXPECT_EQ(only_check("file \"/run/{name}\"").what,
              core::Check::What(core::FileCheck{"/run/ns1", 0, false}));
    EXPECT_EQ(only_check("file_weight -5 reverse; file /run/x").what,
              core::Check::What(core::FileCheck{"/run/x", -5, true}));
    core::HttpCheck http;
    http.urls = {{"/health", "www.example.com", {{200, 204}}}, {"/", "", {}}};
    EXPECT_EQ(
        only_check("http /health { status 200-204; host www.example.com }; http /; port 8080").what,
        core::Check::What(http));
}

TEST(NativeChecks, TheTimesOfAKindSuitIt) {
    EXPECT_EQ(only_check("connect").timing, (core::CheckTiming{1s, 500ms, 1, 2, 2}));
    EXPECT_EQ(only_check("script /bin/x").timing, (core::CheckTiming{10s, 5s, 1, 2, 2}));
    EXPECT_EQ(only_check("file /run/x").timing, (core::CheckTiming{1s, 1s, 1, 1, 1}));
    EXPECT_EQ(
        only_check("ping; every 20s; timeout 5s; rise 1; fall 3; warmup 7; retry_after 2; limit 9")
            .timing,
        (core::CheckTiming{20s, 5s, 1, 1, 3, 7s, 9s, 2s}));
    EXPECT_EQ(only_check("ping; untested in").untested, core::Untested::in);
}

TEST(NativeChecks, PacketsLeaveAsTheyAreTold) {
    core::Via via;
    via.source = IpAddress::parse("203.0.113.1");
    via.source_port = 1053;
    via.interface = "eth1";
    via.mark = 7;
    const core::Check check = only_check(
        "connect; source 203.0.113.1 2001:db8::1; source_port 1053; bind_if eth1; fwmark 7; port "
        "5353");
    EXPECT_EQ(std::get<core::TcpCheck>(check.what).via, via);
    EXPECT_EQ(check.target.port, 5353);
    EXPECT_EQ(only_check("ping; target 203.0.113.99").target.to_string(), "203.0.113.99:53");
}

TEST(NativeChecks, AnswersAreExpectedInFourWays) {
    const auto expected = [](const std::string& lines) {
        const core::DnsCheck check = dns_check_of(lines);
        return std::pair{check.match, check.expect_answers};
    };
    using core::AnswerMatch;
    using Answers = std::vector<std::string>;
    const Answers two{"198.51.100.80", "198.51.100.81"};
    const auto twice = [](const std::string& word) {
        return "expect " + word + " 198.51.100.80; expect " + word + " 198.51.100.81";
    };
    EXPECT_EQ(expected(twice("answer")), std::pair(AnswerMatch::any, two));
    EXPECT_EQ(expected(twice("all")), std::pair(AnswerMatch::all, two));
    EXPECT_EQ(expected(twice("exactly")), std::pair(AnswerMatch::exactly, two));
    EXPECT_EQ(expected("expect pattern \"^198\\.51\\.\""),
              std::pair(AnswerMatch::pattern, Answers{"^198\\.51\\."}));
    check_says("expect answer 192.0.2.1; expect all 192.0.2.2",
               "t.conf:6:72: error: expect all: the answers of a check are judged in one way, and "
               "`expect answer` at t.conf:6:50 is another; write a check for each\n");
    check_says("expect pattern (",
               "t.conf:6:51: error: expect pattern: `(` is no regular expression: missing ): (\n");
    check_says("query \". SOA\"; expect answer 192.0.2.1",
               "t.conf:6:42: error: query: the expected answers are those of one type, and the "
               "queries of this check have several; write a check for each\n");
}

TEST(NativeChecks, QuestionsTakeFlagsEdnsAndLimits) {
    const core::DnsCheck check = dns_check_of(
        "flags aa ad; edns 4096 do; min_answers 2; max_time 100ms; random_label; recursion off");
    EXPECT_EQ(check.required_flags, core::header_flag::aa | core::header_flag::ad);
    EXPECT_EQ(check.edns, (core::Edns{4096, true}));
    EXPECT_EQ(check.min_answers, 2);
    EXPECT_EQ(check.max_time, Nanoseconds{100ms});
    EXPECT_TRUE(check.random_label);
    EXPECT_FALSE(check.recursion_desired);
    EXPECT_EQ(dns_check_of("edns 512").edns, (core::Edns{512, false}));
    check_says("edns 100",
               "t.conf:6:41: error: edns: 100 is out of range; it must be 512 to 65535\n");
    check_says("edns 512 no", "t.conf:6:45: error: edns: `no` is not understood; write do\n");
}

TEST(NativeChecks, TlsIsAskedOnItsOwnPortAndServesTcp) {
    const auto c = configuration_of(checked("transport tls udp"));
    ASSERT_EQ(c.services.size(), 2U);
    const auto asked = [&](const core::Service& service) {
        const core::Check& check = c.checks.at(service.real_servers.at(0).checks.at(0));
        EXPECT_EQ(service.real_servers[0].checks.size(), 1U);
        return std::pair{std::get<core::DnsCheck>(check.what).tls, check.target.port};
    };
    EXPECT_EQ(asked(c.services[0]), (std::pair<bool, std::uint16_t>{false, 53}));
    EXPECT_EQ(asked(c.services[1]), (std::pair<bool, std::uint16_t>{true, 853}));
    const auto other = configuration_of(checked("transport tls; port 8853"));
    EXPECT_EQ(other.checks.at(0).target.port, 8853);
}

TEST(NativeChecks, OfSeveralQueriesSomeMayBeEnough) {
    const auto server = [](const std::string& require, const std::string& cluster_lines) {
        return configuration_of(cluster(cluster_lines,
                                        "query \"a.example A\"; query \"b.example A\"; "
                                        "query \"c.example AAAA\"; " +
                                            require))
            .services.at(0)
            .real_servers.at(0);
    };
    using Some = std::vector<core::SomeOf>;
    EXPECT_EQ(server("", "").checks.size(), 3U);
    EXPECT_EQ(server("", "").some_of, Some{});
    EXPECT_EQ(server("require all", "").some_of, Some{});
    EXPECT_EQ(server("require 3", "").some_of, Some{});
    EXPECT_EQ(server("require any", "").some_of, (Some{{0, 3, 1}}));
    EXPECT_EQ(server("require 2", "").some_of, (Some{{0, 3, 2}}));
    // Each transport's results count for themselves.
    EXPECT_EQ(server("require 2", "require all").some_of, (Some{{0, 3, 2}, {3, 3, 2}}));
    EXPECT_EQ(server("require 2", "check { ping }").some_of, (Some{{0, 3, 2}}));
    check_says("require 2", "t.conf:6:44: error: require 2: this check has fewer queries, 1\n");
}

TEST(NativeChecks, ServicesGoByTheChecksMeantForThem) {
    const auto c = configuration_of(cluster("check { connect; services tcp }\ncheck { ping }",
                                            "query \". SOA\"; transport udp"));
    const auto kinds = [&](const core::Service& service) {
        std::string text;
        for (const core::CheckIndex check : service.real_servers.at(0).checks)
            text += std::string(core::kind_of(c.checks.at(check).what)) + " ";
        return text;
    };
    EXPECT_EQ(kinds(c.services.at(0)), "dns ping ");
    EXPECT_EQ(kinds(c.services.at(1)), "dns tcp ping ");  // the question has no TCP result
}

TEST(NativeChecks, AServerMayHaveChecksOfItsOwn) {
    const auto c = configuration_of(
        "director { interface eth0 }\ncheck up { ping }\n"
        "dns_cluster c { service_ip 192.0.2.53; protocol udp\n"
        "real_server a { address 203.0.113.11; check { connect }; check up }\n"
        "real_server b { address 203.0.113.12 }\ncheck { file /run/x } }\n");
    EXPECT_EQ(c.services.at(0).real_servers.at(0).checks.size(), 3U);
    EXPECT_EQ(c.services.at(0).real_servers.at(1).checks.size(), 1U);
}

TEST(NativeChecks, WordsOfAnotherKindAreMistakes) {
    const auto block_says = [](const std::string& block, const std::string& message) {
        says(cluster("", block), "t.conf:6:" + message + "\n");
    };
    block_says("ping; flags aa",
               "15: error: flags belongs to a check by query, and this one is by ping");
    block_says("script /bin/x; source 192.0.2.1",
               "24: error: source belongs to a check by query connect ping datagram http, and this "
               "one is by script");
    block_says("ping; connect",
               "15: error: connect: this check is by ping already, at t.conf:6:9; write another "
               "check for it");
    block_says("dynamic; ping",
               "9: error: dynamic belongs to a check by script, and this one is by ping");
    block_says("file run/x", "14: error: file: `run/x` is not a full path, which begins with /");
}

TEST(NativeClusters, TakeWhatVirtualServersDo) {
    const auto c = configuration_of(
        "director { interface eth0 }\ndns_cluster c { service_ip 192.0.2.53 2001:db8::53\n"
        "quorum 2; hysteresis 1; omega; inhibit_on_failure; lb_algo sh; hash_port on\n"
        "quorum_up \"/bin/u 'x y'\" nobody; quorum_down /bin/d\n"
        "notify_up \"/bin/up {name} {address}\"; notify_down /bin/down\n"
        "sorry_server 203.0.113.99 2001:db8:1::99; sorry_server_inhibit\n"
        "check { query \". SOA\" }\n"
        "real_server a { address 203.0.113.11 2001:db8:1::11; weight 3 }\n"
        "real_server b { address 203.0.113.12 2001:db8:1::12; inhibit_on_failure off\n"
        "notify_down \"/bin/own\" root }\n}\n");
    ASSERT_EQ(c.services.size(), 4U);
    const core::Service& v4 = c.services[0];
    const core::Service& v6 = c.services[2];
    EXPECT_EQ(v4.quorum, (core::Quorum{2, 1}));
    EXPECT_TRUE(v4.omega);
    EXPECT_TRUE(v4.other_hash);
    EXPECT_EQ(v4.quorum_up, (core::Command{{"/bin/u", "x y"}, "nobody"}));
    EXPECT_EQ(v4.quorum_down, (core::Command{{"/bin/d"}, ""}));
    EXPECT_EQ(v4.sorry_server,
              (core::SorryServer{Endpoint::parse("203.0.113.99:53").value(), true}));
    EXPECT_EQ(v6.sorry_server,
              (core::SorryServer{Endpoint::parse("[2001:db8:1::99]:53").value(), true}));
    EXPECT_EQ(v6.real_servers.at(0).notify_up,
              (core::Command{{"/bin/up", "a", "2001:db8:1::11"}, ""}));
    EXPECT_EQ(v4.real_servers.at(0).notify_down, (core::Command{{"/bin/down"}, ""}));
    EXPECT_EQ(v4.real_servers.at(1).notify_down, (core::Command{{"/bin/own"}, "root"}));
    EXPECT_TRUE(v4.real_servers.at(0).inhibit_on_failure);
    EXPECT_FALSE(v4.real_servers.at(1).inhibit_on_failure);
    cluster_says("sorry_server_inhibit",
                 "t.conf:7:1: error: sorry_server_inhibit needs a sorry_server beside it\n");
    cluster_says("hysteresis 1",
                 "t.conf:7:12: error: hysteresis 1 must be less than the quorum, 1\n");
    cluster_says("sorry_server 203.0.113.99; sorry_server_port 54",
                 "t.conf:7:46: error: sorry_server_port: direct routing keeps the port, so that it "
                 "is the cluster's, 53; remove this line\n");
}

/// What a DNS_CHECK may say beyond keepalived.
TEST(CompatibleChecks, DnsChecksTakeTheNativeWordsToo) {
    const auto c = configuration_of(virtual_server(
        "delay_loop 10",
        "DNS_CHECK {\ntype TXT\nclass CH\nname version.bind\ntransport udp tcp tls\n"
        "expect rcode REFUSED\nflags aa\nedns 1232 do\nmin_answers 1\nmax_time 1s\n}"));
    ASSERT_EQ(c.checks.size(), 3U);
    EXPECT_EQ(c.services.at(0).real_servers.at(0).checks.size(), 3U);
    const auto& check = std::get<core::DnsCheck>(c.checks[2].what);
    EXPECT_EQ(check.klass, 3);
    EXPECT_TRUE(check.tls);
    EXPECT_EQ(c.checks[2].target.port, 853);
    EXPECT_EQ(check.expect_rcode, 5);
    EXPECT_EQ(check.edns, (core::Edns{1232, true}));
    const auto some = configuration_of(
        virtual_server("",
                       "DNS_CHECK {\nquery \"a.example A\"\nquery \"b.example A\"\nrequire any\n"
                       "expect exactly 192.0.2.1\n}"));
    EXPECT_EQ(some.services.at(0).real_servers.at(0).some_of,
              (std::vector<core::SomeOf>{{0, 2, 1}}));
    says(virtual_server("", "DNS_CHECK {\ntype A\nquery \"a.example A\"\n}"),
         "t.conf:8:1: error: type, name, class and `query` do not go together: the query at "
         "t.conf:9:7 says it all\n");
}

}  // namespace
}  // namespace dnsdirector::config
