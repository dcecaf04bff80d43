// SPDX-License-Identifier: Apache-2.0
//
// The bgp block: what it means, and what is refused or warned of.
#include "unit/config/support.h"

namespace dnsdirector::config {
namespace {

/// Clusters on lines 1 and 2, the block from line 3 on, its first line of `lines` being line 4.
std::string with_bgp(const std::string& lines) {
    return "director { dataplane none }\n"
           "dns_cluster c { service_ip 192.0.2.53 2001:db8::53; check { query \". SOA\" }; "
           "real_server a { address 203.0.113.11 2001:db8:1::11 } }\n"
           "bgp {\n" +
           lines + "\n}\n";
}

const std::string bgp_head = "local_as 64512; router_id 198.51.100.1\n";
const std::string two_families =
    "neighbor 198.51.100.253 { remote_as 64512 }\nneighbor 2001:db8:2::253 { remote_as 64512 }\n";
const std::string both = "announce 192.0.2.53 2001:db8::53";

core::Bgp bgp_of(const std::string& lines) {
    const core::Configuration configuration = configuration_of(with_bgp(lines));
    EXPECT_TRUE(configuration.bgp.has_value());
    return configuration.bgp.value_or(core::Bgp{});
}

/// The errors and warnings of a block, but for the warning that each has.
void bgp_says(const std::string& lines, const std::string& messages) {
    std::string said = messages_of(with_bgp(lines));
    EXPECT_EQ(said, messages) << lines;
}

TEST(BgpBlock, MeansWhatTheClassicConfigurationSaid) {
    const core::Bgp bgp =
        bgp_of("daemon existing frr\n" + bgp_head +
               "neighbor 198.51.100.253 { remote_as 64512; description ffm4-j2; bfd 100ms 5 }\n"
               "neighbor 2001:db8:2::253 { remote_as 64513 }\n"
               "announce 192.0.2.53 { med 1; local_preference 200; community 64512:1 64512:1:2; "
               "degraded_community 64512:2 }\n"
               "announce 2001:db8::53");
    EXPECT_EQ(bgp.daemon, core::RoutingDaemon::existing_frr);
    EXPECT_EQ(bgp.local_as, 64512U);
    ASSERT_EQ(bgp.neighbors.size(), 2U);
    const core::BgpNeighbor& first = bgp.neighbors[0];
    EXPECT_EQ(first.description, "ffm4-j2");
    EXPECT_EQ(first.bfd, (core::Bfd{Milliseconds{100}, 5}));
    EXPECT_EQ(first.hold_time, Nanoseconds{Seconds{9}});
    EXPECT_EQ(first.keepalive, Nanoseconds{Seconds{3}});
    EXPECT_TRUE(first.soft_reconfiguration);
    EXPECT_FALSE(first.accept_default);
    EXPECT_TRUE(bgp.is_internal(first));
    EXPECT_FALSE(bgp.is_internal(bgp.neighbors[1]));
    ASSERT_EQ(bgp.announcements.size(), 2U);
    const core::BgpAnnouncement& second = bgp.announcements[1];
    EXPECT_EQ(second.local_preference, 100U);
    EXPECT_EQ(second.states[0], (core::RouteAttributes{0, {}}));
    EXPECT_EQ(second.states[1].med, 1000U);
    EXPECT_EQ(second.states[2],
              (core::RouteAttributes{4294967294, {{core::graceful_shutdown_community}, {}}}));
    const auto& states = bgp.announcements[0].states;
    EXPECT_EQ(states[0].communities.to_string(), "64512:1 64512:1:2");
    EXPECT_EQ(states[1].communities.to_string(), "64512:1 64512:2 64512:1:2");
    EXPECT_EQ(states[2].communities.to_string(), "64512:1 65535:0 64512:1:2");
}

TEST(BgpBlock, WantsAHighWaterAtOrAboveTheLowOne) {
    const auto policy = [](const std::string& words) {
        return bgp_of(bgp_head + two_families + both + " { " + words + " }")
            .announcements[0]
            .policy;
    };
    EXPECT_EQ(policy("low_water 50%").high_water, 50U);
    EXPECT_EQ(policy("high_water 60%; low_water 50%").high_water, 60U);
    bgp_says(bgp_head + two_families + both + " { low_water 50%; high_water 40% }",
             "t.conf:7:62: error: high_water 40% is less than low_water 50%; write as much or "
             "more\n");
}

TEST(BgpBlock, KeepsTheOrderOfStatesAtTheEndOfTheRange) {
    for (const auto& [med, degraded, draining] :
         {std::tuple{4294967295U, 4294967295U, 4294967295U},
          std::tuple{4294966900U, 4294967294U, 4294967294U}, std::tuple{7U, 1007U, 4294967294U}}) {
        const core::Bgp bgp = bgp_of(bgp_head + two_families + "announce 2001:db8::53\n" +
                                     fmt::format("announce 192.0.2.53 {{ med {} }}", med));
        EXPECT_EQ(bgp.announcements[1].states[1].med, degraded);
        EXPECT_EQ(bgp.announcements[1].states[2].med, draining);
    }
}

TEST(BgpBlock, IsRefusedWithoutWhatItNeeds) {
    bgp_says("router_id 198.51.100.1\n" + two_families + both,
             "t.conf:3:1: error: this block needs `local_as`, as in `local_as NUMBER`\n");
    bgp_says(bgp_head + both,
             "t.conf:3:1: error: this block needs `neighbor`, as in `neighbor ADDRESS { … }`\n");
    bgp_says(bgp_head + two_families,
             "t.conf:3:1: error: this block needs `announce`, as in `announce ADDRESS… { … }`\n");
    bgp_says(bgp_head + "neighbor 198.51.100.253 { description x }\n" + both,
             "t.conf:5:1: error: this block needs `remote_as`, as in `remote_as NUMBER`\n");
}

TEST(BgpBlock, RefusesNumbersThatAreNoAs) {
    bgp_says("local_as 0; router_id 198.51.100.1\n" + two_families + both,
             "t.conf:4:10: error: local_as: 0 is out of range; it must be 1 to 4294967294\n");
    bgp_says("local_as 23456; router_id 198.51.100.1\n" + two_families + both,
             "t.conf:4:10: error: local_as: 23456 only stands for longer numbers (AS_TRANS, RFC "
             "6793); write the number of your AS, or one for private use, 64512 to 65534\n");
    bgp_says(
        bgp_head + "neighbor 198.51.100.253 { remote_as 65535; next_hop 2001:db8:2::1 }\n" + both,
        "t.conf:5:37: error: remote_as: 65535 is reserved (RFC 7300); write the number of your "
        "AS, or one for private use, 64512 to 65534\n");
}

TEST(BgpBlock, RefusesAnIdentifierThatIsNone) {
    bgp_says("local_as 64512; router_id 2001:db8::1\n" + two_families + both,
             "t.conf:4:27: error: router_id: 2001:db8::1 is an IPv6 address; the identifier has 32 "
             "bits and is written as an IPv4 address, also of a router that has none\n");
    bgp_says("local_as 64512; router_id 192.0.2.53\n" + two_families + both,
             "t.conf:4:27: error: router_id: 192.0.2.53 is a service IP, which other directors "
             "have, too; write an address that this machine alone has\n");
}

TEST(BgpBlock, RefusesServiceIpsThatThereAreNotOrNobodyIsToldOf) {
    bgp_says(bgp_head + two_families + both + "\nannounce 192.0.2.54",
             "t.conf:8:10: error: announce: 192.0.2.54 is no service IP; did you mean "
             "192.0.2.53?\n");
    bgp_says(bgp_head + two_families + both + "\nannounce 192.0.2.53",
             "t.conf:8:10: error: announce: 192.0.2.53 is given a second time; the first is at "
             "t.conf:7:10\n");
    bgp_says(bgp_head + "neighbor 198.51.100.253 { remote_as 64512 }\n" + both,
             "t.conf:6:21: error: announce: no neighbor is told of 2001:db8::53: a session over "
             "IPv4 carries IPv6 only where the next hop is known; write `next_hop ADDRESS` with an "
             "IPv6 address of this machine in a neighbor, or add an IPv6 neighbor\n");
    bgp_says(
        bgp_head + "neighbor 198.51.100.253 { remote_as 64512; next_hop 2001:db8:2::1 }\n" + both,
        "");
}

TEST(BgpBlock, RefusesNeighborsThatCannotBe) {
    bgp_says(bgp_head + two_families + "neighbor 198.51.100.253 { remote_as 64513 }\n" + both,
             "t.conf:7:10: error: the neighbor 198.51.100.253 is given a second time; the first is "
             "at t.conf:5:10\n");
    bgp_says(bgp_head + two_families + "neighbor 192.0.2.53 { remote_as 64513 }\n" + both,
             "t.conf:7:10: error: neighbor: 192.0.2.53 is a service IP; write a router's own "
             "address\n");
    bgp_says(bgp_head + two_families + "neighbor fe80::1 { remote_as 64513 }\n" + both,
             "t.conf:7:10: error: neighbor: fe80::1 is link-local, which means nothing without an "
             "interface; write a global address\n");
    bgp_says(bgp_head + two_families + "neighbor 127.0.0.1 { remote_as 64513 }\n" + both,
             "t.conf:7:10: error: neighbor: 127.0.0.1 is a loopback address, and no router is "
             "there\n");
}

/// Of one line of a neighbour, from column 44 of line 7 on.
void neighbor_says(const std::string& line, const std::string& messages) {
    bgp_says(bgp_head + two_families + "neighbor 198.51.100.254 { remote_as 64512; " + line +
                 " }\n" + both,
             messages);
}

TEST(BgpBlock, RefusesWhatTheProtocolsDoNotHave) {
    neighbor_says("password " + std::string(80, 'x'), "");
    neighbor_says("password " + std::string(81, 'x'),
                  "t.conf:7:53: error: password: it has 81 characters, and the kernel signs with "
                  "80 at most (TCP MD5)\n");
    neighbor_says("password \"a b\"",
                  "t.conf:7:53: error: password: it may hold printable ASCII only, without blanks "
                  "and double quotes\n");
    neighbor_says("bfd 5ms 3",
                  "t.conf:7:48: error: bfd: 5ms is out of range; it must be 10ms to 1m\n");
    neighbor_says("bfd 100ms 1",
                  "t.conf:7:54: error: bfd: 1 is out of range; it must be 2 to 255\n");
    neighbor_says("bfd 10500us",
                  "t.conf:7:48: error: bfd: 10500us is no whole number of milliseconds\n");
    neighbor_says("bfd 100ms; multihop 3",
                  "t.conf:7:44: error: bfd over several hops needs to know our end of it; write "
                  "`source ADDRESS` beside it\n");
    neighbor_says("hold_time 2s",
                  "t.conf:7:54: error: hold_time: 2s is out of range; it must be 3s to 65535s\n");
    neighbor_says("hold_time 3500ms",
                  "t.conf:7:54: error: hold_time: 3500ms is no whole number of seconds, which BGP "
                  "counts in; `bfd` is faster than that\n");
    neighbor_says("keepalive 4s", "");
    neighbor_says(
        "keepalive 5s",
        "t.conf:7:54: error: keepalive 5s is more than half of hold_time, 9s, so that one "
        "sign of life that is lost ends the session; a third of it is usual\n");
    neighbor_says("source 2001:db8:2::1",
                  "t.conf:7:51: error: source: 2001:db8:2::1 is no IPv4 address, as the "
                  "neighbour's 198.51.100.254 is\n");
    neighbor_says("source 198.51.100.254",
                  "t.conf:7:51: error: source: 198.51.100.254 is the neighbour itself; write an "
                  "address of this machine\n");
    neighbor_says("next_hop 198.51.100.1 198.51.100.2",
                  "t.conf:7:66: error: next_hop: 198.51.100.2 is a second IPv4 address; one is "
                  "told, 198.51.100.1 or this\n");
}

TEST(BgpBlock, RefusesCommunitiesThatAreNone) {
    const auto says = [](const std::string& community, const std::string& message) {
        bgp_says(bgp_head + two_families +
                     "announce 2001:db8::53\nannounce 192.0.2.53 { community " + community + " }",
                 "t.conf:8:33: error: community: " + message + "\n");
    };
    says("no-exprot", "`no-exprot` is no community; did you mean `no-export`?");
    says("64512", "`64512` is no community; write 5430:100, or 5430:1:100 for a large one");
    says("4200000000:1",
         "in `4200000000:1` 4200000000 is more than 65535, the most that a standard community "
         "holds; a large one has three numbers, as 4200000000:1:0");
}

TEST(BgpBlock, NamesTheDaemonThatRunsAlready) {
    bgp_says("daemon existing\n" + bgp_head + two_families + both,
             "t.conf:4:8: error: daemon: which one runs already? Write `existing bird` or "
             "`existing frr`\n");
    bgp_says("daemon frr\n" + bgp_head + two_families + both,
             "t.conf:4:8: error: daemon: `frr` is none of bird (our own instance), existing bird "
             "and existing frr\n");
}

TEST(BgpBlock, WarnsOfWhatIsProbablyNotMeant) {
    bgp_says(bgp_head + two_families + "announce 192.0.2.53",
             "t.conf:3:1: warning: bgp: the service IP 2001:db8::53 is not announced; `announce "
             "2001:db8::53` does it\n"
             "t.conf:6:10: warning: the neighbor 2001:db8:2::253 is told of nothing: no service IP "
             "that is announced is of the family that it carries\n");
    bgp_says(
        bgp_head + "neighbor 198.51.100.253 { remote_as 64513; next_hop 2001:db8:2::1 }\n" + both +
            " { local_preference 50; med 9; degraded_med 8 }",
        "t.conf:6:36: warning: local_preference has no effect here: only neighbours in our own "
        "AS are told of it, and none of these is\n"
        "t.conf:6:77: warning: degraded_med 8 is less than the MED of the announced state, 9, "
        "so that routers would prefer this director when it is degraded\n");
    bgp_says("ip_forwarding on\n" + bgp_head + two_families + both,
             "t.conf:4:1: warning: ip_forwarding has no effect here: BIRD leaves it as it is\n");
}

TEST(BgpBlock, WarnsOfAMultihopBfdThatFrrMakes) {
    const std::string far = bgp_head + "neighbor 198.51.100.253 { next_hop 2001:db8:2::1; ";
    const std::string frr = "daemon existing frr\n";
    bgp_says(frr + far + "remote_as 64513; bfd 100ms 3; ttl_security on }\n" + both,
             "t.conf:6:10: warning: neighbor 198.51.100.253: FRR makes a multihop session of BFD "
             "(RFC 5883, UDP port 4784) of a neighbour in another AS that has ttl_security; unless "
             "that router asks for one, too, BFD stays down, and only hold_time is left; where its "
             "BFD is of one hop (RFC 5881), leave out bfd here, or ttl_security at both ends\n");
    bgp_says(frr + far + "remote_as 64512; bfd 100ms 3; ttl_security on }\n" + both, "");
    bgp_says(frr + far + "remote_as 64513; bfd 100ms 3 }\n" + both, "");
    bgp_says(
        frr + far +
            "remote_as 64513; bfd 100ms 3; ttl_security on; multihop 2; source 198.51.100.9 }\n" +
            both,
        "");
    bgp_says(far + "remote_as 64513; bfd 100ms 3; ttl_security on }\n" + both, "");
}

}  // namespace
}  // namespace dnsdirector::config
