// SPDX-License-Identifier: Apache-2.0
//
// The checks, groups and commands of the compatible form, and what inherits from what.
#include <chrono>

#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

using namespace std::chrono_literals;

core::Check check_of(const std::string& block, const std::string& service = "",
                     const std::string& server = "") {
    const auto c = configuration_of(virtual_server(service, server + "\n" + block));
    EXPECT_EQ(c.checks.size(), 1U);
    return c.checks.empty() ? core::Check{} : c.checks[0];
}

TEST(CompatibleChecks, DefaultsDependOnTheKindAsInKeepalived) {
    const auto timing = [](const std::string& block) {
        return check_of(block, "delay_loop 20").timing;
    };
    EXPECT_EQ(timing("TCP_CHECK {\n}"), (core::CheckTiming{20s, 5s, 1, 1, 2, 20s, 0s, 1s}));
    EXPECT_EQ(timing("UDP_CHECK {\n}"), (core::CheckTiming{20s, 5s, 1, 1, 2, 20s, 0s, 1s}));
    EXPECT_EQ(timing("PING_CHECK {\n}"), (core::CheckTiming{20s, 5s, 1, 1, 2, 20s, 0s, 1s}));
    EXPECT_EQ(timing("HTTP_GET {\nurl {\npath /\n}\n}"),
              (core::CheckTiming{20s, 5s, 1, 1, 2, 20s, 0s, 3s}));
    EXPECT_EQ(timing("DNS_CHECK {\n}"), (core::CheckTiming{20s, 5s, 1, 1, 4, 20s, 0s, 20s}));
    EXPECT_EQ(timing("MISC_CHECK {\nmisc_path /bin/true\n}"),
              (core::CheckTiming{20s, 20s, 1, 1, 1, 20s, 0s, 0s}));
}

TEST(CompatibleChecks, EveryTimingKeywordIsInherited) {
    const std::string words =
        "delay_loop 7\nconnect_timeout 3\nretry 5\ndelay_before_retry 2\nwarmup 4\nalpha";
    const core::CheckTiming expected{7s, 3s, 1, 1, 6, 4s, 0s, 2s};
    const std::string blocks[] = {"TCP_CHECK", "UDP_CHECK", "PING_CHECK", "DNS_CHECK"};
    for (const std::string& block : blocks) {
        const core::Check of_service = check_of(block + " {\n}", words);
        EXPECT_EQ(of_service.timing, expected) << block;
        EXPECT_EQ(of_service.untested, core::Untested::out) << block;
        const core::Check of_server = check_of(block + " {\n}", "delay_loop 1\nretry 9", words);
        EXPECT_EQ(of_server, of_service) << block;
        const core::Check own = check_of(block + " {\n" + words + "\n}",
                                         "connect_timeout 9\nwarmup 9", "delay_before_retry 9");
        EXPECT_EQ(own, of_service) << block;
    }
    // The innermost word holds, also where it takes something back.
    EXPECT_EQ(check_of("TCP_CHECK {\nalpha off\n}", "alpha", "alpha on").untested,
              core::Untested::in);
    EXPECT_EQ(check_of("TCP_CHECK {\n}", "alpha", "alpha no").untested, core::Untested::in);
}

TEST(CompatibleChecks, ConnectionWordsReachEveryKindThatSendsPackets) {
    const std::string words =
        "connect_ip 203.0.113.99\nconnect_port 5353\nbindto 203.0.113.1\nbind_port 1053\n"
        "bind_if eth1\nfwmark 42\n";
    core::Via via;
    via.source = IpAddress::parse("203.0.113.1");
    via.source_port = 1053;
    via.interface = "eth1";
    via.mark = 42;
    const auto via_of = [&](const std::string& block, const std::string& more) {
        const core::Check check = check_of(block + " {\n" + words + more + "}");
        EXPECT_EQ(check.target.to_string(), "203.0.113.99:5353") << block;
        return check.what;
    };
    EXPECT_EQ(std::get<core::TcpCheck>(via_of("TCP_CHECK", "")).via, via);
    EXPECT_EQ(std::get<core::UdpCheck>(via_of("UDP_CHECK", "")).via, via);
    EXPECT_EQ(std::get<core::PingCheck>(via_of("PING_CHECK", "")).via, via);
    EXPECT_EQ(std::get<core::DnsCheck>(via_of("DNS_CHECK", "")).via, via);
    EXPECT_EQ(std::get<core::HttpCheck>(via_of("HTTP_GET", "url {\npath /\n}\n")).via, via);
    says(virtual_server("", "TCP_CHECK {\nbindto 2001:db8::1\n}"),
         "t.conf:8:8: error: bindto: 2001:db8::1 is IPv6, and the server asked, 203.0.113.11, is "
         "IPv4; both must be one family\n");
}

TEST(CompatibleChecks, UdpPayloadsAreHexadecimal) {
    const core::Check check = check_of(
        "UDP_CHECK {\npayload 0102 \"03ff 04\"\nrequire_reply\nmin_reply_length 12\n"
        "max_reply_length 512\n}");
    const core::UdpCheck expected{{}, {1, 2, 3, 255, 4}, true, 12, 512};
    EXPECT_EQ(std::get<core::UdpCheck>(check.what), expected);
    EXPECT_EQ(std::get<core::UdpCheck>(check_of("UDP_CHECK {\npayload 1 2 0a\n}").what),
              (core::UdpCheck{{}, {1, 2, 10}, false, 0, 255}));
    says(virtual_server("", "UDP_CHECK {\npayload 010\n}"),
         "t.conf:8:9: error: payload: `010` is half a byte too long; a byte is two hexadecimal "
         "digits\n");
    says(virtual_server("", "UDP_CHECK {\npayload 0x01\n}"),
         "t.conf:8:9: error: payload: `0x` is not made of hexadecimal digits\n");
    says(virtual_server("", "UDP_CHECK {\nrequire_reply 0001 XX\n}"),
         "t.conf:8:15: error: `0001` is too much behind require_reply: write `require_reply` (what "
         "the reply holds is not compared here; to judge an answer write a DNS_CHECK)\n");
    says(virtual_server("", "UDP_CHECK {\nmin_reply_length 5\nmax_reply_length 4\n}"),
         "t.conf:7:1: error: min_reply_length 5 is more than max_reply_length 4\n");
}

TEST(CompatibleChecks, UrlsInheritTheirHostAndMergeTheirStatuses) {
    const core::Check check = check_of(
        "HTTP_GET {\nurl {\npath /a?b=c\nstatus_code 301 200-203 204\n}\nurl {\npath /\n"
        "virtualhost own.example\n}\n}",
        "virtualhost outer.example", "virtualhost inner.example");
    const auto& urls = std::get<core::HttpCheck>(check.what).urls;
    ASSERT_EQ(urls.size(), 2U);
    EXPECT_EQ(urls[0], (core::HttpCheck::Url{"/a?b=c", "inner.example", {{200, 204}, {301, 301}}}));
    EXPECT_EQ(urls[1], (core::HttpCheck::Url{"/", "own.example", {}}));
    says(virtual_server("", "HTTP_GET {\nurl {\npath /\nstatus_code 20-30\n}\n}"),
         "t.conf:10:13: error: status_code: `20-30` is not an HTTP status, 100 to 599, or a range "
         "of them; "
         "write 200 or 200-299\n");
}

TEST(CompatibleChecks, FilesAreFoundByTheirName) {
    const auto check_with = [](const std::string& weight) {
        const auto c = configuration_of(
            "vrrp_track_file d {\nfile /run/d\nweight -3 reverse\n}\n" +
            virtual_server("alpha", "FILE_CHECK {\ntrack_file d\n" + weight + "\n}"));
        return c.checks.at(0);
    };
    EXPECT_EQ(std::get<core::FileCheck>(check_with("").what),
              (core::FileCheck{"/run/d", -3, true}));
    EXPECT_EQ(std::get<core::FileCheck>(check_with("weight 0").what),
              (core::FileCheck{"/run/d", 0, false}));
    EXPECT_EQ(check_with("").timing, (core::CheckTiming{1s, 1s, 1, 1, 1, 0s}));
    EXPECT_EQ(check_with("").untested, core::Untested::in);  // its state is known at once
    says("track_file drain {\nfile /run/d\n}\n" +
             virtual_server("", "FILE_CHECK {\ntrack_file drian\n}"),
         "t.conf:11:12: error: there is no track_file `drian` at top level; did you mean "
         "`drain`?\n");
}

TEST(CompatibleChecks, DynamicScriptsSetTheWeight) {
    for (const char* lines :
         {"misc_dynamic\nmisc_path /bin/true", "misc_path /bin/true\nmisc_dynamic"}) {
        const core::Check check = check_of("MISC_CHECK {\n" + std::string(lines) + "\n}");
        EXPECT_TRUE(std::get<core::ScriptCheck>(check.what).dynamic) << lines;
    }
}

TEST(CompatibleGroups, EachAddressIsAService) {
    const auto c = configuration_of(
        "director { interface eth0 }\n"
        "virtual_server_group g {\n192.0.2.1 53\n192.0.2.10-12 53\n192.0.2.32/31 54\n"
        "192.0.2.255-192.0.3.1 53\n}\n"
        "virtual_server group g {\nlb_algo rr\nlb_kind DR\n"
        "real_server 203.0.113.11 {\nTCP_CHECK {\n}\n}\n}\n");
    std::string keys;
    for (const core::Service& service : c.services) {
        keys += service.key.endpoint().to_string() + " ";
        EXPECT_EQ(service.group, "g");
        EXPECT_EQ(service.real_servers.at(0).endpoint.port, service.key.port);
    }
    EXPECT_EQ(keys,
              "192.0.2.1:53 192.0.2.10:53 192.0.2.11:53 192.0.2.12:53 192.0.2.32:54 192.0.2.33:54 "
              "192.0.2.255:53 192.0.3.0:53 192.0.3.1:53 ");
    EXPECT_EQ(c.checks.size(), 2U);  // one for each port
}

TEST(CompatibleGroups, SayWhatIsWrongWithAnEntry) {
    const auto entry_says = [](const std::string& entry, const std::string& message) {
        says("director { interface eth0 }\nvirtual_server_group g {\n" + entry +
                 "\n}\nvirtual_server group g {\nlb_algo rr\nlb_kind DR\n"
                 "real_server 203.0.113.11 53 {\nTCP_CHECK {\n}\n}\n}\n",
             message);
    };
    entry_says("192.0.2.33/28 53",
               "t.conf:3:1: error: virtual_server_group: `192.0.2.33/28` has bits behind its "
               "length; write the network's first address\n");
    entry_says("192.0.2.33-30 53",
               "t.conf:3:1: error: virtual_server_group: `192.0.2.33-30` ends before it begins\n");
    entry_says("192.0.2.1-256 53",
               "t.conf:3:1: error: virtual_server_group: `192.0.2.1-256` is not a range; write "
               "192.0.2.1-10 or 192.0.2.1-192.0.2.10 (both ends are part of it)\n");
    entry_says("192.0.2.1 99999",
               "t.conf:3:11: error: ADDRESS: port 99999 is out of range; it must be 1 to 65535\n");
    entry_says("2001:db8::/32 53",
               "t.conf:2:1: error: virtual_server_group g has billions of addresses, each a "
               "service, and there is room for 4096; raise max_services in the director block, or "
               "name fewer\n");
    entry_says(
        "127.0.0.1-3 53",
        "t.conf:3:1: error: virtual_server: 127.0.0.1 is a loopback address, which direct "
        "routing by the xdp plane cannot reach; dataplane proxy and dataplane none take it\n");
    entry_says("2001:db8::53 53",
               "t.conf:8:13: error: real_server: 203.0.113.11 is IPv4, and the virtual_server "
               "2001:db8::53 is IPv6; both must be one family\n");
    says(virtual_server("", "TCP_CHECK {\n}") +
             "virtual_server group h {\nreal_server 203.0.113.11 53 {\n}\n}\n",
         "t.conf:11:16: error: there is no virtual_server_group `h`\n");
}

TEST(CompatibleServices, SorryServersCommandsAndFlagsAreKept) {
    const auto c = configuration_of(virtual_server(
        "sorry_server 203.0.113.99\nsorry_server_inhibit\nomega\ninhibit_on_failure\n"
        "sorry_server_lvs_method DR\n"
        "quorum_up \"/bin/up 'a b'\" nobody\nquorum_down /bin/down",
        "notify_up /bin/u\nnotify_down \"/bin/d x > /dev/null\"\nlvs_method DR\nTCP_CHECK {\n}\n}\n"
        "real_server 203.0.113.12 53 {\ninhibit_on_failure no"));
    const core::Service& service = c.services.at(0);
    EXPECT_EQ(service.sorry_server,
              (core::SorryServer{Endpoint::parse("203.0.113.99:53").value(), true}));
    EXPECT_TRUE(service.omega);
    EXPECT_EQ(service.quorum_up, (core::Command{{"/bin/up", "a b"}, "nobody"}));
    EXPECT_EQ(service.quorum_down, (core::Command{{"/bin/down"}, ""}));
    EXPECT_EQ(service.real_servers.at(0).notify_up, (core::Command{{"/bin/u"}, ""}));
    EXPECT_EQ(service.real_servers.at(0).notify_down, (core::Command{{"/bin/d", "x"}, ""}));
    EXPECT_TRUE(service.real_servers.at(0).inhibit_on_failure);
    EXPECT_FALSE(service.real_servers.at(1).inhibit_on_failure);
    says(virtual_server("sorry_server_inhibit", "DNS_CHECK {\n}"),
         "t.conf:5:1: error: sorry_server_inhibit needs a sorry_server beside it\n");
    says(virtual_server("sorry_server 192.0.2.53 53", "DNS_CHECK {\n}"),
         "t.conf:5:14: error: sorry_server: 192.0.2.53 is the address of this virtual_server, at "
         "t.conf:2:1; write the server's\n");
    says(virtual_server("", "lvs_method TUN type gue port 6080 nocsum\nDNS_CHECK {\n}"),
         "t.conf:7:12: error: TUN type gue is not supported: write TUN, which is IPIP\n");
    says(virtual_server("sorry_server_lvs_method TUN type gre typo", "DNS_CHECK {\n}"),
         "t.conf:5:38: error: sorry_server_lvs_method: `typo` is not understood here; write DR, "
         "NAT, or TUN, perhaps with `type ipip`, `type gue port N` or `type gre`\n");
}

TEST(CompatibleServices, HashFlagsBelongToTheirScheduler) {
    const auto other_hash = [](const std::string& lines) {
        return configuration_of("director { interface eth0 }\nvirtual_server 192.0.2.53 53 {\n" +
                                lines +
                                "\nlb_kind DR\nreal_server 203.0.113.11 53 {\nweight 1\n}\n}\n")
            .services.at(0)
            .other_hash;
    };
    EXPECT_FALSE(other_hash("lb_algo sh"));
    EXPECT_TRUE(other_hash("lb_algo sh\nsh-port\nsh-fallback"));
    EXPECT_TRUE(other_hash("lb_algo mh\nmh-fallback"));
    EXPECT_FALSE(other_hash("lb_algo mh\nmh-port"));
    EXPECT_FALSE(other_hash("lb_algo wrr\nmh-port"));
    says(virtual_server("sh-port\nmh-port", "DNS_CHECK {\n}"),
         "t.conf:5:1: warning: sh-port has no effect with lb_algo wrr: it belongs to lb_algo sh\n"
         "t.conf:6:1: warning: mh-port has no effect with lb_algo wrr: it belongs to lb_algo mh\n");
}

TEST(CompatibleServices, AnotherPortOfTheSorryServerIsIgnoredAsThere) {
    const std::string text = virtual_server("sorry_server 203.0.113.99 54", "DNS_CHECK {\n}");
    says(text,
         "t.conf:5:14: warning: sorry_server: without NAT the port stays the virtual_server's, 53, "
         "so that 54 has no effect; leave it out\n");
    EXPECT_EQ(configuration_of(text).services.at(0).sorry_server->endpoint,
              Endpoint::parse("203.0.113.99:53"));
}

TEST(CompatibleServices, NumbersAreWhatKeepalivedReads) {
    const auto timing = [](const std::string& lines) {
        return configuration_of(virtual_server("", "PING_CHECK {\n" + lines + "\n}"))
            .checks.at(0)
            .timing;
    };
    using namespace std::chrono_literals;
    EXPECT_EQ(timing("retry +5\ndelay_before_retry .5").retry_after, 500ms);
    EXPECT_EQ(timing("retry +5").fall, 6U);
    EXPECT_EQ(timing("delay_loop 5.").every, 5s);
    EXPECT_EQ(timing("connect_timeout +5.5").timeout, 5500ms);
    EXPECT_EQ(timing("retry 65536").fall, 65537U);
    EXPECT_EQ(timing("retry 4294967295").fall, 4294967295U);
    // At once, and yet not without end: a refusal comes back faster than a timer.
    EXPECT_EQ(timing("retry 3\ndelay_before_retry 0").retry_after, 1ms);
    const auto refuses = [](const std::string& line) {
        const auto loaded = parse_text(virtual_server("", "PING_CHECK {\n" + line + "\n}"));
        EXPECT_FALSE(loaded.ok()) << line;
    };
    for (const char* line : {"retry 4294967296", "retry 0x10", "retry -0", "retry ++5", "retry +",
                             "delay_loop 0", "delay_loop .", "delay_loop +", "delay_loop 1e3",
                             "connect_timeout 0", "delay_before_retry -0"})
        refuses(line);
    for (const char* line : {"every .5", "every 5.", "every +5"})
        EXPECT_FALSE(parse_text(checked(line)).ok()) << line;
}

TEST(CompatibleServices, ProgramsThatCannotBeRunAreErrors) {
    Files files = files_of({});
    files.judge_program = [](const std::string& path) {
        return path == "/bin/good" ? std::string() : std::string("does not exist");
    };
    const std::string text = virtual_server(
        "quorum_up /bin/gone", "MISC_CHECK {\nmisc_path \"/bin/bad x\"\n}\nnotify_down /bin/good");
    std::string messages;
    for (const Message& message : parse(text, "t.conf", files).messages)
        messages += message.to_string() + "\n";
    EXPECT_EQ(messages,
              "t.conf:5:11: error: quorum_up: /bin/gone does not exist\n"
              "t.conf:8:11: error: misc_path: /bin/bad does not exist\n");
}

TEST(CompatibleForm, WhatHasNoEffectIsSaidOnce) {
    says(virtual_server("smtp_alert",
                        "smtp_alert\nDNS_CHECK {\n}\n}\nreal_server 203.0.113.12 53 {\n"
                        "smtp_alert\nDNS_CHECK {\n}"),
         "t.conf:5:1: warning: smtp_alert has no effect here: no mail is sent; the log and status "
         "tell what happens\n"
         "t.conf:7:1: warning: smtp_alert has no effect here: no mail is sent; the log and status "
         "tell what happens\n");
}

}  // namespace
}  // namespace dnsdirector::config
