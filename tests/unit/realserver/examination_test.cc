// SPDX-License-Identifier: Apache-2.0
//
// What `realserver check` makes of what is there. Real servers' answers are the lab's.
#include "realserver/examination.h"

#include <gtest/gtest.h>

#include "realserver/translation.h"
#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using core::Finding;
using core::Findings;
using core::Level;
using fakes::add_interface;
using fakes::address;

Asked answer_of(const Post& post, const Examination& examination) {
    Asked asked;
    asked.process = post.process;
    asked.target = post.at;
    asked.protocol = post.protocol;
    asked.question = "www.example.com. A";
    asked.source = client_address(examination, post.at.address);
    asked.outcome = Asked::Outcome::answered;
    asked.rcode = 0;
    asked.size = 60;
    if (post.protocol == Protocol::udp) asked.replied_from = post.at;
    return asked;
}

/// As `up` leaves a machine, with a DNS server that does its work.
Examination as_it_should_be(const Order& order, Actual actual) {
    Examination good;
    good.order = order;
    good.up = "UP";
    good.actual = std::move(actual);
    const Wishes wishes = wishes_of(order, good.actual);
    for (const HeldAddress& held : wishes.addresses)
        good.actual.addresses.push_back(held);
    for (const auto& [path, value] : wishes.settings)
        good.actual.settings[path] = value;
    good.actual.tunnels.insert(good.actual.tunnels.end(), wishes.tunnels.begin(),
                               wishes.tunnels.end());
    good.journal.tunnels = wishes.tunnels;
    if (!wishes.ruleset.empty()) {
        good.actual.table = R"({"rule":{"chain":"a","expr":1}})"
                            "\n"
                            R"({"rule":{"chain":"a","expr":2}})"
                            "\n";
        good.journal.table = OwnTable{wishes.ruleset, *good.actual.table};
    }
    for (netlink::Link& link : good.actual.links)
        link.running = true;
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        netlink::Route route;
        route.gateway = address(family == Family::ipv4 ? "203.0.113.254" : "2001:db8:1::fe");
        good.egress[family] = {route, "eth0"};
    }
    for (const Post& post : posts_of(order.machine)) {
        good.listeners.push_back({post.protocol, post.at, "named"});
        good.asked.push_back(answer_of(post, good));
    }
    conclude(good);
    return good;
}

Examination plain_examination() {
    return as_it_should_be(fakes::plain_order(), fakes::plain_machine());
}

Order order_of_processes() {
    Order order = fakes::plain_order();
    order.machine.processes = {fakes::process("one", "eth1", "203.0.113.98"),
                               fakes::process("two", "eth2", "203.0.113.11")};
    return order;
}

Examination examination_of_processes() {
    Actual actual = fakes::plain_machine();
    add_interface(actual, "eth1", "203.0.113.98");
    add_interface(actual, "eth2");
    return as_it_should_be(order_of_processes(), actual);
}

Findings troubles_of(Examination& examination) {
    conclude(examination);
    Findings troubles = judge(examination);
    std::erase_if(troubles, [](const Finding& each) { return each.level < Level::warn; });
    return troubles;
}

/// The only one.
Finding trouble_of(Examination& examination) {
    const Findings troubles = troubles_of(examination);
    EXPECT_EQ(troubles.size(), 1U);
    return troubles.empty() ? Finding{} : troubles.front();
}

std::vector<Finding> of_check(const Examination& examination, std::string_view check) {
    Findings findings = judge(examination);
    std::erase_if(findings, [&](const Finding& each) { return each.check != check; });
    return findings;
}

TEST(Examination, FindsNothingWhereUpHasDoneItsWork) {
    Examination plain = plain_examination();
    EXPECT_EQ(troubles_of(plain), Findings{});
    Examination processes = examination_of_processes();
    EXPECT_EQ(troubles_of(processes), Findings{});
}

TEST(Examination, EachPieceHasItsLine) {
    const Examination plain = plain_examination();
    for (const char* check :
         {"service-ip", "sysctl", "quiet", "way-back", "listening", "answer", "source"})
        EXPECT_FALSE(of_check(plain, check).empty()) << check;
    const Examination processes = examination_of_processes();
    for (const char* check : {"input", "listen-address", "rules", "way-in"})
        EXPECT_FALSE(of_check(processes, check).empty()) << check;
}

struct FaultRow {
    const char* name;
    void (*spoil)(Examination&);
    Finding finding;
};

const FaultRow plain_faults[] = {
    {"service IP",
     [](Examination& e) {
         std::erase(e.actual.addresses, HeldAddress{"lo", address("192.0.2.53")});
     },
     {Level::fail, "service-ip", "192.0.2.53",
      "is not on lo: the machine drops what clients ask it", "UP"}},
    {"rp_filter",
     [](Examination& e) {
         e.order.real_servers = {address("203.0.113.98")};
         add_interface(e.actual, "eth1", "203.0.113.98");
         e.actual.settings["ipv4/conf/eth1/rp_filter"] = "1";
     },
     {Level::fail, "sysctl", "eth1",
      "net.ipv4.conf.eth1.rp_filter is 1 and must be 2: else packets of clients who are answered "
      "by another interface are dropped",
      "UP"}},
    {"stray",
     [](Examination& e) { e.actual.addresses.push_back({"eth0", address("2001:db8::53")}); },
     {Level::fail, "unfit", "",
      "2001:db8::53 is an address of eth0, too, which answers ND for it and takes it from the "
      "director",
      "ip address del 2001:db8::53/128 dev eth0"}},
    {"link MTU",
     [](Examination& e) {
         for (netlink::Link& link : e.actual.links)
             link.mtu = 1200;
         e.egress.erase(Family::ipv6);
         e.order.machine.service_ips = {address("192.0.2.53")};
         std::erase_if(e.actual.addresses,
                       [](const auto& each) { return each.address == address("2001:db8::53"); });
         std::erase_if(e.listeners, [](const auto& each) { return each.local.address.is_v6(); });
         std::erase_if(e.asked, [](const auto& each) { return each.target.address.is_v6(); });
     },
     {Level::fail, "way-back", "IPv4",
      "replies leave by eth0 to 203.0.113.254 with an MTU of 1200: answers of 1,232 bytes do not "
      "fit",
      "ip link set dev eth0 mtu 1500"}},
    {"no route",
     [](Examination& e) { e.egress.erase(Family::ipv6); },
     {Level::fail, "way-back", "IPv6", "there is no route to clients: no reply leaves",
      "ip -6 route add default via ROUTER"}},
    {"tunnel",
     [](Examination& e) { e.order.machine.tunnel_ends = {address("203.0.113.11")}; },
     {Level::fail, "tunnel", "203.0.113.11", "no device takes the director's tunnel", "UP"}},
    {"wrong source",
     [](Examination& e) {
         e.listeners[0] = {Protocol::udp, {address("0.0.0.0"), 53}, "unbound"};
         e.asked[0].replied_from = Endpoint{address("203.0.113.11"), 53};
     },
     {Level::fail, "source", "192.0.2.53:53/udp",
      "answers as 203.0.113.11:53, which clients do not take for an answer",
      "write `interface: 192.0.2.53@53` into unbound.conf, and restart unbound"}},
    {"no TCP",
     [](Examination& e) {
         e.listeners.erase(e.listeners.begin() + 1);
         e.listeners[0].program = "unbound";
         e.asked[1].outcome = Asked::Outcome::refused;
     },
     {Level::fail, "listening", "192.0.2.53:53/tcp",
      "nothing listens there; unbound does over udp, alone",
      "write `do-tcp: yes` into unbound.conf, and restart unbound"}},
    {"SERVFAIL",
     [](Examination& e) {
         e.asked[0].outcome = Asked::Outcome::wrong;
         e.asked[0].trouble = "SERVFAIL";
         e.asked[0].rcode = 2;
     },
     {Level::fail, "answer", "192.0.2.53:53/udp", "www.example.com. A: SERVFAIL",
      "see the log of named, and what this shows: dig -b 203.0.113.11 @192.0.2.53 -p 53 "
      "www.example.com. A"}},
    {"truncated",
     [](Examination& e) {
         e.asked.push_back(e.asked[0]);
         e.asked.back().large = true;
         e.asked.back().outcome = Asked::Outcome::truncated;
     },
     {Level::fail, "large-answer", "192.0.2.53:53/udp",
      "www.example.com. A: truncated to 60 bytes, although 4,096 were allowed",
      "write `max-udp-size 4096;` into named.conf, and restart named"}},
    {"not large",
     [](Examination& e) {
         e.asked.push_back(e.asked[0]);
         e.asked.back().large = true;
     },
     {Level::warn, "large-answer", "192.0.2.53:53/udp",
      "www.example.com. A: the whole answer has 60 bytes, so that nothing is known of larger ones",
      "write a `large_query` whose answer has more than 1,232 bytes"}},
    {"left-over",
     [](Examination& e) {
         e.journal.addresses = {{"lo", address("192.0.2.99")}};
         e.actual.addresses.push_back({"lo", address("192.0.2.99")});
     },
     {Level::warn, "left-over", "",
      "the file does not want it any more: `up` would remove 192.0.2.99/32 from lo", "UP"}},
};

TEST(Examination, NamesEachFaultWithItsMend) {
    for (const FaultRow& row : plain_faults) {
        SCOPED_TRACE(row.name);
        Examination examination = plain_examination();
        row.spoil(examination);
        const Finding found = trouble_of(examination);
        EXPECT_EQ(found.level, row.finding.level);
        EXPECT_EQ(found.check, row.finding.check);
        EXPECT_EQ(found.about, row.finding.about);
        EXPECT_EQ(found.text, row.finding.text);
        EXPECT_EQ(found.mend, row.finding.mend);
    }
}

const FaultRow process_faults[] = {
    {"table",
     [](Examination& e) { e.actual.table.reset(); },
     {Level::fail, "rules", "inet dnsdirector_realserver",
      "is not there: nothing is translated to the DNS processes", "UP"}},
    {"foreign rule",
     [](Examination& e) { *e.actual.table += R"({"rule":{"chain":"a","expr":3}})"; },
     {Level::fail, "rules", "inet dnsdirector_realserver",
      "has been changed: chain a: 1 rule is not ours", "UP"}},
    {"older file",
     [](Examination& e) { e.order.machine.port = 54; },
     {Level::fail, "rules", "inet dnsdirector_realserver", "does what an older file said", "UP"}},
    {"half an up",
     [](Examination& e) { e.journal.table = OwnTable{}; },
     {Level::fail, "rules", "inet dnsdirector_realserver",
      "is none that `up` has made, or not to the end", "UP"}},
    {"unreadable",
     [](Examination& e) { e.table_problem = "there is no program nft"; },
     {Level::fail, "rules", "inet dnsdirector_realserver",
      "cannot be read: there is no program nft", "apt install nftables"}},
    {"input down",
     [](Examination& e) {
         for (netlink::Link& link : e.actual.links)
             if (link.name == "eth2") link.up = false;
     },
     {Level::fail, "input", "two, eth2", "is down: nothing comes in", "ip link set dev eth2 up"}},
    {"input without IPv6",
     [](Examination& e) { e.actual.settings["ipv6/conf/eth2/disable_ipv6"] = "1"; },
     {Level::fail, "input", "two, eth2",
      "IPv6 is off: nothing comes in for the service IPs of IPv6",
      "sysctl -w net.ipv6.conf.eth2.disable_ipv6=0"}},
    {"listen address",
     [](Examination& e) {
         std::erase(e.actual.addresses, HeldAddress{"eth1", address("203.0.113.98")});
         // Without it eth1 has no address, for which the loose filter would not do.
         e.actual.settings["ipv4/conf/eth1/rp_filter"] = "0";
     },
     {Level::fail, "listen-address", "one, 203.0.113.98:53",
      "is no address of this machine: what comes in for it gets nowhere",
      "ip address add 203.0.113.98/32 dev eth1"}},
    {"no reply leaves",
     [](Examination& e) {
         e.counters = std::vector<RuleCounter>{{"one", Protocol::udp, Way::queries, 10, 600},
                                               {"two", Protocol::udp, Way::queries, 9, 600}};
     },
     {Level::fail, "counters", "one, udp",
      "10 packets in, 0 out, 0 asked at its own address: the process answers nobody",
      "see what `answer` and `source` say of it"}},
};

TEST(Examination, NamesEachFaultOfProcessesWithItsMend) {
    for (const FaultRow& row : process_faults) {
        SCOPED_TRACE(row.name);
        Examination examination = examination_of_processes();
        row.spoil(examination);
        EXPECT_EQ(trouble_of(examination), row.finding);
    }
}

TEST(Examination, DoesNotBlameWhatOnlyRootSees) {
    Examination examination = examination_of_processes();
    examination.privileged = false;
    examination.table_problem = "not permitted";
    examination.journal_problem = "not permitted";
    EXPECT_EQ(troubles_of(examination), Findings{});
    EXPECT_EQ(of_check(examination, "rules").front().level, Level::unknown);
    EXPECT_EQ(of_check(examination, "journal").front().mend, "run it as root");
}

TEST(Examination, TunnelsThatAreDownOrSmallAreNamed) {
    Order order = fakes::plain_order();
    order.machine.tunnel_ends = {address("203.0.113.11")};
    Examination examination = as_it_should_be(order, fakes::plain_machine());
    ASSERT_EQ(examination.actual.tunnels.size(), 1U);
    EXPECT_EQ(troubles_of(examination), Findings{});
    examination.actual.tunnels.front().mtu = 1400;
    examination.actual.tunnels.front().up = false;
    EXPECT_EQ(trouble_of(examination),
              (Finding{Level::fail, "tunnel", "203.0.113.11",
                       "dnsd4 is down, and has an MTU of 1400, not 1480", "UP"}));
}

TEST(Examination, ANothingToCountIsAHint) {
    Examination examination = examination_of_processes();
    examination.counters = std::vector<RuleCounter>{{"one", Protocol::udp, Way::queries, 12, 600},
                                                    {"one", Protocol::udp, Way::replies, 12, 900}};
    EXPECT_EQ(troubles_of(examination), Findings{});
    const Findings counters = of_check(examination, "counters");
    ASSERT_EQ(counters.size(), 4U);
    EXPECT_EQ(counters[0].text, "12 packets in, 12 out, 0 asked at its own address");
    EXPECT_EQ(counters[0].level, Level::ok);
    EXPECT_EQ(counters[2].about, "two, udp");
    EXPECT_EQ(counters[2].level, Level::unknown);
}

TEST(Examination, AsksFromAnAddressThatAClientCouldHave) {
    const Examination examination = plain_examination();
    EXPECT_EQ(client_address(examination, address("192.0.2.53")), address("203.0.113.11"));
    EXPECT_EQ(client_address(examination, address("2001:db8::53")), address("2001:db8:1::11"));
    // An answer to the address that was asked would come from there in any case.
    EXPECT_EQ(client_address(examination, address("203.0.113.11")), std::nullopt);
}

TEST(Examination, AsksWhatTheChecksOfTheBlockAsk) {
    core::Configuration configuration;
    const auto add = [&](const char* name, Protocol protocol, bool tls) {
        core::DnsCheck check;
        check.name = name;
        check.transport = protocol;
        check.tls = tls;
        configuration.machine_checks.push_back({{}, check, {}, {}});
    };
    std::vector<Question> questions = questions_of(configuration);
    ASSERT_EQ(questions.size(), 1U);
    EXPECT_TRUE(questions[0].ours);
    EXPECT_EQ(questions[0].check.fail_on, (std::vector<std::uint16_t>{2, 5}));
    add("www.example.com.", Protocol::udp, false);
    add("www.example.com.", Protocol::tcp, false);
    add("tls.example.com.", Protocol::tcp, true);
    configuration.real_server_machine.emplace().large_query = core::DnsCheck{};
    questions = questions_of(configuration);
    ASSERT_EQ(questions.size(), 2U);
    EXPECT_EQ(questions[0].check.name, "www.example.com.");
    EXPECT_FALSE(questions[0].ours);
    EXPECT_TRUE(questions[1].large);
}

}  // namespace
}  // namespace dnsdirector::realserver
