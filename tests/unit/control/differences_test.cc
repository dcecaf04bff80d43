// SPDX-License-Identifier: Apache-2.0
#include "control/differences.h"

#include <gtest/gtest.h>

#include "config/config.h"

namespace dnsdirector::control {
namespace {

core::Configuration parse(const std::string& servers, const std::string& check = "every 1s",
                          const std::string& cluster = "quorum 1") {
    const auto loaded = config::parse(
        "director { interface eth0 }\n"
        "dns_cluster resolvers {\n service_ip 192.0.2.53\n"
        " protocol udp\n " +
            cluster + "\n check { query \"example.com A\"; " + check + " }\n" + servers + "\n}\n",
        "test.conf");
    EXPECT_TRUE(loaded.ok()) << (loaded.messages.empty() ? "" : loaded.messages[0].to_string());
    return loaded.configuration.value_or(core::Configuration{});
}

const std::string one_block = "real_server ns1 { address 203.0.113.11; weight 1 }\n";
const std::string two_blocks = one_block + "real_server ns2 { address 203.0.113.12; weight 1 }\n";
using Lines = std::vector<std::string>;

TEST(Differences, AFileThatMeansTheSameChangesNothing) {
    EXPECT_EQ(differences(parse(two_blocks), parse("\n# a comment\n" + two_blocks)), Lines{});
}

TEST(Differences, NamesServersThatComeAndGo) {
    EXPECT_EQ(differences(parse(one_block), parse(two_blocks)),
              Lines{"192.0.2.53:53/udp: add real server ns2 203.0.113.12:53 weight 1"});
    EXPECT_EQ(differences(parse(two_blocks), parse(one_block)),
              Lines{"192.0.2.53:53/udp: remove real server ns2 203.0.113.12:53"});
}

TEST(Differences, NamesOldAndNewValue) {
    EXPECT_EQ(
        differences(parse(one_block), parse("real_server ns1 { address 203.0.113.11; weight 3 }")),
        Lines{"192.0.2.53:53/udp: real server ns1 203.0.113.11:53 weight 1 -> 3"});
    EXPECT_EQ(differences(parse(one_block), parse(one_block, "every 1s", "quorum 2")),
              Lines{"192.0.2.53:53/udp: quorum '1' -> '2'"});
}

TEST(Differences, AChangedCheckIsAChange) {
    EXPECT_EQ(differences(parse(one_block), parse(one_block, "every 5s")),
              Lines{"192.0.2.53:53/udp: real server ns1 203.0.113.11:53 check dns example.com. A "
                    "udp: every 1s -> 5s"});
    const Lines lines =
        differences(parse(one_block), parse(one_block, "every 1s; timeout 300ms; tries 4"));
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_TRUE(
        lines[0].ends_with("check dns example.com. A udp: timeout 500ms -> 300ms, tries 2 "
                           "-> 4"))
        << lines[0];
}

TEST(Differences, ChecksThatComeAndGoAreNamed) {
    const core::Configuration present = parse(one_block);
    core::Configuration next = present;
    core::Check tcp = present.checks[0];
    tcp.what = core::TcpCheck{};
    next.checks.push_back(tcp);
    next.services[0].real_servers[0].checks.push_back(
        static_cast<core::CheckIndex>(next.checks.size() - 1));
    const Lines added = differences(present, next);
    ASSERT_EQ(added.size(), 1U);
    EXPECT_TRUE(added[0].ends_with("check added: tcp connect every 1s")) << added[0];
    const Lines removed = differences(next, present);
    ASSERT_EQ(removed.size(), 1U);
    EXPECT_TRUE(removed[0].ends_with("check removed: tcp connect")) << removed[0];
}

TEST(Differences, EveryFieldOfACheckCounts) {
    core::Configuration present = parse(one_block);
    const auto changed = [&](auto change) {
        core::Configuration next = present;
        change(next.checks[0]);
        return differences(present, next).size() == 1;
    };
    EXPECT_TRUE(changed([](core::Check& c) { c.timing.timeout += Milliseconds(1); }));
    EXPECT_TRUE(changed([](core::Check& c) { c.timing.tries += 1; }));
    EXPECT_TRUE(changed([](core::Check& c) { c.timing.rise += 1; }));
    EXPECT_TRUE(changed([](core::Check& c) { c.timing.fall += 1; }));
    EXPECT_TRUE(changed([](core::Check& c) { c.timing.warmup += Seconds(1); }));
    EXPECT_TRUE(changed([](core::Check& c) { c.untested = core::Untested::in; }));
    const auto question = [](core::Check& c) -> core::DnsCheck& {
        return std::get<core::DnsCheck>(c.what);
    };
    EXPECT_TRUE(changed([&](core::Check& c) { question(c).type += 1; }));
    EXPECT_TRUE(changed([&](core::Check& c) { question(c).klass += 1; }));
    EXPECT_TRUE(changed([&](core::Check& c) { question(c).recursion_desired = false; }));
    EXPECT_TRUE(changed([&](core::Check& c) { question(c).expect_answers = {"192.0.2.1"}; }));
    EXPECT_TRUE(
        changed([&](core::Check& c) { question(c).on_truncated = core::OnTruncated::fail; }));
    EXPECT_TRUE(
        changed([&](core::Check& c) { c.what = core::ScriptCheck{{"/a", "b c"}, "", "", ""}; }));
}

TEST(Differences, CommandsSorryServerAndInhibitionAreNamed) {
    const core::Configuration present = parse(one_block);
    const auto line = [&](auto change) {
        core::Configuration next = present;
        change(next.services[0]);
        const Lines lines = differences(present, next);
        return lines.size() == 1 ? lines[0] : std::to_string(lines.size()) + " lines";
    };
    EXPECT_EQ(line([](core::Service& s) {
                  s.sorry_server = {{*IpAddress::parse("203.0.113.9"), 53}, false};
              }),
              "192.0.2.53:53/udp: sorry_server 'none' -> '203.0.113.9:53'");
    EXPECT_EQ(line([](core::Service& s) { s.quorum_up = core::Command{{"/bin/a", "b"}, "c"}; }),
              "192.0.2.53:53/udp: quorum_up 'none' -> '/bin/a b as c'");
    EXPECT_EQ(line([](core::Service& s) { s.omega = true; }),
              "192.0.2.53:53/udp: omega 'off' -> 'on'");
    EXPECT_EQ(line([](core::Service& s) {
                  s.to_all = {.notify = true,
                              .update = true,
                              .answers = 2,
                              .from = {{*IpAddress::parse("198.51.100.0"), 24}}};
              }),
              "192.0.2.53:53/udp: to_all 'none' -> 'notify update, answers 2, from "
              "198.51.100.0/24'");
    EXPECT_EQ(line([](core::Service& s) { s.real_servers[0].inhibit_on_failure = true; }),
              "192.0.2.53:53/udp: real server ns1 203.0.113.11:53 inhibit_on_failure 'off' -> "
              "'on'");
    EXPECT_EQ(line([](core::Service& s) { s.real_servers[0].some_of = {{0, 1, 1}}; }),
              "192.0.2.53:53/udp: real server ns1 203.0.113.11:53 checks needed 'all must pass' "
              "-> '1 of checks 1 to 1'");
}

TEST(Differences, SettingsOfTheRunningProcessNeedARestart) {
    core::DirectorSettings present;
    core::DirectorSettings next = present;
    EXPECT_EQ(needs_restart(present, next), "");
    next.interfaces = {"eth1"};
    EXPECT_NE(needs_restart(present, next).find("interface"), std::string::npos);
    next.dataplane = core::DataPlaneKind::none;
    EXPECT_TRUE(needs_restart(present, next)
                    .starts_with("the director that answers here has 'dataplane xdp', the file "
                                 "has 'dataplane none'"));
}

core::Configuration with_bgp(const std::string& lines) {
    const auto loaded = config::parse(
        "director { dataplane none }\ndns_cluster c { service_ip 192.0.2.53 "
        "192.0.2.54; check { query \". SOA\" }; real_server a { address "
        "203.0.113.11 } }\n" +
            (lines.empty() ? lines : "bgp { router_id 198.51.100.1; " + lines + " }"),
        "test.conf");
    EXPECT_TRUE(loaded.ok()) << (loaded.messages.empty() ? "" : loaded.messages[0].to_string());
    return loaded.configuration.value_or(core::Configuration{});
}

TEST(Differences, OfTheBgpBlockAreNamedWithoutPasswords) {
    const auto block = [&](const std::string& neighbor, const std::string& more = "") {
        return with_bgp("local_as 64512; neighbor 198.51.100.253 { remote_as 64512; " + neighbor +
                        " }; announce 192.0.2.53; " + more);
    };
    const core::Configuration present = block("");
    EXPECT_EQ(differences(present, block("")), Lines{});
    EXPECT_EQ(differences(with_bgp(""), present), Lines{"bgp: add with 1 neighbors"});
    EXPECT_EQ(differences(present, with_bgp("")), Lines{"bgp: remove"});
    EXPECT_EQ(differences(block("password one"), block("password two")),
              Lines{"bgp: neighbor 198.51.100.253: another password"});
    EXPECT_EQ(differences(present, block("hold_time 30s; bfd 100ms 3; next_hop 198.51.100.9")),
              (Lines{"bgp: neighbor 198.51.100.253: hold_time '9s' -> '30s'",
                     "bgp: neighbor 198.51.100.253: keepalive '3s' -> '10s'",
                     "bgp: neighbor 198.51.100.253: bfd 'off' -> '100ms 3'",
                     "bgp: neighbor 198.51.100.253: next_hop IPv4 'automatic' -> "
                     "'198.51.100.9'"}));
    EXPECT_EQ(differences(present, block("",
                                         "announce 192.0.2.54; graceful_shutdown off; daemon "
                                         "existing bird; neighbor 198.51.100.254 { remote_as 1 }")),
              (Lines{"bgp: daemon 'bird' -> 'existing bird'", "bgp: add neighbor 198.51.100.254",
                     "bgp: announce 192.0.2.53: communities when draining '65535:0' -> ''",
                     "bgp: add announce 192.0.2.54"}));
    const auto announcing = [&](const std::string& how) {
        return with_bgp(
            "local_as 64512; neighbor 198.51.100.253 { remote_as 64512 }; "
            "announce 192.0.2.53 { " +
            how + " }");
    };
    EXPECT_EQ(differences(announcing("low_water 50%"),
                          announcing("low_water 50%; high_water 60%; needs udp; min_interval 1m")),
              (Lines{"bgp: announce 192.0.2.53: needs 'udp tcp' -> 'udp'",
                     "bgp: announce 192.0.2.53: high_water '50%' -> '60%'",
                     "bgp: announce 192.0.2.53: min_interval '5s' -> '1m'"}));
}

}  // namespace
}  // namespace dnsdirector::control
