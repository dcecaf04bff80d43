// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "announce/bgp_check.h"
#include "announce/bird_config.h"

namespace dnsdirector::announce {
namespace {

core::Bgp example() {
    core::Bgp bgp;
    bgp.local_as = 64512;
    bgp.router_id = *IpAddress::parse("198.51.100.1");
    core::BgpNeighbor neighbor;
    neighbor.address = *IpAddress::parse("198.51.100.253");
    neighbor.remote_as = 64512;
    neighbor.bfd = core::Bfd{Milliseconds{100}, 3};
    neighbor.password = "secret";
    bgp.neighbors = {neighbor};
    core::BgpAnnouncement announcement;
    announcement.service_ip = *IpAddress::parse("192.0.2.53");
    bgp.announcements = {announcement};
    return bgp;
}

/// What BIRD 2.0.12 says while it runs that.
BirdState running() {
    BirdState state;
    state.file = "bird.conf";
    state.text = bird_config(example());
    state.changed_at = "2026-11-29 01:00:00";
    state.status = "BIRD 2.0.12\nLast reconfiguration on 2026-11-29 01:00:00.974793\n";
    state.protocols = R"(Name       Proto      Table      State  Since         Info
device1    Device     ---        up     2026-11-29 01:00:00.974816
bfd1       BFD        ---        up     2026-11-29 01:00:00.974816
dnsdirector_kernel_ipv4 Kernel     master4    up     2026-11-29 01:00:00.974816
  Channel ipv4
    State:          UP
    Input filter:   dnsdirector_learn_ipv4
    Output filter:  REJECT
dnsdirector_198_51_100_253 BGP        ---        start  2026-11-29 01:00:00.974816  Idle
  BGP state:          Idle
    Neighbor address: 198.51.100.253
    Neighbor AS:      64512
    Local AS:         64512
  Channel ipv4
    State:          DOWN
    Input filter:   REJECT
    Output filter:  dnsdirector_tell_ipv4
)";
    return state;
}

struct Case {
    std::string BirdState::* where;
    std::string from;
    std::string to;
    std::string said;
};

TEST(BirdCheck, SaysNothingOfABirdThatRunsTheConfiguration) {
    EXPECT_EQ(bird_differences(example(), running()), std::vector<std::string>());
}

TEST(BirdCheck, SaysEachDifferenceInWords) {
    const Case cases[] = {
        {&BirdState::text, "hold time 9;", "hold time 90;",
         "has `hold time 90;` where `dnsdirector bgp config` has `hold time 9;`; write it anew"},
        {&BirdState::text, "password \"secret\";", "password \"other\";",
         "has `password …` where `dnsdirector bgp config` has `password …`; write it anew"},
        {&BirdState::status, "01:00:00.9", "00:59:59.9",
         "bird.conf was written at 2026-11-29 01:00:00, and BIRD has last read its configuration "
         "at 2026-11-29 00:59:59; `birdc configure` makes it read"},
        {&BirdState::protocols, "dnsdirector_learn_ipv4", "ACCEPT",
         "no kernel protocol of BIRD has the import filter dnsdirector_learn_ipv4; without it, or "
         "a filter that accepts what it does, the director's routes are not learnt"},
        {&BirdState::protocols, "master4    up  ", "master4    start",
         "BIRD's kernel protocol dnsdirector_kernel_ipv4 is not up, but in state start; another "
         "one has the table, and BIRD takes one only"},
        {&BirdState::protocols, "bfd1       BFD ", "bfd1       RIP ",
         "BIRD has no BFD protocol, which neighbours are to be watched by; add `protocol bfd { }`"},
        {&BirdState::protocols, "device1    Device", "bfd2    BFD",
         "BIRD has 2 BFD protocols, and with more than one no session comes up; keep one"},
        {&BirdState::protocols, "dnsdirector_198", "other_198",
         "BIRD has no protocol dnsdirector_198_51_100_253, for the neighbor 198.51.100.253"},
        {&BirdState::protocols, "Neighbor AS:      64512", "Neighbor AS:      64513",
         "BIRD's protocol dnsdirector_198_51_100_253 has 64513 as its Neighbor AS, and should have "
         "64512"},
        {&BirdState::protocols, "Input filter:   REJECT", "Input filter:   ACCEPT",
         "BIRD's protocol dnsdirector_198_51_100_253 has ACCEPT as its ipv4 Input filter, and "
         "should have REJECT"},
        {&BirdState::protocols, "bfd1 ", "dnsdirector_192_0_2_1 BGP --- up x\nbfd1 ",
         "BIRD has a protocol dnsdirector_192_0_2_1 besides, of no neighbor in the configuration"},
    };
    for (const Case& each : cases) {
        BirdState state = running();
        std::string& text = state.*each.where;
        const auto at = text.find(each.from);
        ASSERT_NE(at, std::string::npos) << each.from;
        text.replace(at, each.from.size(), each.to);
        const auto said = bird_differences(example(), state);
        ASSERT_EQ(said.size(), 1U) << each.said;
        EXPECT_TRUE(said.front().ends_with(each.said)) << said.front();
    }
}

}  // namespace
}  // namespace dnsdirector::announce
