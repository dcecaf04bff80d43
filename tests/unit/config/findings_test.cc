// SPDX-License-Identifier: Apache-2.0
//
// Each finding with a file that has it and one, as near as can be, that has not.
#include "config/findings.h"

#include <algorithm>
#include <set>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

std::vector<Message> findings_in(const std::string& text) {
    const Loaded loaded = examine(text, "t.conf", files_of({}));
    std::vector<Message> findings;
    for (const Message& message : loaded.messages) {
        EXPECT_NE(message.severity, Severity::error) << message.to_string() << '\n' << text;
        if (!message.code.empty()) findings.push_back(message);
    }
    return findings;
}

std::set<std::string> codes_in(const std::string& text) {
    std::set<std::string> codes;
    for (const Message& finding : findings_in(text))
        codes.insert(finding.code);
    return codes;
}

/// The one finding of that code; an empty one when it is not there exactly once.
Message only(const std::string& text, const std::string& code) {
    Message found;
    int count = 0;
    for (const Message& finding : findings_in(text))
        if (finding.code == code && ++count == 1) found = finding;
    EXPECT_EQ(count, 1) << code << " in\n" << text;
    return found;
}

std::string service(const std::string& address, const std::string& protocol,
                    const std::string& servers, const std::string& more = "") {
    return "virtual_server " + address +
           " 53 {\ndelay_loop 10\nlb_algo wrr\nlb_kind DR\nprotocol " + protocol + "\n" + more +
           servers + "}\n";
}

std::string server(const std::string& address, const std::string& lines) {
    return "real_server " + address + " 53 {\n" + lines + "\n}\n";
}

const std::string dns_check = "DNS_CHECK {\nname .\nconnect_timeout 2\n}";

std::string misc(const std::string& command, const std::string& more = "misc_timeout 6") {
    return "MISC_CHECK {\nmisc_path \"" + command + "\"\n" + more + "\n}";
}

/// Both protocols of one service IP with these servers: nothing to find.
std::string twins(const std::string& servers) {
    return service("192.0.2.53", "UDP", servers) + service("192.0.2.53", "TCP", servers);
}

std::string native(const std::string& lines, const std::string& check = "query \". SOA\"") {
    return "director { interface eth0 }\ndns_cluster c {\nservice_ip 192.0.2.53\n" + lines +
           "\ncheck { " + check +
           " }\nreal_server a { address 203.0.113.11 }\nreal_server b { address 203.0.113.12 "
           "}\n}\n";
}

std::string over_ipvs(const std::string& lines) {
    const std::string text = native(lines);
    return "director { dataplane ipvs }\n" + text.substr(text.find('\n') + 1);
}

struct Case {
    std::string code;
    std::string with;
    std::string without;
    std::uint32_t line;  ///< of the finding
};

class Findings : public testing::TestWithParam<Case> {};

TEST_P(Findings, AreSaidAtTheirLineAndNotOfANearMiss) {
    const Message finding = only(GetParam().with, GetParam().code);
    EXPECT_EQ(finding.severity, Severity::warning);
    EXPECT_EQ(finding.line, GetParam().line);
    EXPECT_FALSE(finding.hint.empty());
    EXPECT_FALSE(finding.source.empty());
    EXPECT_FALSE(codes_in(GetParam().without).contains(GetParam().code)) << GetParam().without;
}

const std::string one = server("203.0.113.11", dns_check);
const std::string two = one + server("203.0.113.12", dns_check);

INSTANTIATE_TEST_SUITE_P(
    All, Findings,
    testing::Values(
        Case{"udp-without-tcp", service("192.0.2.53", "UDP", one), twins(one), 1},
        Case{"udp-without-tcp", native("protocol udp"), native(""), 3},
        Case{"tcp-without-udp", service("192.0.2.53", "TCP", one), twins(one), 1},
        Case{"weights-differ",
             service("192.0.2.53", "UDP", server("203.0.113.11", "weight 2\n" + dns_check)) +
                 service("192.0.2.53", "TCP", one),
             twins(server("203.0.113.11", "weight 2\n" + dns_check)), 19},
        Case{"servers-differ",
             service("192.0.2.53", "UDP", two) + service("192.0.2.53", "TCP", one), twins(two), 12},
        Case{"service-ip-in-server-subnet",
             service("203.0.113.53", "UDP", one) + service("203.0.113.53", "TCP", one), twins(one),
             1},
        Case{"service-ip-in-server-subnet",
             "dns_cluster c {\nservice_ip 2001:db8::53\ncheck { query \". SOA\" }\n"
             "real_server a { address 2001:db8::11 }\n}\n",
             "dns_cluster c {\nservice_ip 2001:db8::53\ncheck { query \". SOA\" }\n"
             "real_server a { address 2001:db8:0:1::11 }\n}\n",
             2},
        Case{"persistence", native("lb_algo sh"), native("lb_algo mh"), 3},
        Case{"udp-to-one-server", over_ipvs("lb_algo sed"), over_ipvs("lb_algo sed\nprotocol tcp"),
             3},
        Case{"udp-to-one-server", over_ipvs("lb_algo wlc\nops on"), over_ipvs("lb_algo wlc"), 3},
        Case{"udp-to-one-server", over_ipvs("lb_algo nq\nops off"), over_ipvs("lb_algo wrr"), 3},
        Case{"persistence",
             service("192.0.2.53", "UDP", one, "persistence_timeout 360\n") +
                 service("192.0.2.53", "TCP", one),
             twins(one), 6},
        Case{"check-through-service-ip",
             twins(server("203.0.113.11", "DNS_CHECK {\nname .\nconnect_ip 192.0.2.53\n}")),
             twins(one), 7},
        Case{"check-through-service-ip", native("", "query \". SOA\"; source 192.0.2.53"),
             native("", "query \". SOA\"; source 203.0.113.1"), 5},
        Case{"check-through-service-ip",
             twins(server("203.0.113.11", misc("/usr/local/bin/ask @192.0.2.53"))),
             twins(server("203.0.113.11", misc("/usr/local/bin/ask @203.0.113.11"))), 7},
        Case{"check-server-by-name",
             twins(server("203.0.113.11", misc("/usr/bin/dig @ns1.example.com . soa"))),
             twins(server("203.0.113.11", misc("/usr/bin/dig @203.0.113.11 . soa"))), 7},
        Case{"timeout-over-interval",
             twins(server("203.0.113.11", misc("/usr/local/bin/ask", "misc_timeout 11"))),
             twins(server("203.0.113.11", misc("/usr/local/bin/ask", "misc_timeout 10"))), 7},
        Case{"check-asks-other-server",
             service("192.0.2.53", "UDP",
                     server("203.0.113.11", misc("/usr/bin/dig @203.0.113.11 . soa")) +
                         server("203.0.113.12", misc("/usr/bin/dig @203.0.113.11 . soa"))),
             twins(server("203.0.113.11", misc("/usr/bin/dig @203.0.113.11 . soa")) +
                   server("203.0.113.12", misc("/usr/bin/dig @203.0.113.12 . soa"))),
             13},
        Case{"check-asks-other-server",
             service("192.0.2.53", "UDP",
                     server("203.0.113.11", "DNS_CHECK {\nconnect_ip 203.0.113.99\n}")),
             twins(server("203.0.113.11", "DNS_CHECK {\nconnect_ip 203.0.113.11\n}")), 7},
        Case{"check-asks-other-server",
             service("192.0.2.53", "UDP",
                     server("203.0.113.11", misc("/usr/bin/dnsdirector probe 0.0.0.0 IN A . "
                                                 "203.0.113.99 1 2 SERVFAIL"))),
             twins(server("203.0.113.11", misc("/usr/bin/dnsdirector probe 0.0.0.0 IN A . "
                                               "203.0.113.11 1 2 SERVFAIL"))),
             7},
        Case{"check-asks-other-server",
             service("192.0.2.53", "UDP",
                     two + server("203.0.113.13", misc("/usr/local/bin/ask 203.0.113.12"))),
             twins(two + server("203.0.113.13", misc("/usr/local/bin/ask 203.0.113.13"))), 19},
        Case{"check-asks-other-server",
             native("real_server d { address 203.0.113.14; check { query \". SOA\"; target "
                    "203.0.113.15 } }"),
             native("real_server d { address 203.0.113.14 2001:db8:1::14; check { query \". "
                    "SOA\"; target 203.0.113.14 } }\nservice_ip 2001:db8::53"),
             4},
        Case{"servfail-passes",
             twins(server("203.0.113.11", misc("/usr/bin/dig @203.0.113.11 . soa"))), twins(one),
             7},
        Case{"servfail-passes", native("", "query \". SOA\"; fail_on none"),
             native("", "query \". SOA\"; fail_on none; expect rcode NOERROR"), 5},
        Case{"one-outside-name", native("", "query \"www.example.com A\""),
             native("max_out 50%", "query \"www.example.com A\""), 5},
        Case{"one-outside-name", native("", "query \"www.example.com A\""),
             native("", "query \"www.example.com A\" }\ncheck { query \"www.example.org A\""), 5},
        Case{"one-outside-name", native("", "query \"www.example.com A\""),
             native("", "query \"www.example.com A\"; recursion off"), 5}));

TEST(FindingsOfAFile, AreNoneInAGoodOne) {
    EXPECT_EQ(codes_in(native("")), std::set<std::string>{});
    EXPECT_EQ(codes_in(twins(two)), std::set<std::string>{});
}

TEST(FindingsOfAFile, AreSaidOnceForEachBlock) {
    std::string servers;
    for (int i = 11; i < 55; ++i)
        servers += server(fmt::format("203.0.113.{}", i),
                          misc(fmt::format("/usr/bin/dig @203.0.113.{} . soa", i)));
    const Message finding = only(service("192.0.2.53", "UDP", servers), "servfail-passes");
    EXPECT_NE(finding.text.find("and 43 more like it in this block"), std::string::npos)
        << finding.text;
}

TEST(FindingsOfAFile, NameTheServerThatACopiedCheckAsks) {
    const Message finding =
        only(service("192.0.2.53", "UDP",
                     server("203.0.113.11", misc("/usr/bin/dig @203.0.113.11 . soa")) +
                         server("203.0.113.12", misc("/usr/bin/dig @203.0.113.11 . soa"))),
             "check-asks-other-server");
    EXPECT_NE(finding.text.find("the check of 203.0.113.12 asks 203.0.113.11, another real server"),
              std::string::npos)
        << finding.text;
    EXPECT_EQ(finding.hint, "@203.0.113.12");
}

TEST(FindingsOfAFile, WaitUntilThereIsNoError) {
    const Loaded loaded =
        examine(service("192.0.2.53", "UDP", one) + "nonsense\n", "t.conf", files_of({}));
    EXPECT_FALSE(loaded.ok());
    for (const Message& message : loaded.messages)
        EXPECT_EQ(message.code, "") << message.to_string();
}

TEST(FindingsOfAFile, AreNotForTheDaemon) {
    for (const Message& message : parse_text(service("192.0.2.53", "UDP", one)).messages)
        EXPECT_TRUE(message.code.empty()) << message.to_string();
}

TEST(FindingsOfAFile, HaveACodeOfTheirTable) {
    std::set<std::string_view> codes;
    for (const auto& rules : {service_rules(), check_rules(), target_rules()})
        for (const Rule& rule : rules)
            EXPECT_TRUE(codes.insert(rule.code).second) << rule.code;
    EXPECT_EQ(codes.size(), 14U);
}

}  // namespace
}  // namespace dnsdirector::config
