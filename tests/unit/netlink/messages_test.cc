// SPDX-License-Identifier: Apache-2.0
//
// Messages that this machine's kernel may not be able to produce, built by hand.
#include "netlink/messages.h"

#include <gtest/gtest.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>

#include "netlink/transport.h"

namespace dnsdirector::netlink {
namespace {

void put32(const Message& message, int type, std::uint32_t value) {
    nla_put(message.get(), type, sizeof value, &value);
}
void put_text(const Message& message, int type, const char* text) {
    nla_put_string(message.get(), type, text);
}
const nlmsghdr& header(const Message& message) {
    return *nlmsg_hdr(message.get());
}

Message link_message(const char* kind) {
    ifinfomsg fixed{};
    fixed.ifi_index = 7;
    fixed.ifi_flags = IFF_UP | IFF_RUNNING;
    Message message = new_message(RTM_NEWLINK, 0, fixed);
    put_text(message, IFLA_IFNAME, "eth0.100");
    put32(message, IFLA_LINK, 2);
    nlattr* info = nla_nest_start(message.get(), IFLA_LINKINFO);
    put_text(message, IFLA_INFO_KIND, kind);
    nlattr* data = nla_nest_start(message.get(), IFLA_INFO_DATA);
    const std::uint16_t id = 100;
    nla_put(message.get(), IFLA_VLAN_ID, sizeof id, &id);
    const std::uint16_t protocol = htons(0x88a8);
    nla_put(message.get(), IFLA_VLAN_PROTOCOL, sizeof protocol, &protocol);
    nla_nest_end(message.get(), data);
    nla_nest_end(message.get(), info);
    return message;
}

TEST(NetlinkMessages, a_vlan_has_an_id_and_a_device_below) {
    const auto link = parse_link(header(link_message("vlan")));
    ASSERT_TRUE(link);
    EXPECT_EQ(link->index, 7);
    EXPECT_EQ(link->name, "eth0.100");
    EXPECT_EQ(link->kind, "vlan");
    EXPECT_EQ(link->lower, 2);
    EXPECT_EQ(link->vlan_id, 100);
    EXPECT_EQ(link->vlan_protocol, 0x88a8);
    EXPECT_TRUE(link->up);
    EXPECT_TRUE(link->running);
}

TEST(NetlinkMessages, what_lies_in_another_namespace_is_not_below) {
    EXPECT_EQ(parse_link(header(link_message("veth")))->lower, 0);
    const Message elsewhere = link_message("macvlan");
    put32(elsewhere, IFLA_LINK_NETNSID, 0);
    EXPECT_EQ(parse_link(header(elsewhere))->lower, 0);
    EXPECT_EQ(parse_link(header(elsewhere))->vlan_id, 0) << "a field of another kind";
}

TEST(NetlinkMessages, an_xdp_program_is_found_however_many_are_attached) {
    const Message one = link_message("veth");
    nlattr* xdp = nla_nest_start(one.get(), IFLA_XDP);
    put32(one, IFLA_XDP_PROG_ID, 41);
    nla_nest_end(one.get(), xdp);
    EXPECT_EQ(parse_link(header(one))->xdp_program_id, 41U);

    const Message several = link_message("veth");
    xdp = nla_nest_start(several.get(), IFLA_XDP);
    put32(several, IFLA_XDP_SKB_PROG_ID, 43);
    put32(several, IFLA_XDP_DRV_PROG_ID, 42);
    nla_nest_end(several.get(), xdp);
    EXPECT_EQ(parse_link(header(several))->xdp_program_id, 42U);
}

TEST(NetlinkMessages, a_bridge_port_is_not_the_link_itself) {
    ifinfomsg fixed{};
    fixed.ifi_family = AF_BRIDGE;
    fixed.ifi_index = 7;
    EXPECT_FALSE(parse_link(header(new_message(RTM_NEWLINK, 0, fixed))));
}

Message neighbour_message(std::uint16_t state, std::uint8_t flags = 0, int lladdr_length = 6) {
    ndmsg fixed{};
    fixed.ndm_family = AF_INET;
    fixed.ndm_ifindex = 2;
    fixed.ndm_state = state;
    fixed.ndm_flags = flags;
    Message message = new_message(RTM_NEWNEIGH, 0, fixed);
    const std::uint8_t address[] = {203, 0, 113, 11};
    nla_put(message.get(), NDA_DST, sizeof address, address);
    const std::uint8_t mac[8] = {2, 0, 0, 0, 0, 0x11};
    nla_put(message.get(), NDA_LLADDR, lladdr_length, mac);
    return message;
}

TEST(NetlinkMessages, a_neighbour_has_a_mac_in_the_states_in_which_the_kernel_uses_it) {
    struct Case {
        std::uint16_t state;
        bool mac;
        bool failed;
    };
    for (const Case& c : {Case{NUD_REACHABLE, true, false}, Case{NUD_STALE, true, false},
                          Case{NUD_DELAY, true, false}, Case{NUD_PROBE, true, false},
                          Case{NUD_PERMANENT, true, false}, Case{NUD_NOARP, true, false},
                          Case{NUD_INCOMPLETE, false, true}, Case{NUD_FAILED, false, true},
                          Case{NUD_NONE, false, false}}) {
        const auto neighbour = parse_neighbour(header(neighbour_message(c.state)));
        ASSERT_TRUE(neighbour);
        EXPECT_EQ(neighbour->mac.has_value(), c.mac) << c.state;
        EXPECT_EQ(neighbour->failed, c.failed) << c.state;
        EXPECT_EQ(neighbour->nud_state, c.state);
    }
}

TEST(NetlinkMessages, what_is_no_ethernet_address_is_no_mac) {
    EXPECT_FALSE(parse_neighbour(header(neighbour_message(NUD_REACHABLE, 0, 8)))->mac);
    EXPECT_FALSE(parse_neighbour(header(neighbour_message(NUD_NOARP, 0, 0)))->mac);
}

TEST(NetlinkMessages, proxy_entries_are_no_neighbours) {
    EXPECT_FALSE(parse_neighbour(header(neighbour_message(NUD_PERMANENT, NTF_PROXY))));
}

TEST(NetlinkMessages, entries_of_others_are_known) {
    const auto care = [](const Message& message) { return parse_neighbour_care(header(message)); };
    EXPECT_FALSE(care(neighbour_message(NUD_REACHABLE)).of_others);
    EXPECT_TRUE(care(neighbour_message(NUD_PERMANENT)).of_others);
    EXPECT_TRUE(care(neighbour_message(NUD_NOARP)).of_others);
    EXPECT_TRUE(care(neighbour_message(NUD_REACHABLE, NTF_EXT_LEARNED)).of_others);
    const Message managed = neighbour_message(NUD_REACHABLE);
    EXPECT_FALSE(care(managed).managed);
    put32(managed, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
    EXPECT_TRUE(care(managed).managed);
}

TEST(NetlinkMessages, a_message_cut_short_is_nothing) {
    Message message{nlmsg_alloc_simple(RTM_NEWLINK, 0)};
    EXPECT_FALSE(parse_link(header(message)));
    message.reset(nlmsg_alloc_simple(RTM_NEWNEIGH, 0));
    EXPECT_FALSE(parse_neighbour(header(message)));
    message.reset(nlmsg_alloc_simple(RTM_NEWADDR, 0));
    EXPECT_FALSE(parse_address(header(message)));
    message.reset(nlmsg_alloc_simple(RTM_NEWROUTE, 0));
    EXPECT_FALSE(parse_route(header(message)));
    EXPECT_FALSE(changes_routes(header(message)));
}

}  // namespace
}  // namespace dnsdirector::netlink
