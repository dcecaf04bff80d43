// SPDX-License-Identifier: Apache-2.0
//
// How a plane starts: modes, interfaces, refusals; and whom it can reach.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "unit/dataplane/xdp_plane_lab.h"

namespace dnsdirector::dataplane {
namespace {

using support::drive;
using test::Network;
using test::PinDir;
using test::PlaneLab;
using test::udp;
using Visit = support::NetworkNamespace::Visit;

TEST(XdpPlaneStart, picks_generic_on_veth_by_itself_and_says_why) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::automatic};
    support::ip("link set eth0 up");
    lab.start();
    const auto interfaces = lab.plane->interfaces();
    ASSERT_EQ(interfaces.size(), 1U);
    EXPECT_EQ(interfaces[0].mode, "generic");
    EXPECT_NE(interfaces[0].warning.find("veth"), std::string::npos) << interfaces[0].warning;
}

class Offloads : public testing::TestWithParam<core::XdpMode> {};

/// Tags are hidden in either mode; packets are merged only before generic XDP.
TEST_P(Offloads, that_hide_packets_are_off_while_the_program_is_attached) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, GetParam()};
    const bool generic = GetParam() == core::XdpMode::generic;
    const std::string names[] = {"rx-gro", "rx-vlan-hw-parse", "rx-vlan-stag-hw-parse"};
    for (const std::string& name : names)
        ASSERT_EQ(std::system(("ethtool -K eth0 " + name + " on").c_str()), 0) << name;
    const auto is_on = [](const std::string& name) {
        const std::map<std::string, std::string> listed{{"rx-gro", "generic-receive-offload"},
                                                        {"rx-vlan-hw-parse", "rx-vlan-offload"}};
        const auto found = listed.find(name);
        return std::system(("ethtool -k eth0 | grep -q '^" +
                            (found != listed.end() ? found->second : name) + ": on'")
                               .c_str()) == 0;
    };
    const auto expect_off = [&] {
        EXPECT_EQ(is_on(names[0]), !generic);
        EXPECT_FALSE(is_on(names[1]));
        EXPECT_FALSE(is_on(names[2]));
    };
    lab.start();
    expect_off();
    lab.plane.reset();  // killed; the next one still knows
    lab.start();
    expect_off();
    ASSERT_TRUE(lab.plane->detach().has_value());
    for (const std::string& name : names)
        EXPECT_TRUE(is_on(name)) << name;
}

INSTANTIATE_TEST_SUITE_P(XdpPlaneStart, Offloads,
                         testing::Values(core::XdpMode::generic, core::XdpMode::native),
                         [](const auto& mode) { return std::string{to_string(mode.param)}; });

TEST(XdpPlaneStart, refuses_an_interface_that_can_not_be_one) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::automatic};
    support::ip("link add br0 type bridge");
    support::ip("link add port type veth peer name other");
    support::ip("link set port master br0");
    const auto refusal = [&](const char* interface) {
        lab.settings.interfaces = {interface};
        const auto made = make_xdp(lab.settings, pins.path());
        return made ? "" : made.error().message;
    };
    EXPECT_EQ(refusal("port"),
              "the director's interface port: port is a port of the bridge br0, which has the "
              "addresses: name br0");
    EXPECT_TRUE(refusal("lo").starts_with("the director's interface lo: lo has no MAC addresses"))
        << refusal("lo");
    EXPECT_EQ(refusal("br0"), "");
    EXPECT_EQ(refusal("eth0"), "");
}

TEST(XdpPlaneStart, finds_the_interfaces_that_lead_to_servers_when_none_is_named) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::generic};
    lab.settings.interfaces.clear();
    support::ip("link add other type veth peer name unused");
    support::ip("link set other up");
    lab.start();
    EXPECT_TRUE(lab.plane->interfaces().empty());
    lab.track();
    ASSERT_EQ(lab.plane->interfaces().size(), 1U);
    EXPECT_EQ(lab.plane->interfaces()[0].name, "eth0");
    lab.plane->track({});
    EXPECT_TRUE(lab.plane->interfaces().empty());
}

TEST(XdpPlaneStart, changes_the_mode_when_the_configuration_does) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::generic};
    lab.start();
    lab.settings.xdp_mode = core::XdpMode::native;
    lab.start();
    ASSERT_EQ(lab.plane->interfaces().size(), 1U);
    EXPECT_EQ(lab.plane->interfaces()[0].mode, "native");
}

TEST(XdpPlaneStart, refuses_with_an_error_that_says_what_would_be_right) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::generic};
    const auto error_of = [&](const core::DirectorSettings& settings, const std::string& pin_dir) {
        const auto made = make_xdp(settings, pin_dir);
        return made ? std::string{} : made.error().message;
    };
    const auto expect_words = [](const std::string& error, const std::vector<const char*>& words) {
        for (const char* word : words)
            EXPECT_NE(error.find(word), std::string::npos) << word << " is not in: " << error;
    };
    expect_words(error_of(lab.settings, "/tmp/dnsdirector-no-bpffs"), {"mount -t bpf bpf"});

    core::DirectorSettings missing = lab.settings;
    missing.interfaces = {"eth7"};
    expect_words(error_of(missing, pins.path()), {"eth7", "does not exist", "eth0"});
    EXPECT_FALSE(pins.exists());  // nothing is left of it

    lab.start();
    expect_words(error_of(lab.settings, pins.path()),
                 {"another director uses the pin directory", pins.path().c_str(), "--pin-dir"});
    EXPECT_TRUE(lab.plane->read().has_value());
    lab.plane.reset();  // killed: what it pinned stays, and its lock is gone
    core::DirectorSettings larger = lab.settings;
    larger.limits.real_servers *= 2;  // than the maps that are there now
    expect_words(error_of(larger, pins.path()), {"real_servers", "stop the director cleanly"});

    const PinDir others;
    expect_words(error_of(lab.settings, others.path()),
                 {"another dnsdirector forwards on eth0: stop it"});
}

TEST(XdpPlaneReach, says_why_a_server_can_not_be_reached) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    PlaneLab lab{pins, core::XdpMode::generic};
    lab.start();
    support::ip("route add 198.51.100.0/24 via 203.0.113.12");
    const auto endpoint = [](const char* text) { return *Endpoint::parse(text); };
    const core::ServiceKey key = udp(Network::service4);
    const std::vector<TrackedServer> servers{{key, endpoint("203.0.113.11:53")},
                                             {key, endpoint("203.0.113.99:53")},
                                             {key, endpoint("198.51.100.5:53")},
                                             {key, endpoint("203.0.113.1:53")},
                                             {key, endpoint("192.0.2.200:53")}};
    lab.plane->track(servers);
    const auto reason = [&](int i) {
        return lab.plane->unreachable_reason(servers[static_cast<std::size_t>(i)].server,
                                             core::ForwardingMethod::dr);
    };
    std::set<IpAddress> changed;
    lab.plane->on_reachability_changed = [&](std::span<const IpAddress> which) {
        changed.insert(which.begin(), which.end());
    };
    EXPECT_TRUE(drive(*lab.plane, [&] { return reason(0).empty(); }));
    EXPECT_EQ(reason(1), "no ARP answer from 203.0.113.99 on eth0");
    EXPECT_EQ(reason(2),
              "198.51.100.5 is behind gateway 203.0.113.12: direct routing (lb_kind DR) "
              "needs it on the same network; TUN will serve");
    EXPECT_EQ(reason(3), "");  // this machine is a server itself
    EXPECT_NE(reason(4).find("192.0.2.200"), std::string::npos) << reason(4);

    // A route makes the last one's network a neighbour; the server is there.
    {
        const Visit visit{*lab.network.servers[1]};
        support::ip("address add 192.0.2.200/32 dev eth0");
    }
    support::ip("route add 192.0.2.200/32 dev eth0");
    EXPECT_TRUE(drive(*lab.plane, [&] { return reason(4).empty(); })) << reason(4);
    EXPECT_TRUE(changed.contains(servers[4].server.address));
}

}  // namespace
}  // namespace dnsdirector::dataplane
