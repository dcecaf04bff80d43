// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;
using core::DnsCheck;

IpAddress address(const char* text) {
    return IpAddress::parse(text).value();
}

const DnsCheck& dns(const core::Configuration& configuration, std::size_t check) {
    return std::get<DnsCheck>(configuration.checks.at(check).what);
}

TEST(NativeForm, TheExampleMakesFourServices) {
    const auto c = configuration_of(R"(
director {
    dataplane xdp            # xdp | ipvs | proxy | none (checks only)
    interface eth0 eth1      # where clients' packets arrive
    xdp_mode auto            # native | generic | auto
}
dns_cluster resolvers {
    service_ip 192.0.2.53 2001:db8::53
    port 53                  # default
    protocol udp tcp         # default
    lb_algo wrr
    lb_kind DR
    quorum 1
    check {
        query "www.example.com A"      # class IN unless named
        every 1s
        timeout 500ms
        tries 2
        rise 2
        fall 2
        fail_on SERVFAIL REFUSED
        # expect rcode NOERROR
        # expect answer 198.51.100.80
        transport udp tcp
        source 203.0.113.1 2001:db8:1::1
    }
    real_server ns1 { address 203.0.113.11 2001:db8:1::11; weight 2 }
    real_server ns2 { address 203.0.113.12 2001:db8:1::12; weight 1 }
}
)");
    EXPECT_EQ(c.director.interfaces, (std::vector<std::string>{"eth0", "eth1"}));
    ASSERT_EQ(c.services.size(), 4U);
    EXPECT_EQ(c.services[0].key.to_string(), "192.0.2.53:53/udp");
    EXPECT_EQ(c.services[1].key.to_string(), "192.0.2.53:53/tcp");
    EXPECT_EQ(c.services[2].key.to_string(), "[2001:db8::53]:53/udp");
    EXPECT_EQ(c.services[3].key.to_string(), "[2001:db8::53]:53/tcp");
    // Two servers, two families, two transports.
    ASSERT_EQ(c.checks.size(), 8U);
    for (const core::Service& service : c.services) {
        EXPECT_EQ(service.cluster, "resolvers");
        ASSERT_EQ(service.real_servers.size(), 2U);
        EXPECT_EQ(service.real_servers[0].name, "ns1");
        EXPECT_EQ(service.real_servers[0].weight, 2U);
        for (const core::RealServer& server : service.real_servers) {
            EXPECT_EQ(server.endpoint.address.family(), service.key.address.family());
            ASSERT_EQ(server.checks.size(), 1U);
            const core::Check& check = c.checks[server.checks[0]];
            EXPECT_EQ(check.target, server.endpoint);
            const auto& question = std::get<DnsCheck>(check.what);
            EXPECT_EQ(question.transport, service.key.protocol);
            EXPECT_EQ(question.name, "www.example.com.");
            EXPECT_EQ(question.type, 1);
            EXPECT_EQ(question.fail_on, (std::vector<std::uint16_t>{2, 5}));
            EXPECT_EQ(question.via.source,
                      address(service.key.address.is_v4() ? "203.0.113.1" : "2001:db8:1::1"));
        }
    }
}

TEST(NativeForm, WhatIsNotSaidHasTheDocumentedDefaults) {
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "dns_cluster c { service_ip 192.0.2.53; check { query \"example.com SOA\" }\n"
        "real_server a { address 203.0.113.11 } }");
    core::DirectorSettings director;
    director.interfaces = {"eth0"};
    EXPECT_EQ(c.director, director);
    ASSERT_EQ(c.services.size(), 2U);
    core::Service service;
    service.key = {address("192.0.2.53"), 53, Protocol::udp};
    service.cluster = "c";
    service.real_servers = {{"a", {address("203.0.113.11"), 53}, 1, {0}}};
    EXPECT_EQ(c.services[0], service);
    core::Check check;
    check.target = {address("203.0.113.11"), 53};
    DnsCheck question;
    question.name = "example.com.";
    question.fail_on = {2, 5};
    check.what = question;
    EXPECT_EQ(c.checks[0], check);
    EXPECT_EQ(check.timing.every, 1s);
    EXPECT_EQ(check.timing.timeout, 500ms);
    EXPECT_EQ(check.timing.tries, 2U);
    EXPECT_EQ(check.timing.warmup, 0s);
    EXPECT_EQ(check.untested, core::Untested::out);
}

TEST(NativeForm, EveryDirectorKeywordReachesTheModel) {
    const auto c = configuration_of(cluster("") + "http { listen [::1]:9153 }\n");
    EXPECT_EQ(c.director.http_listen->to_string(), "[::1]:9153");
    const auto d = configuration_of(
        "director { dataplane none; interface eth0; interface eth1; xdp_mode generic\n"
        "service_interface dummy0; script_user nobody; drain_time 1.5s\n"
        "max_services 10; max_real_servers 20; max_slots 100000; max_flows 5000 }\n"
        "dns_cluster c { service_ip 192.0.2.53; real_server a { address 203.0.113.11 } }");
    EXPECT_EQ(d.director.dataplane, core::DataPlaneKind::none);
    EXPECT_EQ(d.director.interfaces, (std::vector<std::string>{"eth0", "eth1"}));
    EXPECT_EQ(d.director.xdp_mode, core::XdpMode::generic);
    EXPECT_EQ(d.director.service_interface, "dummy0");
    EXPECT_EQ(d.director.script_user, "nobody");
    EXPECT_EQ(d.director.drain_time, 1500ms);
    EXPECT_EQ(d.director.limits, (core::Limits{10, 20, 100000, 5000}));
}

TEST(NativeForm, EveryClusterKeywordReachesTheModel) {
    const auto c = configuration_of(
        cluster("port 5353; protocol tcp; lb_algo mh; quorum 2; on_all_down empty\n"
                "max_out 50%; slow_start 1m"));
    ASSERT_EQ(c.services.size(), 1U);
    const core::Service& service = c.services[0];
    EXPECT_EQ(service.key.to_string(), "192.0.2.53:5353/tcp");
    EXPECT_EQ(service.scheduler, core::Scheduler::mh);
    EXPECT_EQ(service.method, core::ForwardingMethod::dr);
    EXPECT_EQ(service.quorum.required, 2U);
    EXPECT_EQ(service.on_all_down, core::OnAllDown::empty);
    EXPECT_EQ(service.max_out_percent, 50U);
    EXPECT_EQ(service.slow_start, 1min);
    EXPECT_EQ(service.real_servers[0].endpoint.port, 5353);
}

TEST(NativeForm, EveryCheckKeywordReachesTheModel) {
    const auto c = configuration_of(
        checked("every 100ms; timeout 100ms; tries 1; rise 3; fall 4; fail_on NXDOMAIN SERVFAIL\n"
                "expect rcode NOERROR; expect answer 198.51.100.80; expect answer 198.51.100.81\n"
                "transport udp; source 203.0.113.1; on_truncated fail; recursion off; port 54"));
    const core::Check& check = c.checks.at(0);
    EXPECT_EQ(check.timing, (core::CheckTiming{100ms, 100ms, 1, 3, 4, 0s}));
    EXPECT_EQ(check.target.to_string(), "203.0.113.11:54");
    const DnsCheck& question = dns(c, 0);
    EXPECT_EQ(question.fail_on, (std::vector<std::uint16_t>{2, 3}));
    EXPECT_EQ(question.expect_rcode, 0);
    EXPECT_EQ(question.expect_answers,
              (std::vector<std::string>{"198.51.100.80", "198.51.100.81"}));
    EXPECT_EQ(question.transport, Protocol::udp);
    EXPECT_EQ(question.via.source, address("203.0.113.1"));
    EXPECT_EQ(question.on_truncated, core::OnTruncated::fail);
    EXPECT_FALSE(question.recursion_desired);
}

TEST(NativeForm, ATimeoutAsLongAsTheIntervalIsFine) {
    EXPECT_EQ(messages_of(checked("every 100ms; timeout 100ms; tries 1; fall 2")), "");
}

TEST(NativeForm, QueriesTakeClassesNumbersAndSeveralWords) {
    const auto with_query = [](const std::string& query) {
        return dns(configuration_of(cluster("", "query " + query)), 0);
    };
    EXPECT_EQ(with_query("\"version.bind TXT CH\"").klass, 3);
    EXPECT_EQ(with_query("www.example.com AAAA").type, 28);
    EXPECT_EQ(with_query("WWW.Example.com. type65280 class5").name, "WWW.Example.com.");
    EXPECT_EQ(with_query("WWW.Example.com. type65280 class5").type, 65280);
    EXPECT_EQ(with_query("WWW.Example.com. type65280 class5").klass, 5);
    EXPECT_EQ(with_query(". ns").name, ".");
    EXPECT_EQ(with_query("\"a\\.b\\032c.example a\"").name, "a\\.b\\032c.example.");
}

TEST(NativeForm, ExpectedAnswersBecomePresentationForm) {
    const auto expected = [](const std::string& query, const std::string& answer) {
        const auto c =
            configuration_of(cluster("", "query \"" + query + "\"; expect answer " + answer));
        return dns(c, 0).expect_answers.at(0);
    };
    EXPECT_EQ(expected("x.example AAAA", "2001:DB8:0::1"), "2001:db8::1");
    EXPECT_EQ(expected("x.example CNAME", "www.example.com"), "www.example.com.");
    EXPECT_EQ(expected("x.example MX", "\"10 mail.example.com.\""), "10 mail.example.com.");
    EXPECT_EQ(expected("x.example MX", "10 mail.example.com"), "10 mail.example.com.");
    EXPECT_EQ(expected("x.example TXT", "\"v=spf1 -all\""), "\"v=spf1 -all\"");
    EXPECT_EQ(expected("x.example TXT", "a b"), "\"a\" \"b\"");
    EXPECT_EQ(expected("x.example CAA", "0 issue \"ca.example\""), "0 issue ca.example");
}

TEST(NativeForm, AnExpectedStatusIsNoFailureByDefault) {
    const auto c = configuration_of(checked("expect rcode REFUSED"));
    EXPECT_EQ(dns(c, 0).fail_on, (std::vector<std::uint16_t>{2}));
    EXPECT_TRUE(dns(configuration_of(checked("fail_on none")), 0).fail_on.empty());
}

TEST(NativeForm, AServiceFollowsItsOwnTransportWhereTheCheckHasIt) {
    const auto transports = [](const core::Configuration& c, std::size_t service) {
        std::string out;
        for (const core::CheckIndex check : c.services.at(service).real_servers.at(0).checks)
            out += std::string(to_string(dns(c, check).transport)) + ' ';
        return out;
    };
    const auto both = configuration_of(checked(""));
    EXPECT_EQ(transports(both, 0), "udp ");
    EXPECT_EQ(transports(both, 1), "tcp ");
    const auto udp = configuration_of(checked("transport udp"));
    EXPECT_EQ(transports(udp, 0), "udp ");
    EXPECT_EQ(transports(udp, 1), "udp ");
    const auto all = configuration_of(cluster("require all"));
    EXPECT_EQ(transports(all, 0), "udp tcp ");
    EXPECT_EQ(transports(all, 1), "udp tcp ");
    const auto several =
        configuration_of(cluster("check { query \"tcp.example A\"; transport tcp }\n"));
    EXPECT_EQ(transports(several, 0), "udp tcp ");
    EXPECT_EQ(transports(several, 1), "tcp tcp ");
}

TEST(NativeForm, ASourceIsUsedForItsFamilyOnly) {
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "dns_cluster c { service_ip 192.0.2.53 2001:db8::53\n"
        "check { query \". SOA\"; source 2001:db8:1::1; transport udp }\n"
        "real_server a { address 203.0.113.11 2001:db8:1::11 } }");
    ASSERT_EQ(c.checks.size(), 2U);
    EXPECT_EQ(dns(c, 0).via.source, std::nullopt);
    EXPECT_EQ(dns(c, 1).via.source, address("2001:db8:1::1"));
}

TEST(NativeForm, EqualChecksOfSeveralClustersAreOne) {
    const std::string text =
        "director { interface eth0 }\n"
        "check soa { query \". SOA\"; transport udp }\n"
        "dns_cluster a { service_ip 192.0.2.53; check soa; real_server s { address 203.0.113.11 } "
        "}\n"
        "dns_cluster b { service_ip 192.0.2.54; check { query \". SOA\"; transport udp }\n"
        "                real_server other { address 203.0.113.11 } }\n"
        "dns_cluster c { service_ip 192.0.2.55; check soa; real_server s { address 203.0.113.12 } "
        "}\n";
    const auto c = configuration_of(text);
    EXPECT_EQ(c.checks.size(), 2U);
    ASSERT_EQ(c.services.size(), 6U);
    EXPECT_EQ(c.services[0].real_servers[0].checks, c.services[2].real_servers[0].checks);
    EXPECT_NE(c.services[0].real_servers[0].checks, c.services[4].real_servers[0].checks);
}

TEST(NativeForm, ANamedCheckMayStandBehindItsUse) {
    const auto c = configuration_of(
        "dns_cluster a { service_ip 192.0.2.53; check soa; real_server s { address 203.0.113.11 } "
        "}\n"
        "check soa { query \". SOA\" }\ndirector { interface eth0 }\n");
    EXPECT_EQ(c.checks.size(), 2U);
}

TEST(NativeForm, LoopbackServersAreForPlanesThatReachThem) {
    const std::string servers =
        "dns_cluster c { service_ip 127.0.0.53; check { query \". SOA\" }\n"
        "real_server a { address 127.0.0.1 } }";
    EXPECT_TRUE(parse_text("director { dataplane none }\n" + servers).ok());
    EXPECT_FALSE(parse_text("director { dataplane xdp }\n" + servers).ok());
}

}  // namespace
}  // namespace dnsdirector::config
