// SPDX-License-Identifier: Apache-2.0
//
// What a person is told of values and words that are known and refused, word by word.
#include <fmt/core.h>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

TEST(Refusals, QueriesAreCheckedAsDnsDoes) {
    const auto query_says = [](const std::string& query, const std::string& message) {
        says(cluster("", "query \"" + query + "\""),
             "t.conf:6:15: error: query: " + message + "\n");
    };
    query_says("www.example.com",
               "a query is a name, a type and perhaps a class, as in \"www.example.com A\"");
    query_says("www..example.com A",
               "`www..example.com` has an empty label (two dots, or one in front)");
    query_says(std::string(64, 'a') + ".example A",
               "`" + std::string(64, 'a') + ".example` has a label of more than 63 characters");
    std::string longest;
    for (int i = 0; i < 4; ++i)
        longest += std::string(62, 'a') + ".";
    EXPECT_EQ(messages_of(cluster("", "query \"" + longest + "a. A\"")), "");
    query_says(longest + "aa A", "the name is longer than 255 octets");
    query_says(
        "b\xc3\xbc"
        "cher.example A",
        "`b\xc3\xbc"
        "cher.example` is not ASCII; write an internationalized name in its xn-- form");
    query_says("a\\999.example A",
               "`a\\999.example` has a bad escape; \\. and \\046 are good ones");
    query_says(". AXFR", "AXFR is a transfer, not a question; ask for SOA");
    query_says(". TYPE70000",
               "`TYPE70000` is not a DNS type; write a name such as A or SOA, or TYPE65280");
    query_says(". A INN", "`INN` is not a DNS class; write IN, CH, HS, ANY or CLASS123");
    check_says(
        "expect rcode BADVERS",
        "t.conf:6:49: error: expect: BADVERS needs EDNS, which the checks do not use; the statuses "
        "are NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH "
        "NOTZONE\n");
    check_says(
        "fail_on SERVFAIL; expect rcode SERVFAIL",
        "t.conf:6:67: error: expect rcode: fail_on at t.conf:6:44 has the same status, so no reply "
        "would pass\n");
    check_says(
        "expect rcod NOERROR",
        "t.conf:6:43: error: expect: `rcod` is not one of rcode, answer, all, exactly, pattern; "
        "did you mean `rcode`?\n");
}

TEST(Refusals, NameThePlaneThatCanDoIt) {
    cluster_says(
        "lb_algo wlc",
        "t.conf:7:9: error: lb_algo wlc counts connections, which the xdp plane does not do; write "
        "lb_algo wrr, which shares queries by weight (mh, sh: by flow, by client), or dataplane "
        "ipvs, which has wlc\n");
    cluster_says(
        "lb_algo lc",
        "t.conf:7:9: error: lb_algo lc counts connections, which the xdp plane does not do; write "
        "lb_algo rr, which shares queries equally (mh, sh: by flow, by client), or dataplane ipvs, "
        "which has lc\n");
    for (const std::string name : {"sed", "nq"})
        cluster_says("lb_algo " + name,
                     "t.conf:7:9: error: lb_algo " + name +
                         " counts connections, which the xdp plane does not do; write lb_algo wrr, "
                         "which shares queries by weight (mh, sh: by flow, by client), or "
                         "dataplane ipvs, which has " +
                         name + "\n");
    for (const std::string name : {"wrr", "rr", "mh"})
        cluster_says("lb_algo " + name, "");
    cluster_says(
        "lb_kind nat",
        "t.conf:7:9: error: NAT is nothing that the xdp plane does; write DR (same network) or TUN "
        "(behind routers), or dataplane ipvs, which can\n");
    says("director { dataplane proxy }\n" + cluster("").substr(28), "");
    says(
        "director { interface eth0 }\nvirtual_server 192.0.2.53 53 {\n"
        "real_server 203.0.113.11 53 { DNS_CHECK {\n} }\n}",
        "t.conf:2:1: error: lb_algo wlc counts connections, which the xdp plane does not do (it is "
        "keepalived's default); write lb_algo wrr, which shares queries by weight (mh, sh: by "
        "flow, by client), or dataplane ipvs, which has wlc\n"
        "t.conf:2:1: error: NAT is nothing that the xdp plane does (it is keepalived's default); "
        "write DR (same network) or TUN (behind routers), or dataplane ipvs, which can\n");
    cluster_says(
        "real_server c { address 203.0.113.13; port 5353 }",
        "t.conf:7:44: error: port: direct routing keeps the port, so that a server's port is the "
        "cluster's, 53; remove this line\n");
    says(virtual_server("real_server 203.0.113.12 54 { DNS_CHECK {\n} }", "DNS_CHECK {\n}"),
         "t.conf:5:13: error: real_server: direct routing keeps the port, so that port 54 must be "
         "the "
         "virtual_server's, 53\n");
    says(virtual_server("persistence_timeout 0", "DNS_CHECK {\n}"),
         "t.conf:5:1: warning: persistence_timeout 0 is off, as without this line; remove it\n");
    for (const char* line : {"persistence_timeout 300", "persistence_timeout"})
        says(virtual_server(line, "DNS_CHECK {\n}"),
             "t.conf:5:1: warning: persistence_timeout has no effect here: the xdp plane chooses a "
             "server for each UDP query and TCP connection, which is what DNS wants (a resolver "
             "with many users behind it would stay with one server, also after that has failed); "
             "lb_algo sh keeps a client with one server [persistence]\n");
}

TEST(Refusals, KnownWordsOfKeepalivedThatAreNotReadSaySo) {
    says(
        "virtual_server_group g {\nfwmark 3\n192.0.2.1\n}\nvirtual_server fwmark 1 {\nreal_server "
        "203.0.113.11 53 {\n"
        "SSL_GET {\nurl {\n}\n}\nSMTP_CHECK {\n}\nnotify_up \"/bin/x }\"\n}\nprotocol "
        "SCTP\nlb_algo dh\n}\nvirtual_server 192.0.2.1 {\nreal_server 203.0.113.11 53 {\n"
        "HTTP_GET {\nurl {\npath /\ndigest 1\n}\n}\n}\n}\n",
        "t.conf:5:1: error: fwmark 1: the xdp plane sees no firewall marks; write an address and "
        "a port, or dataplane ipvs\n"
        "t.conf:7:1: error: SSL_GET is not supported: checks over TLS are for DNS alone "
        "(`transport tls` of a check); HTTP_GET asks a URL without TLS, and a MISC_CHECK with curl "
        "one with it\n"
        "t.conf:11:1: error: SMTP_CHECK is not supported: write a DNS_CHECK, which asks what "
        "matters, or a MISC_CHECK, which runs any script\n"
        "t.conf:15:10: error: protocol SCTP is not supported: DNS uses UDP and TCP\n"
        "t.conf:16:9: error: lb_algo dh is not supported: write wrr, rr, mh or sh, or under "
        "dataplane ipvs also wlc, lc, sed or nq, or under dataplane proxy also wlc, lc, least, "
        "latency or qname\n"
        "t.conf:18:1: error: the port is missing, as in `192.0.2.1 53`; a service for all ports is "
        "nothing that the xdp plane does, dataplane ipvs does\n"
        "t.conf:23:1: error: digest is not supported: the status of the URL is what counts here "
        "(status_code); a MISC_CHECK with curl compares contents\n");
    says(virtual_server("", "HTTP_GET {\n}"),
         "t.conf:7:1: error: this block needs `url`, as in `url { … }`\n");
    says(virtual_server("hysteresis 1", "DNS_CHECK {\n}"),
         "t.conf:5:12: error: hysteresis 1 must be less than the quorum, 1\n");
}

TEST(Refusals, ScriptsAreReadWithCare) {
    const auto path_says = [](const std::string& line, const std::string& message) {
        says(virtual_server("", "MISC_CHECK {\nmisc_path " + line + "\n}"),
             "t.conf:8:" + message + "\n");
    };
    path_says(
        "bin/check_dns",
        "11: error: misc_path: a command starts with a program's full path or its name alone, "
        "as in \"/usr/bin/dig …\" or \"dig …\", not `bin/check_dns`");
    path_says(
        "/bin/check a",
        "22: error: `a` is too much behind misc_path: write `misc_path \"COMMAND ARGUMENT…\"` (the "
        "whole command stands in one pair of quotes)");
    path_says("\"/bin/check >\"", "11: error: misc_path: `>` names no file");
    path_says("\"/bin/check > out\"",
              "11: error: misc_path: a redirection needs a file with an absolute path, such as > "
              "/dev/null, not `out`");
    path_says(
        "\"/bin/check >> /tmp/out\"",
        "11: error: misc_path: appending by `>>` is not supported; write `>` and a file, or log in "
        "the script");
    path_says("\"/bin/check 'x\"", "11: error: misc_path: the closing ' is missing");
    path_says("\"\"", "11: error: misc_path: the command is empty");
    path_says("\"/bin/check a | b\"",
              "11: warning: misc_path: no shell reads this; `|` is handed to the program as a "
              "word. Write "
              "a script of your own, or \"/bin/sh -c '…'\"");
}

TEST(Refusals, WarnOfWhatWillSurprise) {
    check_says(
        "every 500ms",
        "t.conf:6:36: warning: a round of this check may take 1s (timeout 500ms × tries 2), longer "
        "than every 500ms; the next round then waits for its end [timeout-over-interval]\n");
    says(cluster("") + "check soa { query \". SOA\" }\n",
         "t.conf:9:1: warning: no dns_cluster uses the check `soa`; `check soa` in one does\n");
    cluster_says("quorum 3",
                 "t.conf:7:8: warning: quorum 3 can never be met: the weights add up to 2\n");
    says(
        "director { interface eth0 }\ndns_cluster c { service_ip 192.0.2.53; real_server a { "
        "address "
        "203.0.113.11; weight 0 } }",
        "t.conf:2:1: warning: dns_cluster c has no check: its servers are used unchecked\n"
        "t.conf:2:1: warning: every server of dns_cluster c has weight 0: none gets work\n");
    says(cluster("").substr(28),
         "t.conf: warning: no director block: attaching to every interface that has a route to a "
         "real "
         "server\n");
    says("director { }\n" + cluster("").substr(28),
         "t.conf:1:1: warning: no interface in the director block: attaching to every interface "
         "that "
         "has a route to a real server\n");
}

TEST(Refusals, LimitsNameTheKeywordToRaise) {
    says("director { interface eth0; max_services 1; max_real_servers 3 }\n" +
             cluster("").substr(28),
         "t.conf: error: 2 services, and room for 1; raise max_services in the director block to 2 "
         "or "
         "more\n"
         "t.conf: error: 4 real servers over all services, and room for 3; raise max_real_servers "
         "in the "
         "director block to 4 or more\n");
    const std::string slots = messages_of(
        "director { interface eth0; max_slots 1024 }\n"
        "dns_cluster c { service_ip 192.0.2.53; protocol udp; check { query \". SOA\" }\n"
        "real_server a { address 203.0.113.11; weight 1024 }\n"
        "real_server b { address 203.0.113.12; weight 1023 } }");
    EXPECT_EQ(
        slots,
        "t.conf: error: 2047 slots in the scheduling tables, and room for 1024; raise max_slots "
        "in the director block to 2047 or more\n");
}

TEST(Refusals, LimitsAreWhatTheXdpPlaneHolds) {
    const std::string rest = cluster("").substr(28);
    says("director { interface eth0; max_services 32768; max_real_servers 524289 }\n" + rest,
         "t.conf: error: max_services 32768 is more than the xdp plane holds; write at most 32767\n"
         "t.conf: error: max_real_servers 524289 is more than the xdp plane holds; write at most "
         "524288\n");
    says("director { interface eth0; max_services 32767; max_real_servers 524288 }\n" + rest, "");
    says("director { dataplane none; max_services 65536 }\n" + rest, "");
}

TEST(Refusals, OneServiceHoldsNoMoreServersThanASlotCanName) {
    std::string servers;
    for (int i = 0; i < 32769; ++i)
        servers += fmt::format("real_server s{} {{ address 2001:db8:1::{:x}:{:x} }}\n", i,
                               i / 256 + 1, i % 256);
    const std::string said = messages_of(
        "director { interface eth0; max_real_servers 70000 }\n"
        "dns_cluster c { service_ip 2001:db8::53; protocol udp; check { query \". SOA\" }\n" +
        servers + "}");
    EXPECT_EQ(
        said,
        "t.conf:2:28: error: [2001:db8::53]:53/udp has 32769 real servers, and a table of the "
        "xdp plane holds 32768; share them among several services\n");
}

/// Weights 65535 and 65534 times sixteen servers, and one of 1: 2,097,105 slots.
std::string heavy_weights(const std::string& director, const std::string& first) {
    std::string text =
        director +
        "\ndns_cluster c { service_ip 192.0.2.53 192.0.2.54; protocol udp\ncheck { query \". "
        "SOA\" }\nreal_server light { address 203.0.113.99; weight 1 }\n";
    for (int i = 0; i < 32; ++i)
        text += fmt::format("real_server s{} {{ address 203.0.113.{}; weight {} }}\n", i, i + 1,
                            i % 2 == 0 ? first : "65534");
    return text + "}";
}

TEST(Refusals, WeightsThatAreRoundedAreSaidWithTheServiceAndTheWorst) {
    says(
        heavy_weights("director { interface eth0 }", "65535"),
        "t.conf:2:28: warning: 192.0.2.53:53/udp: its weights ask for 2097105 slots (their sum by "
        "their common divisor), and a table has at most 1048576: shares are rounded, the most "
        "that of light, 9.537e-05% instead of 4.768e-05%; weights that are multiples of one number "
        "ask for fewer\n");
    // Kept as they are by the planes that build no table.
    says(heavy_weights("director { dataplane none }", "65535"), "");
}

TEST(Refusals, WeightsOfExactlyTheLargestTableAreNotRounded) {
    const auto text = [](int weight) {
        return "director { interface eth0 }\ndns_cluster c { service_ip 192.0.2.53; protocol "
               "udp\ncheck { query \". SOA\" }\n" +
               [&] {
                   std::string servers;
                   for (int i = 0; i < 17; ++i)
                       servers += fmt::format(
                           "real_server s{} {{ address 203.0.113.{}; weight {} "
                           "}}\n",
                           i, i + 1,
                           i < 15    ? 65535
                           : i == 15 ? 65534
                                     : weight);
                   return servers;
               }() +
               "}";
    };
    says(text(17), "");  // 15 * 65535 + 65534 + 17 = 2^20
    EXPECT_NE(messages_of(text(18)).find("ask for 1048577 slots"), std::string::npos);
}

TEST(Refusals, NamesAndInterfacesAreChecked) {
    says(cluster("real_server 203.0.113.13 { address 203.0.113.13 }"),
         "t.conf:7:13: error: real_server: `203.0.113.13` reads as an address, and commands would "
         "take it "
         "for one; use a name\n");
    cluster_says(
        "real_server a/b { address 203.0.113.13 }",
        "t.conf:7:13: error: real_server: `a/b` is not a name; use 1 to 64 letters, digits, `_`, "
        "`-` and `.`, not `-` first\n");
    says("director { interface a/b }\n" + cluster("").substr(28),
         "t.conf:1:22: error: interface: `a/b` cannot be the name of a network interface (1 to 15 "
         "characters, no / or :)\n");
    says("director { interface eth0 eth0 }\n" + cluster("").substr(28),
         "t.conf:1:22: error: interface: `eth0` is named twice\n");
    says(
        "director { interface eth0; service_interface lo eth0 }\n" + cluster("").substr(28),
        "t.conf:1:49: error: `eth0` is too much behind service_interface: write `service_interface "
        "INTERFACE`\n");
}

TEST(Refusals, StopAtAHundredErrors) {
    std::string text;
    for (int i = 0; i < 100000; ++i)
        text += "foo bar\n";
    const Loaded loaded = parse_text(text);
    EXPECT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.messages.size(), 100U);
    std::string warned =
        "director { interface eth0 }\ndns_cluster c { service_ip 192.0.2.53 2001:db8::53\n"
        "check { query \". SOA\" }\nreal_server six { address 2001:db8:1::1 }\n";
    for (int i = 0; i < 200; ++i)
        warned += fmt::format("real_server s{} {{ address 198.51.100.{} }}\n", i, i);
    const Loaded warnings = parse_text(warned + "}\n");
    EXPECT_TRUE(warnings.ok());
    EXPECT_EQ(warnings.messages.size(), 101U);
    EXPECT_EQ(warnings.messages.back().to_string(),
              "t.conf: warning: 101 more warnings are not shown");
}

}  // namespace
}  // namespace dnsdirector::config
