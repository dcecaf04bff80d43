// SPDX-License-Identifier: Apache-2.0
#include <chrono>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;
using core::ScriptCheck;

const ScriptCheck& script(const core::Configuration& configuration) {
    return std::get<ScriptCheck>(configuration.checks.at(0).what);
}

core::Configuration with_misc(const std::string& lines) {
    return configuration_of(virtual_server("", "MISC_CHECK {\n" + lines + "\n}"));
}

TEST(CompatibleForm, TheExampleRunsAsItStands) {
    const Loaded loaded = parse_text(R"(! Balancer-Set for udp/53
virtual_server 192.0.2.53 53 {
    delay_loop 10
    lb_algo wrr
    lb_kind DR
    protocol UDP
    real_server 203.0.113.11 53 {
        weight 1
        MISC_CHECK {
            misc_path "/usr/bin/dig -b 203.0.113.1 a www.example.com @203.0.113.11 +time=1 +tries=5 +fail > /dev/null"
            misc_timeout 6
        }
    }
}
)");
    ASSERT_TRUE(loaded.ok());
    ASSERT_EQ(loaded.messages.size(), 1U);
    EXPECT_EQ(
        loaded.messages[0].to_string(),
        "t.conf: warning: no director block: attaching to every interface that has a route to "
        "a real server");
    const core::Configuration& c = *loaded.configuration;
    ASSERT_EQ(c.services.size(), 1U);
    core::Service service;
    service.key = {IpAddress::parse("192.0.2.53").value(), 53, Protocol::udp};
    service.on_all_down = core::OnAllDown::empty;
    service.real_servers = {
        {"203.0.113.11:53", Endpoint::parse("203.0.113.11:53").value(), 1, {0}}};
    EXPECT_EQ(c.services[0], service);
    core::Check check;
    check.target = service.real_servers[0].endpoint;
    core::DigCheck dig;
    dig.name = "www.example.com.";
    dig.tcp_timeout = 1s;
    dig.via.source = IpAddress::parse("203.0.113.1");
    dig.edns = core::Edns{};
    dig.command =
        "/usr/bin/dig -b 203.0.113.1 a www.example.com @203.0.113.11 +time=1 +tries=5 +fail";
    check.what = dig;
    check.timing = {10s, 1s, 5, 1, 1, 10s, 6s};
    check.untested = core::Untested::in;
    ASSERT_EQ(c.checks.size(), 1U);
    EXPECT_EQ(c.checks[0], check);
}

TEST(CompatibleForm, DefaultsAreThoseOfKeepalived) {
    const auto c = with_misc("misc_path /bin/true");
    EXPECT_EQ(c.services[0].key.protocol, Protocol::udp);
    EXPECT_EQ(c.services[0].quorum, (core::Quorum{1, 0}));
    EXPECT_EQ(c.services[0].real_servers[0].weight, 1U);
    EXPECT_EQ(c.checks[0].timing, (core::CheckTiming{60s, 60s, 1, 1, 1, 60s}));
    // wlc and NAT, which the none plane takes as they are.
    const auto none = configuration_of(
        "director { dataplane none }\n"
        "virtual_server 192.0.2.53 53 { real_server 203.0.113.11 5353 { weight 1 } }");
    EXPECT_EQ(none.services[0].scheduler, core::Scheduler::wlc);
    EXPECT_EQ(none.services[0].method, core::ForwardingMethod::nat);
    EXPECT_EQ(none.services[0].real_servers[0].endpoint.port, 5353);
}

TEST(CompatibleForm, TheInnermostTimingHolds) {
    const auto c = configuration_of(virtual_server(
        "delay_loop 10\nretry 1\nwarmup 0\nweight 7\nquorum 3\nhysteresis 1\nprotocol TCP",
        "delay_loop 5\nMISC_CHECK {\nmisc_path /bin/true\nretry 2\ndelay_loop 500ms\n}\n"
        "MISC_CHECK {\nmisc_path /bin/false\nuser nobody\n}"));
    ASSERT_EQ(c.checks.size(), 2U);
    EXPECT_EQ(c.checks[0].timing, (core::CheckTiming{500ms, 500ms, 1, 1, 3, 0s, 0s, 1s}));
    EXPECT_EQ(c.checks[1].timing, (core::CheckTiming{5s, 5s, 1, 1, 2, 0s, 0s, 1s}));
    EXPECT_EQ(std::get<ScriptCheck>(c.checks[1].what).user, "nobody");
    EXPECT_EQ(c.services[0].quorum, (core::Quorum{3, 1}));
    EXPECT_EQ(c.services[0].real_servers[0].weight, 7U);
    EXPECT_EQ(c.services[0].key.protocol, Protocol::tcp);
}

TEST(CompatibleForm, DnsChecksPassOnNoerrorAlone) {
    const auto c = configuration_of(
        virtual_server("delay_loop 10",
                       "DNS_CHECK {\ntype a\nname www.example.com\nbindto 203.0.113.1\n"
                       "connect_timeout 2\n}"));
    core::DnsCheck question;
    question.name = "www.example.com.";
    question.type = 1;
    question.via.source = IpAddress::parse("203.0.113.1");
    question.expect_rcode = 0;
    question.on_truncated = core::OnTruncated::pass;
    EXPECT_EQ(std::get<core::DnsCheck>(c.checks.at(0).what), question);
    EXPECT_EQ(c.checks[0].timing, (core::CheckTiming{10s, 2s, 1, 1, 4, 10s, 0s, 10s}));
    const auto standard = configuration_of(
        virtual_server("", "DNS_CHECK {\nconnect_ip 203.0.113.99\nconnect_port 54\n}"));
    EXPECT_EQ(standard.checks[0].target.to_string(), "203.0.113.99:54");
    EXPECT_EQ(std::get<core::DnsCheck>(standard.checks[0].what).name, ".");
    EXPECT_EQ(std::get<core::DnsCheck>(standard.checks[0].what).type, 6);
}

TEST(CompatibleForm, TheSameScriptOfTwoServicesIsOneCheck) {
    const std::string server =
        "real_server 203.0.113.11 53 { MISC_CHECK {\nmisc_path /bin/true\n} }";
    const std::string head = " {\nlb_algo wrr\nlb_kind DR\n";
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "virtual_server 192.0.2.53 53" +
        head + "protocol UDP\n" + server +
        "\n}\n"
        "virtual_server 192.0.2.53 53" +
        head + "protocol TCP\n" + server + "\n}\n");
    EXPECT_EQ(c.services.size(), 2U);
    EXPECT_EQ(c.checks.size(), 1U);
}

TEST(CompatibleForm, IPv6ServersAreCalledInBrackets) {
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "virtual_server 2001:db8::53 53 {\nlvs_sched rr\nlvs_method DR\n"
        "real_server 2001:db8:1::11 53 { weight 1 } }");
    EXPECT_EQ(c.services[0].real_servers[0].name, "[2001:db8:1::11]:53");
    EXPECT_EQ(c.services[0].scheduler, core::Scheduler::rr);
}

TEST(CompatibleForm, CommandsAreSplitWithBothQuotesAndEscapes) {
    const auto c = with_misc(
        "misc_path \"/bin/check 'one word' \\\"two words\\\" three\\\\ words # { } ; !\"");
    EXPECT_EQ(script(c).arguments,
              (std::vector<std::string>{"/bin/check", "one word", "two words", "three words", "#",
                                        "{", "}", ";", "!"}));
    EXPECT_EQ(script(with_misc("misc_path '/bin/check \"a b\" c'")).arguments,
              (std::vector<std::string>{"/bin/check", "a b", "c"}));
}

TEST(CompatibleForm, RedirectionsAreReadAsMeant) {
    const auto redirected = [](const std::string& words) {
        const auto c = with_misc("misc_path \"/bin/check x " + words + "\"");
        EXPECT_EQ(script(c).arguments, (std::vector<std::string>{"/bin/check", "x"})) << words;
        return script(c).stdout_to + "," + script(c).stderr_to;
    };
    EXPECT_EQ(redirected("> /dev/null"), ",");
    EXPECT_EQ(redirected(">/dev/null 2>&1"), ",");
    EXPECT_EQ(redirected("2>/dev/null"), ",");
    EXPECT_EQ(redirected("> /tmp/out"), "/tmp/out,");
    EXPECT_EQ(redirected(">/tmp/out 2>&1"), "/tmp/out,&1");
    EXPECT_EQ(redirected("2>&1 1>/tmp/out"), "/tmp/out,&1");
    EXPECT_EQ(redirected("2> /tmp/err"), ",/tmp/err");
    EXPECT_EQ(redirected("&> /tmp/both"), "/tmp/both,&1");
    EXPECT_EQ(redirected("&>/dev/null"), ",");
    // What is quoted within the command is a word.
    EXPECT_EQ(script(with_misc("misc_path \"/bin/check '>' x\"")).arguments,
              (std::vector<std::string>{"/bin/check", ">", "x"}));
}

TEST(CompatibleForm, BothFormsMeanTheSame) {
    auto native = configuration_of(
        "director { interface eth0 }\n"
        "dns_cluster c { service_ip 192.0.2.53; protocol udp; quorum 2; on_all_down empty\n"
        "real_server \"x\" { address 203.0.113.11; weight 3 } }");
    const auto compatible = configuration_of(
        "director { interface eth0 }\n"
        "virtual_server 192.0.2.53 53 {\nlb_algo wrr\nlb_kind DR\nquorum 2\n"
        "real_server 203.0.113.11 53 {\nweight 3\n}\n}");
    // Names are all that differs.
    native.services[0].cluster.clear();
    native.services[0].real_servers[0].name = "203.0.113.11:53";
    EXPECT_EQ(native, compatible);
}

/// By the table of conversion in the manual.
TEST(CompatibleForm, AConvertedCheckAsksTheSame) {
    const auto native = configuration_of(
        checked("every 10; timeout 2; tries 1; rise 1; fall 4; source 203.0.113.1; transport udp; "
                "expect rcode NOERROR; on_truncated pass"));
    const auto compatible = configuration_of(
        virtual_server("delay_loop 10",
                       "DNS_CHECK {\ntype A\nname www.example.com\nconnect_timeout 2\nretry 3\n"
                       "bindto 203.0.113.1\n}"));
    auto asked = std::get<core::DnsCheck>(native.checks.at(0).what);
    EXPECT_EQ(asked.fail_on, (std::vector<std::uint16_t>{2, 5}));  // idle beside expect rcode
    asked.fail_on.clear();
    EXPECT_EQ(asked, std::get<core::DnsCheck>(compatible.checks.at(0).what));
    auto timing = native.checks[0].timing;
    timing.warmup = compatible.checks[0].timing.warmup;
    timing.retry_after = compatible.checks[0].timing.retry_after;
    EXPECT_EQ(timing, compatible.checks[0].timing);
    EXPECT_EQ(native.checks[0].target, compatible.checks[0].target);
}

TEST(CompatibleForm, ASharedFileLoadsWithAWarningForEachForeignBlock) {
    EXPECT_EQ(
        messages_of("global_defs {\n  router_id LVS_1\n  script_user nobody nogroup\n}\n"
                    "vrrp_script chk {\n  script \"/bin/sh -c \\\"exit 0 }\\\"\"\n}\n"
                    "vrrp_instance VI_1 {\n  virtual_ipaddress {\n    192.0.2.1/24 dev eth0\n  }\n"
                    "  notify \"/bin/x {\"\n}\n" +
                    virtual_server("smtp_alert\nops\nsnmp_name x", "weight 1")),
        "t.conf:1:1: warning: of global_defs only script_user has an effect here\n"
        "t.conf:3:3: warning: script_user: the group has no effect; scripts run with the "
        "user's own groups\n"
        "t.conf:5:1: warning: vrrp_script has no effect here: it concerns other parts of "
        "keepalived\n"
        "t.conf:8:1: warning: vrrp_instance has no effect here: it concerns other parts of "
        "keepalived\n"
        "t.conf:18:1: warning: smtp_alert has no effect here: no mail is sent; the log and "
        "status tell what happens\n"
        "t.conf:20:1: warning: snmp_name has no effect here: there is no SNMP\n"
        "t.conf:21:13: warning: real_server 203.0.113.11:53 has no check: it is used unchecked\n");
}

TEST(CompatibleForm, WhatHasItsEffectIsNotWarnedOf) {
    const std::string server = virtual_server("ops\nsh-fallback\nha_suspend", "DNS_CHECK {\n}");
    says(server, "");
    says("global_defs {\n  script_user nobody\n}\n" + server, "");
    says("global_defs {\n}\n" + server, "");
    // Each block is judged by what it holds itself.
    says("global_defs { router_id a\n}\nglobal_defs {\n  script_user nobody\n}\n" + server,
         "t.conf:1:1: warning: of global_defs only script_user has an effect here\n");
}

TEST(CompatibleForm, TheDirectorsOwnScriptUserCountsMore) {
    const std::string global = "global_defs { script_user one }\n";
    const std::string own = "director { interface eth0; script_user two }\n";
    const std::string server =
        "virtual_server 192.0.2.53 53 {\nlb_algo wrr\nlb_kind DR\n"
        "real_server 203.0.113.11 53 { weight 1 } }";
    EXPECT_EQ(configuration_of(global + own + server).director.script_user, "two");
    EXPECT_EQ(configuration_of(own + global + server).director.script_user, "two");
    EXPECT_EQ(configuration_of(global + server).director.script_user, "one");
}

}  // namespace
}  // namespace dnsdirector::config
