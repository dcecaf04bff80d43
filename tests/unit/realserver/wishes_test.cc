// SPDX-License-Identifier: Apache-2.0
#include "realserver/wishes.h"

#include <gtest/gtest.h>

#include "unit/realserver/fake_machine.h"

namespace dnsdirector::realserver {
namespace {

using namespace fakes;
using Wished = std::vector<std::pair<std::string, std::string>>;

const Wished quiet = {{"ipv4/conf/all/arp_ignore", "1"}, {"ipv4/conf/all/arp_announce", "2"}};

Wished reverse_path_of(const Wishes& wishes) {
    Wished found;
    for (const auto& each : wishes.settings)
        if (each.first.ends_with("rp_filter")) found.push_back(each);
    return found;
}

TEST(Wishes, a_plain_server_gets_its_service_ips_and_is_quiet_about_them) {
    const Wishes wishes = wishes_of(plain_order(), plain_machine());
    EXPECT_EQ(wishes.settings, quiet);
    EXPECT_EQ(wishes.addresses, (std::vector<HeldAddress>{{"lo", address("192.0.2.53")},
                                                          {"lo", address("2001:db8::53")}}));
    EXPECT_TRUE(wishes.tunnels.empty() && wishes.ruleset.empty() && wishes.refusals.empty() &&
                wishes.notes.empty());
}

TEST(Wishes, what_is_quiet_already_is_left_alone) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/all/arp_ignore"] = "2";
    actual.settings["ipv4/conf/eth0/arp_announce"] = "2";
    EXPECT_EQ(wishes_of(plain_order(), actual).settings, Wished{});
    // One interface more, and one of its own is not enough any more.
    add_interface(actual, "eth1");
    EXPECT_EQ(wishes_of(plain_order(), actual).settings,
              (Wished{{"ipv4/conf/all/arp_announce", "2"}}));
}

TEST(Wishes, ipv6_service_ips_need_no_setting) {
    Order order = plain_order();
    order.machine.service_ips = {address("2001:db8::53")};
    EXPECT_EQ(wishes_of(order, plain_machine()).settings, Wished{});
}

TEST(Wishes, values_that_answer_after_all_are_mended_where_they_stand) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/all/arp_ignore"] = "3";  // answers for wider scopes
    EXPECT_EQ(wishes_of(plain_order(), actual).settings, quiet);
    actual = plain_machine();
    actual.settings["ipv4/conf/eth0/arp_ignore"] = "4";  // means nothing, and is the larger one
    EXPECT_EQ(wishes_of(plain_order(), actual).settings,
              (Wished{{"ipv4/conf/eth0/arp_ignore", "1"},
                      {"ipv4/conf/all/arp_ignore", "1"},
                      {"ipv4/conf/all/arp_announce", "2"}}));
}

TEST(Wishes, who_is_never_asked_makes_no_setting_necessary) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/eth0/arp_ignore"] = "1";
    actual.settings["ipv4/conf/eth0/arp_announce"] = "2";
    add_interface(actual, "dummy0", nullptr, "dummy");
    add_interface(actual, "tunl1", nullptr, "ipip");
    const int bridge = add_interface(actual, "br0", "203.0.113.12", "bridge");
    actual.settings["ipv4/conf/br0/arp_ignore"] = "1";
    actual.settings["ipv4/conf/br0/arp_announce"] = "2";
    add_interface(actual, "eth7");
    actual.links.back().master = bridge;
    actual.links.back().port_kind = "bridge";
    EXPECT_EQ(wishes_of(plain_order(), actual).settings, Wished{});
}

TEST(Wishes, a_strict_filter_stays_where_replies_leave_as_packets_came) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/all/rp_filter"] = "1";
    EXPECT_EQ(reverse_path_of(wishes_of(plain_order(), actual)), Wished{});
}

TEST(Wishes, a_strict_filter_is_loosened_where_replies_leave_elsewhere) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/eth0/rp_filter"] = "1";
    add_interface(actual, "eth1.105", "203.0.113.98");
    add_interface(actual, "eth1.109", "203.0.113.114");
    actual.settings["ipv4/conf/eth1.105/rp_filter"] = "1";
    actual.settings["ipv4/conf/eth1.109/rp_filter"] = "0";
    Order order = plain_order();
    order.machine.processes = {process("a", "eth1.105", "203.0.113.98"),
                               process("b", "eth1.109", "203.0.113.114")};
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)),
              (Wished{{"ipv4/conf/eth1.105/rp_filter", "2"}}));
    // Strict by `all`: the larger one counts.
    actual.settings["ipv4/conf/eth1.105/rp_filter"] = "0";
    actual.settings["ipv4/conf/all/rp_filter"] = "1";
    EXPECT_EQ(
        reverse_path_of(wishes_of(order, actual)),
        (Wished{{"ipv4/conf/eth1.105/rp_filter", "2"}, {"ipv4/conf/eth1.109/rp_filter", "2"}}));
}

TEST(Wishes, the_ways_of_the_named_clients_decide_where_there_are_some) {
    Actual actual = plain_machine();
    const int input = add_interface(actual, "eth1", "203.0.113.98");
    actual.settings["ipv4/conf/eth1/rp_filter"] = "1";
    Order order = plain_order();
    order.machine.processes = {process("a", "eth1", "203.0.113.98")};
    order.machine.processes[0].from = {{address("198.51.100.0"), 24}};
    ASSERT_EQ(clients_of(order.machine),
              (std::vector<IpAddress>{any_client(), address("198.51.100.1")}));
    actual.ways[address("198.51.100.1")] = input;
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)), Wished{});
    actual.ways[address("198.51.100.1")] = 2;
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)),
              (Wished{{"ipv4/conf/eth1/rp_filter", "2"}}));
    // Nobody can answer them: no filter is to blame.
    actual.ways.erase(address("198.51.100.1"));
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)), Wished{});
}

TEST(Wishes, an_input_without_an_address_can_have_no_filter_at_all) {
    Actual actual = plain_machine();
    add_interface(actual, "eth1");
    Order order = plain_order();
    order.machine.processes = {process("a", "eth1", "203.0.113.11")};
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)),
              (Wished{{"ipv4/conf/eth1/rp_filter", "0"}}));
    // `all` would have a say there: it moves to the others, before it goes.
    actual.settings["ipv4/conf/all/rp_filter"] = "1";
    actual.settings["ipv4/conf/eth0/rp_filter"] = "0";
    add_interface(actual, "eth2", "198.51.100.11");
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)),
              (Wished{{"ipv4/conf/eth0/rp_filter", "1"},
                      {"ipv4/conf/all/rp_filter", "0"},
                      {"ipv4/conf/eth1/rp_filter", "0"}}));
}

TEST(Wishes, where_the_director_reaches_the_server_is_told_by_its_address_or_guessed) {
    Actual actual = plain_machine();
    actual.settings["ipv4/conf/all/rp_filter"] = "1";
    for (const char* interface : {"eth0", "default"})
        actual.settings[path_of("ipv4", interface, "rp_filter")] = "0";
    add_interface(actual, "eth1", "203.0.113.98");
    add_interface(actual, "eth2", "203.0.113.130");
    // Containers of this host send nothing for the director.
    const int bridge = add_interface(actual, "docker0", "198.51.100.65", "bridge");
    add_interface(actual, "veth1", nullptr, "veth");
    actual.links.back().master = bridge;
    actual.links.back().port_kind = "bridge";
    EXPECT_EQ(reverse_path_of(wishes_of(plain_order(), actual)),
              (Wished{{"ipv4/conf/eth1/rp_filter", "2"}, {"ipv4/conf/eth2/rp_filter", "2"}}));
    Order order = plain_order();
    order.real_servers = {address("203.0.113.98"), address("203.0.113.99")};
    EXPECT_EQ(reverse_path_of(wishes_of(order, actual)),
              (Wished{{"ipv4/conf/eth1/rp_filter", "2"}}));
}

TEST(Wishes, tunnels_get_a_device_for_each_end_without_a_filter) {
    Actual actual = plain_machine();
    actual.links[1].mtu = 9000;
    Order order = plain_order();
    order.machine.tunnel_ends = {address("203.0.113.11"), address("2001:db8:1::11")};
    const Wishes wishes = wishes_of(order, actual);
    EXPECT_EQ(wishes.tunnels, (std::vector<netlink::TunnelDevice>{
                                  {"dnsd4", address("203.0.113.11"), 8980, true},
                                  {"dnsd6", address("2001:db8:1::11"), 8960, true}}));
    // IPv6 has no such filter.
    EXPECT_EQ(reverse_path_of(wishes), (Wished{{"ipv4/conf/dnsd4/rp_filter", "0"}}));
    // Somebody else's with that end serves as well, but for its filter.
    add_interface(actual, "tun-a", nullptr, "ipip");
    actual.tunnels = {{"tun-a", address("203.0.113.11"), 1480, true}};
    const Wishes beside = wishes_of(order, actual);
    ASSERT_EQ(beside.tunnels.size(), 1U);
    EXPECT_EQ(beside.tunnels[0].name, "dnsd6");
    EXPECT_EQ(reverse_path_of(beside), (Wished{{"ipv4/conf/tun-a/rp_filter", "0"}}));
}

TEST(Wishes, what_would_leak_or_lead_nowhere_is_refused_with_its_mend) {
    struct Case {
        const char* said;
        std::function<void(Order&, Actual&)> spoil;
    };
    const Case cases[] = {
        {"ip link add dns0 type dummy",
         [](Order& order, Actual&) { order.machine.interface = "dns0"; }},
        {"write `interface lo`", [](Order& order, Actual&) { order.machine.interface = "eth0"; }},
        {"ip link set dev lo up", [](Order&, Actual& actual) { actual.links[0].up = false; }},
        {"sysctl -w net.ipv6.conf.lo.disable_ipv6=0",
         [](Order&, Actual& actual) { actual.settings["ipv6/conf/lo/disable_ipv6"] = "1"; }},
        {"ip address del 192.0.2.53/32 dev eth0",
         [](Order&, Actual& actual) {
             actual.addresses.push_back({"eth0", address("192.0.2.53")});
         }},
        {"ip link add link eth1 name eth1.105 type vlan id 105",
         [](Order& order, Actual&) {
             order.machine.processes = {process("a", "eth1.105", "203.0.113.11")};
         }},
        {"write `input br0`",
         [](Order& order, Actual& actual) {
             const int bridge = add_interface(actual, "br0", nullptr, "bridge");
             add_interface(actual, "eth1");
             actual.links.back().master = bridge;
             actual.links.back().port_kind = "bridge";
             order.machine.processes = {process("a", "eth1", "203.0.113.11")};
         }},
        {"no address of this machine",
         [](Order& order, Actual&) { order.machine.tunnel_ends = {address("203.0.113.12")}; }},
        {"ip link del dev dnsd4",
         [](Order& order, Actual& actual) {
             order.machine.tunnel_ends = {address("203.0.113.11")};
             add_interface(actual, "dnsd4");
         }},
    };
    for (const Case& each : cases) {
        Order order = plain_order();
        Actual actual = plain_machine();
        each.spoil(order, actual);
        const Wishes wishes = wishes_of(order, actual);
        ASSERT_EQ(wishes.refusals.size(), 1U) << each.said;
        EXPECT_NE(wishes.refusals[0].find(each.said), std::string::npos) << wishes.refusals[0];
    }
}

TEST(Wishes, a_dummy_or_a_bridge_without_ports_may_hold_the_service_ips) {
    for (const char* kind : {"dummy", "bridge"}) {
        Actual actual = plain_machine();
        const int index = add_interface(actual, "dns0", nullptr, kind);
        Order order = plain_order();
        order.machine.interface = "dns0";
        EXPECT_TRUE(wishes_of(order, actual).refusals.empty()) << kind;
        add_interface(actual, "eth1");
        actual.links.back().master = index;
        EXPECT_EQ(wishes_of(order, actual).refusals.empty(), kind == std::string("dummy"));
    }
}

TEST(Wishes, what_may_yet_come_is_a_note) {
    Actual actual = plain_machine();
    add_interface(actual, "eth1", "203.0.113.98");
    actual.links.back().up = false;
    actual.settings["ipv6/conf/eth1/disable_ipv6"] = "1";
    Order order = plain_order();
    order.machine.processes = {process("a", "eth1", "203.0.113.99")};
    const Wishes wishes = wishes_of(order, actual);
    EXPECT_TRUE(wishes.refusals.empty());
    ASSERT_EQ(wishes.notes.size(), 3U);
    EXPECT_NE(wishes.notes[0].find("ip link set dev eth1 up"), std::string::npos);
    EXPECT_NE(wishes.notes[1].find("net.ipv6.conf.eth1.disable_ipv6=0"), std::string::npos);
    EXPECT_NE(wishes.notes[2].find("203.0.113.99"), std::string::npos);
}

}  // namespace
}  // namespace dnsdirector::realserver
