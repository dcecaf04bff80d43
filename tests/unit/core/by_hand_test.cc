// SPDX-License-Identifier: Apache-2.0
#include "core/by_hand.h"

#include <gtest/gtest.h>

namespace dnsdirector::core {
namespace {

Check check(Check::What what, const char* target = "203.0.113.12:53") {
    Check made;
    made.target = *Endpoint::parse(target);
    made.what = std::move(what);
    return made;
}

DnsCheck www() {
    DnsCheck dns;
    dns.name = "www.example.com.";
    dns.type = 1;
    return dns;
}

TEST(ByHand, a_dns_check_is_a_dig_line) {
    EXPECT_EQ(by_hand(check(www())),
              "dig @203.0.113.12 www.example.com. A +noedns +time=1 +tries=2");
    DnsCheck dns = www();
    dns.via.source = *IpAddress::parse("2001:db8:1::1");
    dns.via.source_port = 5300;
    dns.via.interface = "eth1";
    dns.via.mark = 7;
    dns.transport = Protocol::tcp;
    dns.recursion_desired = false;
    dns.klass = 3;
    dns.edns = Edns{1400, true};
    Check made = check(dns, "[2001:db8:1::12]:5353");
    made.timing.timeout = Milliseconds{1500};
    made.timing.tries = 3;
    EXPECT_EQ(by_hand(made),
              "dig -b 2001:db8:1::1#5300 -p 5353 @2001:db8:1::12 www.example.com. CH A +tcp "
              "+norecurse +nocookie +bufsize=1400 +dnssec +time=2 +tries=3  # the check leaves by "
              "eth1 with mark 7");
}

TEST(ByHand, says_tls_random_labels_and_what_truncation_does) {
    DnsCheck dns = www();
    dns.transport = Protocol::tcp;
    dns.tls = true;
    dns.random_label = true;
    EXPECT_EQ(by_hand(check(dns, "203.0.113.12:853")),
              "dig @203.0.113.12 any-label.www.example.com. A +tls +noedns +time=1 +tries=2");
    dns = www();
    dns.on_truncated = OnTruncated::fail;
    EXPECT_NE(by_hand(check(dns)).find(" +ignore"), std::string::npos);
}

TEST(ByHand, what_goes_through_the_service_ip_is_asked_on_the_server) {
    DnsCheck dns = www();
    dns.via.source = *IpAddress::parse("203.0.113.1");
    dns.via.service_ip = *IpAddress::parse("192.0.2.53");
    EXPECT_EQ(by_hand(check(dns)),
              "dig @192.0.2.53 www.example.com. A +noedns +time=1 +tries=2  # on 203.0.113.12 "
              "itself, where the check's packet ends");
    EXPECT_EQ(summary_of(dns), "www.example.com. A udp through 192.0.2.53");
    Check direct = check(dns), by_tunnel = check(dns);
    std::get<DnsCheck>(by_tunnel.what).via.tunnel = true;
    EXPECT_NE(full_text(direct), full_text(by_tunnel));
}

TEST(ByHand, scripts_files_and_the_others) {
    EXPECT_EQ(by_hand(check(ScriptCheck{.arguments = {"/bin/sh", "-c", "it's $HOME"}})),
              R"(/bin/sh -c 'it'\''s $HOME')");
    EXPECT_EQ(by_hand(check(FileCheck{.path = "/run/a b"})), "cat '/run/a b'");
    EXPECT_EQ(by_hand(check(PingCheck{})), "ping -n -c 1 -W 1 203.0.113.12");
    EXPECT_EQ(by_hand(check(TcpCheck{})), "nc -vz -w 1 203.0.113.12 53");
    EXPECT_EQ(by_hand(check(UdpCheck{})), "");
    DigCheck dig;
    dig.command = "/usr/bin/dig a www.example.com @203.0.113.12 +fail > /dev/null";
    EXPECT_EQ(by_hand(check(dig)), dig.command);
    HttpCheck http;
    http.urls.push_back({"/ok?a=1", "www.example.com", {}});
    EXPECT_EQ(by_hand(check(http, "203.0.113.12:80")),
              "curl -i -m 1 -H 'Host: www.example.com' 'http://203.0.113.12:80/ok?a=1'");
}

}  // namespace
}  // namespace dnsdirector::core
