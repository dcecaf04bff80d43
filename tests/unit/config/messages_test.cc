// SPDX-License-Identifier: Apache-2.0
//
// What a person is told, word by word. Each case is a text and all its messages.
#include <fmt/core.h>

#include <algorithm>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

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
  real_server {
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
        "t.conf:7:78: error: transport: `upd` is not one of udp, tcp, tls; did you mean `udp`?\n"
        "t.conf:7:91: error: fail_on: `SERVFIAL` is not a DNS status; did you mean SERVFAIL?\n"
        "t.conf:8:21: error: unknown keyword `adress`; did you mean `address`?\n"
        "t.conf:9:42: error: address: a server has one IPv4 address, and 203.0.113.11 is given "
        "already; write another real_server for 203.0.113.12\n"
        "t.conf:9:63: error: weight: 70000 is out of range; it must be 0 to 65535\n"
        "t.conf:10:3: error: misc_path does not belong in `dns_cluster`, but in `MISC_CHECK`\n"
        "t.conf:13:14: error: delay_loop: `6x` ends in an unknown unit `x`; the units are ms, s, m "
        "and h (none: seconds)\n"
        "t.conf:14:3: error: real_server is not complete: write `real_server ADDRESS [PORT]`\n"
        "t.conf:15:12: error: weight: `one` is not a number; it must be 0 to 65535\n"
        "t.conf:17:12: error: `quorum` is too much behind quorum: write `quorum NUMBER` "
        "(each statement has a line of its own, or in native blocks a `;` behind it)\n");
}

TEST(Messages, SayWhatABlockNeeds) {
    says("director { interface eth0 }\ndns_cluster a { }\n",
         "t.conf:2:1: error: this block needs `service_ip`, as in `service_ip ADDRESS…`\n"
         "t.conf:2:1: error: this block needs `real_server`, as in `real_server NAME { … }`\n");
    says("director { interface eth0 }\ndns_cluster { }\ndns_cluster a\nhttp { }",
         "t.conf:2:1: error: dns_cluster is not complete: write `dns_cluster NAME`\n"
         "t.conf:2:1: error: this block needs `service_ip`, as in `service_ip ADDRESS…`\n"
         "t.conf:2:1: error: this block needs `real_server`, as in `real_server NAME { … }`\n"
         "t.conf:3:1: error: dns_cluster needs a block { … } behind it\n"
         "t.conf:4:1: error: this block needs `listen`, as in `listen ADDRESS:PORT`\n");
    says("",
         "t.conf: error: there is nothing to balance; write a dns_cluster or a virtual_server\n");
    cluster_says("check { every 1s }",
                 "t.conf:7:1: error: this check asks nothing: write `query \"NAME TYPE\"` into it, "
                 "or connect, ping, datagram, "
                 "http, script or file\n");
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
        "dataplane proxy and dataplane none take it");
    server_says("192.0.2.53",
                "192.0.2.53 is a service_ip of this cluster, at t.conf:3:12; write the server's "
                "own address");
    check_says("source 0.0.0.0",
               "t.conf:6:43: error: source: 0.0.0.0 cannot be sent from; write an address of this "
               "machine, "
               "or leave source out\n");
    check_says("source 203.0.113.1 203.0.113.2",
               "t.conf:6:55: error: source: one IPv4 address is enough, and 203.0.113.1 is given "
               "already\n");
}

TEST(Messages, AServiceIpIsNoServersAddressAnywhereInTheFile) {
    const std::string rest =
        ", and the xdp plane would take what it sends there for a client's; write the server's own "
        "address\n";
    // Native and native, in both orders of the text.
    says(cluster("") +
             "dns_cluster d {\nservice_ip 192.0.2.54 203.0.113.12\n"
             "check { query \". SOA\" }\nreal_server x { address 192.0.2.53 }\n}\n",
         "t.conf:5:25: error: address: 203.0.113.12 is a service IP, too, at t.conf:10:23" + rest +
             "t.conf:12:25: error: address: 192.0.2.53 is a service IP, too, at t.conf:3:12" +
             rest);
    // Native and compatible, each with the other's.
    says(cluster("") +
             "virtual_server 203.0.113.11 53 {\nlb_algo wrr\nlb_kind DR\n"
             "real_server 192.0.2.53 53 {\nDNS_CHECK {\n}\n}\n}\n",
         "t.conf:4:25: error: address: 203.0.113.11 is a service IP, too, at t.conf:9:1" + rest +
             "t.conf:12:13: error: real_server: 192.0.2.53 is a service IP, too, at t.conf:3:12" +
             rest);
    says(virtual_server("real_server 192.0.2.53 53 { DNS_CHECK {\n} }", "DNS_CHECK {\n}"),
         "t.conf:5:13: error: real_server: 192.0.2.53 is the address of this virtual_server, at "
         "t.conf:2:1; write the server's\n");
    // Without a forwarding plane nothing loops.
    says("director { dataplane none }\n" + cluster("").substr(28) +
             "dns_cluster d {\nservice_ip 192.0.2.54\n"
             "check { query \". SOA\" }\nreal_server x { address 192.0.2.53 }\n}\n",
         "");
}

TEST(Messages, ASourceHasAnAddressOfEachFamilyThatIsAsked) {
    check_says("source 203.0.113.1", "");
    check_says("source 203.0.113.1 2001:db8:1::1", "");
    check_says("source 2001:db8:1::1",
               "t.conf:6:43: warning: source: there is no IPv4 address in it, so that questions "
               "to the IPv4 addresses of dns_cluster c leave from one that the system chooses; add "
               "one\n");
    const auto both = [](const std::string& service_ips) {
        return "director { interface eth0 }\ncheck soa {\nquery \". SOA\"\nsource "
               "203.0.113.1\n}\ndns_cluster c {\nservice_ip " +
               service_ips +
               "\ncheck soa\nreal_server a { address 203.0.113.11 2001:db8:1::11 }\n}\n";
    };
    says(both("192.0.2.53 2001:db8::53"),
         "t.conf:4:8: warning: source: there is no IPv6 address in it, so that questions to the "
         "IPv6 addresses of dns_cluster c leave from one that the system chooses; add one\n");
    // No service asks the servers' IPv6 addresses.
    says(both("192.0.2.53"), "");
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

TEST(Messages, APatternOfMillionsOfNamesIsRefusedBeforeItIsExpanded) {
    Files files = files_of({});
    files.expand = [](const std::string&) -> std::vector<std::string> {
        ADD_FAILURE() << "expanded";
        return {};
    };
    std::string pattern;
    for (int i = 0; i < 30; ++i)
        pattern += "{a,b}";
    const Loaded loaded = parse("x 1\ninclude " + pattern + "\n", "t.conf", files);
    ASSERT_FALSE(loaded.ok());
    const auto said = std::find_if(loaded.messages.begin(), loaded.messages.end(),
                                   [](const Message& message) { return message.line == 2; });
    ASSERT_NE(said, loaded.messages.end());
    EXPECT_EQ(said->severity, Severity::error);
    EXPECT_EQ(said->column, 9U);
    EXPECT_TRUE(said->text.starts_with(pattern + " stands for more than ")) << said->text;
}

}  // namespace
}  // namespace dnsdirector::config
