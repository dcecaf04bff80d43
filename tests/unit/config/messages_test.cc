// SPDX-License-Identifier: Apache-2.0
//
// What a person is told, word by word. Each case is a text and all its messages.
#include <fmt/core.h>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

void says(const std::string& text, const std::string& messages) {
    EXPECT_EQ(messages_of(text), messages) << text;
}

/// The messages of a line put into a cluster as line 7.
void cluster_says(const std::string& line, const std::string& messages) {
    says(cluster(line), messages);
}

/// The messages of a line put into the cluster's check, from column 36 of line 6 on.
void check_says(const std::string& line, const std::string& messages) {
    says(checked(line), messages);
}

TEST(Messages, AreAllThereAtOnceInTheOrderOfTheFile) {
    says(
        R"(director { dataplan xdp
  interface eth0;; xdp_mode nativ
}
dns_cluster a {
  service_ip 192.0.2.53 192.0.2.53 0.0.0.0
  chek { query "www..example A" }
  check { query "www.example.com AAA"; every 10ms; timeout 1x; transport udp upd; fail_on SERVFIAL }
  real_server ns1 { adress 203.0.113.11 }
  real_server ns2 { address 203.0.113.11 203.0.113.12; weight 70000 }
  misc_path foo
}
virtual_server 192.0.2.53 53 {
  delay_loop 6x
  real_server 203.0.113.11 {
    weight one
  }
  quorum 1 quorum 2
}
)",
        "t.conf:1:12: error: unknown keyword `dataplan`; did you mean `dataplane`?\n"
        "t.conf:2:29: error: xdp_mode: `nativ` is not one of auto, native, generic; did you mean "
        "`native`?\n"
        "t.conf:5:25: error: service_ip: 192.0.2.53 is given a second time; the first is at "
        "t.conf:5:14\n"
        "t.conf:5:36: error: service_ip: 0.0.0.0 stands for no address; write the address itself\n"
        "t.conf:6:3: error: unknown keyword `chek`; did you mean `check`?\n"
        "t.conf:7:17: error: query: `AAA` is not a DNS type; did you mean AAAA?\n"
        "t.conf:7:46: error: every: 10ms is out of range; it must be 50ms to 24h\n"
        "t.conf:7:60: error: timeout: `1x` ends in an unknown unit `x`; the units are ms, s, m and "
        "h "
        "(none: seconds)\n"
        "t.conf:7:78: error: transport: `upd` is not one of udp, tcp; did you mean `udp`?\n"
        "t.conf:7:91: error: fail_on: `SERVFIAL` is not a DNS status; did you mean SERVFAIL?\n"
        "t.conf:8:21: error: unknown keyword `adress`; did you mean `address`?\n"
        "t.conf:9:42: error: address: a server has one IPv4 address, and 203.0.113.11 is given "
        "already; write another real_server for 203.0.113.12\n"
        "t.conf:9:63: error: weight: 70000 is out of range; it must be 0 to 65535\n"
        "t.conf:10:3: error: misc_path does not belong in `dns_cluster`, but in `MISC_CHECK`\n"
        "t.conf:13:14: error: delay_loop: `6x` ends in an unknown unit `x`; the units are ms, s, m "
        "and h (none: seconds)\n"
        "t.conf:14:3: error: real_server is not complete: write `real_server ADDRESS PORT`\n"
        "t.conf:15:12: error: weight: `one` is not a number; it must be 0 to 65535\n"
        "t.conf:17:12: error: `quorum` is too much behind quorum: write `quorum NUMBER`\n");
}

TEST(Messages, SayWhatABlockNeeds) {
    says("director { interface eth0 }\ndns_cluster a { }\n",
         "t.conf:2:1: error: this block needs `service_ip`, as in `service_ip ADDRESS…`\n"
         "t.conf:2:1: error: this block needs `real_server`, as in `real_server NAME`\n");
    says("director { interface eth0 }\ndns_cluster { }\ndns_cluster a\nhttp { }",
         "t.conf:2:1: error: dns_cluster is not complete: write `dns_cluster NAME`\n"
         "t.conf:2:1: error: this block needs `service_ip`, as in `service_ip ADDRESS…`\n"
         "t.conf:2:1: error: this block needs `real_server`, as in `real_server NAME`\n"
         "t.conf:3:1: error: dns_cluster needs a block { … } behind it\n"
         "t.conf:4:1: error: this block needs `listen`, as in `listen ADDRESS:PORT`\n");
    says("",
         "t.conf: error: there is nothing to balance; write a dns_cluster or a virtual_server\n");
    cluster_says(
        "check { every 1s }",
        "t.conf:7:1: error: this block needs `query`, as in `query \"NAME TYPE [CLASS]\"`\n");
    cluster_says("check",
                 "t.conf:7:1: error: check needs a block { … } or the name of a check behind it\n");
    cluster_says("check soa", "t.conf:7:7: error: there is no check `soa` at top level\n");
    says(cluster("check soa") + "check sao { query \". SOA\" }\n",
         "t.conf:7:7: error: there is no check `soa` at top level; did you mean `sao`?\n");
}

TEST(Messages, RefuseWhatIsGivenTwice) {
    cluster_says("port 53\nport 54",
                 "t.conf:8:1: error: port is given a second time; the first is at t.conf:7:1\n");
    cluster_says(
        "real_server a { address 203.0.113.13 }",
        "t.conf:7:13: error: the real_server `a` is declared a second time in this cluster; the "
        "first is at t.conf:4:13\n");
    cluster_says(
        "real_server c { address 203.0.113.11 }",
        "t.conf:7:25: error: address: 203.0.113.11 is given a second time in this cluster; the "
        "first is at t.conf:4:25\n");
    cluster_says(
        "service_ip 192.0.2.53",
        "t.conf:7:12: error: service_ip: 192.0.2.53 is given a second time; the first is at "
        "t.conf:3:12\n");
    cluster_says("protocol udp UDP", "t.conf:7:14: error: protocol: `UDP` is named twice\n");
    says(cluster("") +
             "dns_cluster c { service_ip 192.0.2.54; check { query \". A\" }; real_server a { "
             "address 203.0.113.11 } }\n",
         "t.conf:9:1: error: the dns_cluster `c` is declared a second time; the first is at "
         "t.conf:2:1\n");
    says(cluster("") + virtual_server("", "DNS_CHECK {\n}").substr(28),
         "t.conf:9:1: error: the service 192.0.2.53:53/udp is given a second time; the first is at "
         "t.conf:3:12\n");
    says(cluster("") + "director { dataplane xdp }\n",
         "t.conf:9:1: error: director is given a second time; the first is at t.conf:1:1\n");
    check_says("fail_on REFUSED refused",
               "t.conf:6:52: error: fail_on: `refused` is named twice\n");
    check_says("expect answer 192.0.2.1; expect answer 192.0.2.1",
               "t.conf:6:75: error: expect answer: 192.0.2.1 is given twice\n");
    says(virtual_server("lvs_sched rr", "DNS_CHECK {\n}"),
         "t.conf:5:1: error: lvs_sched is given a second time; the first is at t.conf:3:1\n");
    says(virtual_server("real_server 203.0.113.11 53 { DNS_CHECK {\n} }", "DNS_CHECK {\n}"),
         "t.conf:7:13: error: the real_server 203.0.113.11:53 is given a second time in this "
         "virtual_server; the first is at t.conf:5:13\n");
    cluster_says("check soa\ncheck soa\n}\ncheck soa { query \". A\" ",
                 "t.conf:8:7: error: the check `soa` is used a second time in this cluster\n");
    cluster_says("}\ncheck soa { query \". A\" }\ncheck soa { query \". A\" ",
                 "t.conf:9:1: error: the check `soa` is declared a second time; the first is at "
                 "t.conf:8:1\n");
}

TEST(Messages, NameTheRangeAndUnitOfNumbers) {
    cluster_says("quorum 0",
                 "t.conf:7:8: error: quorum: 0 is out of range; it must be 1 to 4294967295\n");
    cluster_says("port 65536",
                 "t.conf:7:6: error: port: 65536 is out of range; it must be 1 to 65535\n");
    cluster_says("port 53x",
                 "t.conf:7:6: error: port: `53x` is not a number; it must be 1 to 65535\n");
    cluster_says("port -1",
                 "t.conf:7:6: error: port: `-1` is not a number; it must be 1 to 65535\n");
    cluster_says("quorum 99999999999999999999",
                 "t.conf:7:8: error: quorum: 99999999999999999999 is out of range; it must be 1 to "
                 "4294967295\n");
    cluster_says("max_out 101%",
                 "t.conf:7:9: error: max_out: `101%` is not a share; write 0% to 100%\n");
    cluster_says(
        "slow_start 1d",
        "t.conf:7:12: error: slow_start: `1d` ends in an unknown unit `d`; the units are ms, s, m "
        "and h (none: seconds)\n");
    cluster_says(
        "slow_start .5s",
        "t.conf:7:12: error: slow_start: `.5s` is not a duration; write a number and a unit, such "
        "as 500ms, 1s or 2m\n");
    cluster_says("slow_start 1.s",
                 "t.conf:7:12: error: slow_start: `1.s` is not a duration; write it as 1.5s\n");
    cluster_says(
        "slow_start 99999999999999h",
        "t.conf:7:12: error: slow_start: 99999999999999h is out of range; it must be 0s to 24h\n");
    check_says("tries 11", "t.conf:6:42: error: tries: 11 is out of range; it must be 1 to 10\n");
    check_says("recursion maybe",
               "t.conf:6:46: error: recursion: `maybe` is not understood; write on or off\n");
}

TEST(Messages, TellAddressesApart) {
    const auto server_says = [](const std::string& address, const std::string& message) {
        // An IPv6 address stands behind a good IPv4 one, so that only it is wrong.
        const bool ipv6 =
            address.find("::") != std::string::npos && address.find('%') == std::string::npos;
        cluster_says(
            "real_server c { address " + std::string(ipv6 ? "203.0.113.13 " : "") + address + " }",
            fmt::format("t.conf:7:{}: error: address: {}\n", ipv6 ? 38 : 25, message));
    };
    server_says("203.0.113.300", "`203.0.113.300` is not an IPv4 or IPv6 address");
    server_says("203.0.113.13/24",
                "`203.0.113.13/24` has a prefix length; write the address alone");
    server_says("203.0.113.13:53", "`203.0.113.13:53` has a port; write the address alone");
    server_says("fe80::1%eth0", "`fe80::1%eth0` has a scope; write the address alone");
    server_says("0.0.0.0", "0.0.0.0 stands for no address; write the address itself");
    server_says("::", ":: stands for no address; write the address itself");
    server_says("224.0.0.1", "224.0.0.1 stands for many hosts; write the address of one");
    server_says("255.255.255.255",
                "255.255.255.255 stands for many hosts; write the address of one");
    server_says("ff02::1", "ff02::1 stands for many hosts; write the address of one");
    server_says("fe80::1",
                "fe80::1 is link-local, which means nothing without an interface; write a "
                "global address");
    server_says("::ffff:203.0.113.13",
                "::ffff:203.0.113.13 is an IPv4 address in IPv6 clothes; write it as IPv4");
    server_says(
        "127.0.0.1",
        "127.0.0.1 is a loopback address, which direct routing by the xdp plane cannot reach; "
        "dataplane none takes it");
    server_says("192.0.2.53",
                "192.0.2.53 is a service_ip of this cluster; write the server's own address");
    check_says("source 0.0.0.0",
               "t.conf:6:43: error: source: 0.0.0.0 cannot be sent from; write an address of this "
               "machine, "
               "or leave source out\n");
    check_says("source 203.0.113.1 203.0.113.2",
               "t.conf:6:55: error: source: one IPv4 address is enough, and 203.0.113.1 is given "
               "already\n");
}

TEST(Messages, FamiliesMustFit) {
    cluster_says(
        "service_ip 2001:db8::53",
        "t.conf:7:12: error: no real_server of dns_cluster c has an IPv6 address, which the "
        "service 2001:db8::53 needs\n");
    cluster_says(
        "service_ip 2001:db8::53\nreal_server c { address 2001:db8:1::1 203.0.113.13 }",
        "t.conf:4:13: warning: real_server a has no IPv6 address: it is not part of the IPv6 "
        "services of dns_cluster c\n"
        "t.conf:5:13: warning: real_server b has no IPv6 address: it is not part of the IPv6 "
        "services of dns_cluster c\n");
    says(virtual_server("real_server 2001:db8:1::1 53 { DNS_CHECK {\n} }", "DNS_CHECK {\n}"),
         "t.conf:5:13: error: real_server: 2001:db8:1::1 is IPv6, and the virtual_server "
         "192.0.2.53 is "
         "IPv4; both must be one family\n");
    says(virtual_server("", "DNS_CHECK {\nbindto 2001:db8:1::1\n}"),
         "t.conf:8:8: error: bindto: 2001:db8:1::1 is IPv6, and the server asked, 203.0.113.11, is "
         "IPv4; "
         "both must be one family\n");
    check_says("expect answer 2001:db8::1",
               "t.conf:6:50: error: expect answer: `2001:db8::1` is not an IPv4 address, which is "
               "what the "
               "answer to this query holds\n");
}

TEST(Messages, QueriesAreCheckedAsDnsDoes) {
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
        "t.conf:6:43: error: expect: `rcod` is not one of rcode, answer; did you mean `rcode`?\n");
}

TEST(Messages, NameThePlaneThatCanDoIt) {
    cluster_says(
        "lb_algo wlc",
        "t.conf:7:9: error: lb_algo wlc counts connections, which the xdp plane does not do; write "
        "lb_algo wrr (or rr, mh, sh). The ipvs plane can, but is not in this version\n");
    cluster_says(
        "lb_kind tun",
        "t.conf:7:9: error: lb_kind TUN is nothing that the xdp plane does; write lb_kind DR. The "
        "ipvs plane can, but is not in this version\n");
    says("director { dataplane ipvs }\n" + cluster("").substr(28),
         "t.conf:1:22: error: dataplane ipvs is not in this version; xdp and none are\n");
    says(
        "director { interface eth0 }\nvirtual_server 192.0.2.53 53 {\n"
        "real_server 203.0.113.11 53 { DNS_CHECK {\n} }\n}",
        "t.conf:2:1: error: lb_algo wlc counts connections, which the xdp plane does not do (it is "
        "keepalived's default); write lb_algo wrr (or rr, mh, sh). The ipvs plane can, but is not "
        "in "
        "this version\n"
        "t.conf:2:1: error: lb_kind NAT is nothing that the xdp plane does (it is keepalived's "
        "default); "
        "write lb_kind DR. The ipvs plane can, but is not in this version\n");
    cluster_says(
        "real_server c { address 203.0.113.13; port 5353 }",
        "t.conf:7:44: error: port: direct routing keeps the port, so that a server's port is the "
        "cluster's, 53; remove this line\n");
    says(virtual_server("real_server 203.0.113.12 54 { DNS_CHECK {\n} }", "DNS_CHECK {\n}"),
         "t.conf:5:13: error: real_server: direct routing keeps the port, so that port 54 must be "
         "the "
         "virtual_server's, 53\n");
    says(
        virtual_server("persistence_timeout 300", "DNS_CHECK {\n}"),
        "t.conf:5:1: error: persistence_timeout is not supported on the xdp plane, which chooses a "
        "server for each query; it needs the ipvs plane, which is not in this version; remove it, "
        "or "
        "write lb_algo sh to keep a client's flow with one server\n");
}

TEST(Messages, KnownWordsOfKeepalivedThatAreNotReadSaySo) {
    says(
        "virtual_server_group g {\n192.0.2.1 53\n}\nvirtual_server fwmark 1 {\nreal_server "
        "203.0.113.11 53 {\n"
        "TCP_CHECK {\n}\nSMTP_CHECK {\n}\nnotify_up \"/bin/x }\"\n}\nsorry_server 192.0.2.1 "
        "53\nprotocol SCTP\nlb_algo dh\n}\n",
        "t.conf:1:1: error: virtual_server_group is not supported yet; write a virtual_server for "
        "each "
        "address, or a dns_cluster with all of them\n"
        "t.conf:4:16: error: virtual_server: `fwmark` is not supported yet; write an address and a "
        "port\n"
        "t.conf:6:1: error: TCP_CHECK is not supported yet; a DNS_CHECK asks the question that "
        "matters, a "
        "MISC_CHECK runs any script\n"
        "t.conf:8:1: error: SMTP_CHECK is not supported: a DNS_CHECK asks the question that "
        "matters, a "
        "MISC_CHECK runs any script\n"
        "t.conf:10:1: error: notify_up is not supported yet\n"
        "t.conf:12:1: error: sorry_server is not supported yet\n"
        "t.conf:13:10: error: protocol SCTP is not supported: DNS uses UDP and TCP\n"
        "t.conf:14:9: error: lb_algo dh is not supported: write wrr, rr, mh or sh\n");
    says(virtual_server("hysteresis 1", "DNS_CHECK {\n}"),
         "t.conf:5:12: error: hysteresis 1 must be less than the quorum, 1\n");
}

TEST(Messages, ScriptsAreReadWithCare) {
    const auto path_says = [](const std::string& line, const std::string& message) {
        says(virtual_server("", "MISC_CHECK {\nmisc_path " + line + "\n}"),
             "t.conf:8:" + message + "\n");
    };
    path_says("check_dns",
              "11: error: misc_path: a command starts with the full path of a program, as in "
              "\"/usr/bin/dig …\", not `check_dns`");
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

TEST(Messages, WarnOfWhatWillSurprise) {
    check_says(
        "every 500ms",
        "t.conf:6:36: warning: a round of this check may take 1s (timeout 500ms × tries 2), longer "
        "than every 500ms; the next round then waits for its end\n");
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
    says(
        "director { interface eth0; misc_native off }\nbgp { local_as 5430; neighbor "
        "198.51.100.253 { x } }\n" +
            cluster("").substr(28),
        "t.conf:1:28: warning: misc_native has no effect yet: every script is run\n"
        "t.conf:2:1: warning: bgp has no effect here: announcing by BGP is not in this version; "
        "its "
        "block is not looked at\n");
}

TEST(Messages, LimitsNameTheKeywordToRaise) {
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

TEST(Messages, NamesAndInterfacesAreChecked) {
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

TEST(Messages, StopAtAHundredErrors) {
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
