// SPDX-License-Identifier: Apache-2.0
//
// The whole plane between a client and two servers in namespaces.
#include "dataplane/xdp/xdp.h"

#include <gtest/gtest.h>
#include <net/if.h>

#include <set>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/program.h"
#include "unit/dataplane/xdp_lab.h"
#include "unit/support/wait.h"

namespace dnsdirector::dataplane {
namespace {

using support::drive;
using test::Network;
using test::PinDir;
using test::UdpSocket;
using Visit = support::NetworkNamespace::Visit;

core::ServiceKey udp(const Endpoint& service) {
    return {service.address, service.port, Protocol::udp};
}

std::vector<core::Change> wish(const core::ServiceKey& key,
                               std::vector<core::Destination> destinations) {
    std::vector<core::Change> changes{
        core::AddService{key, core::Scheduler::wrr, core::ForwardingMethod::dr}};
    for (const core::Destination& destination : destinations)
        changes.emplace_back(core::AddDestination{key, destination});
    return changes;
}

/// A plane on the director of a network, with both families' services and servers.
/// The thread is in the director's namespace while it lives, as a daemon would be.
class Lab {
public:
    Lab(const PinDir& pins, core::XdpMode mode) : pins_(pins), visit_(network.director) {
        settings.interfaces = {"eth0"};
        settings.xdp_mode = mode;
        settings.limits = {.services = 64, .real_servers = 256, .slots = 65536};
    }

    /// Starts a plane (again) and waits until all servers are resolved.
    void start() {
        plane.reset();
        auto made = make_xdp(settings, pins_.path());
        ASSERT_TRUE(made.has_value()) << made.error().message;
        plane = std::move(*made);
    }
    void track() {
        std::vector<std::pair<core::ServiceKey, Endpoint>> servers;
        for (int number = 0; number < 2; ++number) {
            servers.emplace_back(udp(Network::service4), Network::server4(number));
            servers.emplace_back(udp(Network::service6), Network::server6(number));
        }
        plane->track(servers);
        EXPECT_TRUE(drive(*plane,
                          [&] {
                              return std::all_of(
                                  servers.begin(), servers.end(), [&](const auto& server) {
                                      return plane->unreachable_reason(server.second).empty();
                                  });
                          }))
            << plane->unreachable_reason(Network::server4(0))
            << plane->unreachable_reason(Network::server6(0));
    }
    void apply(const std::vector<core::Change>& changes) {
        const auto applied = plane->apply(changes);
        ASSERT_TRUE(applied.has_value()) << applied.error().message;
    }
    std::vector<UdpSocket> listen(const Endpoint& service) {
        std::vector<UdpSocket> sockets;
        for (const auto& server : network.servers) {
            const Visit visit{*server};
            sockets.emplace_back(service);
        }
        return sockets;
    }
    UdpSocket client(const char* address) {
        const Visit visit{network.client};
        return UdpSocket{{*IpAddress::parse(address), 4000}};
    }

    Network network;
    core::DirectorSettings settings;
    std::unique_ptr<DataPlane> plane;

private:
    const PinDir& pins_;
    Visit visit_;
};

/// Sends one query and says which server got it; -1: none did in time.
int ask(DataPlane& plane, const UdpSocket& client, const std::vector<UdpSocket>& servers,
        const Endpoint& service) {
    client.send("question", service);
    int answered = -1;
    drive(plane, [&] {
        for (std::size_t i = 0; i < servers.size(); ++i)
            if (const auto query = servers[i].receive()) {
                EXPECT_EQ(query->data, "question");
                servers[i].send("answer", query->from);
                answered = static_cast<int>(i);
            }
        return answered >= 0;
    });
    if (answered < 0) return -1;
    EXPECT_TRUE(support::eventually([&] {
        const auto reply = client.receive();
        return reply && reply->data == "answer" && reply->from == service;
    })) << "the answer of server "
        << answered << " did not come back from the service IP";
    return answered;
}

class XdpPlane : public testing::TestWithParam<core::XdpMode> {};

TEST_P(XdpPlane, hands_udp_queries_of_both_families_to_servers_by_weight) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    ASSERT_NE(lab.plane, nullptr);
    ASSERT_EQ(lab.plane->interfaces().size(), 1U);
    EXPECT_EQ(lab.plane->interfaces()[0].mode,
              GetParam() == core::XdpMode::native ? "native" : "generic");
    lab.track();
    for (const Endpoint& service : {Network::service4, Network::service6}) {
        const bool v4 = service.address.is_v4();
        const auto server = [&](int n) { return v4 ? Network::server4(n) : Network::server6(n); };
        lab.apply(wish(udp(service), {{server(0), 3}, {server(1), 1}}));
        const auto servers = lab.listen(service);
        const UdpSocket client = lab.client(v4 ? "203.0.113.7" : "2001:db8:1::7");
        int shares[2] = {};
        for (int i = 0; i < 40; ++i) {
            const int answered = ask(*lab.plane, client, servers, service);
            ASSERT_GE(answered, 0) << "query " << i << " to " << service.to_string();
            ++shares[answered];
        }
        // Exact on each CPU that took queries; there may be some.
        EXPECT_NEAR(shares[0], 30, 3);

        const auto counters = lab.plane->counters();
        ASSERT_TRUE(counters.has_value()) << counters.error().message;
        EXPECT_EQ(counters->services.at(udp(service)).packets, 40U);
        EXPECT_EQ(counters->servers.at({udp(service), server(0)}).packets,
                  static_cast<std::uint64_t>(shares[0]));
        const std::uint64_t frame = 14 + (v4 ? 20U : 40U) + 8 + 8;
        EXPECT_EQ(counters->services.at(udp(service)).bytes, 40 * frame);
    }
    const auto found = lab.plane->read();
    ASSERT_TRUE(found.has_value()) << found.error().message;
    ASSERT_EQ(found->size(), 2U);
    EXPECT_EQ(found->at(udp(Network::service4)).destinations,
              (std::vector<core::Destination>{{Network::server4(0), 3}, {Network::server4(1), 1}}));
    const auto detached = lab.plane->detach();
    EXPECT_TRUE(detached.has_value()) << detached.error().message;
    EXPECT_FALSE(pins.exists());
}

TEST_P(XdpPlane, forwards_on_when_the_daemon_is_killed_and_the_next_start_adopts) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    lab.track();
    lab.apply(wish(udp(Network::service4), {{Network::server4(0), 1}}));
    const auto servers = lab.listen(Network::service4);
    const UdpSocket client = lab.client("203.0.113.7");
    ASSERT_EQ(ask(*lab.plane, client, servers, Network::service4), 0);

    lab.plane.reset();  // as kill -9: nothing is detached
    client.send("question", Network::service4);
    EXPECT_TRUE(support::eventually([&] { return servers[0].receive().has_value(); }));

    lab.start();
    const auto found = lab.plane->read();
    ASSERT_TRUE(found.has_value()) << found.error().message;
    EXPECT_EQ(found->at(udp(Network::service4)).destinations,
              (std::vector<core::Destination>{{Network::server4(0), 1}}));
    // Reachable at once: no server blips while neighbours are looked up.
    EXPECT_EQ(lab.plane->unreachable_reason(Network::server4(0)), "");
    lab.track();
    EXPECT_EQ(lab.plane->interfaces().size(), 1U);
    EXPECT_EQ(ask(*lab.plane, client, servers, Network::service4), 0);
    const auto counters = lab.plane->counters();
    ASSERT_TRUE(counters.has_value());
    EXPECT_EQ(counters->services.at(udp(Network::service4)).packets, 3U);
    EXPECT_TRUE(lab.plane->detach().has_value());
    EXPECT_FALSE(pins.exists());
}

TEST_P(XdpPlane, follows_a_server_whose_mac_changes) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    lab.track();
    lab.apply(wish(udp(Network::service4), {{Network::server4(0), 1}}));
    const auto servers = lab.listen(Network::service4);
    const UdpSocket client = lab.client("203.0.113.7");
    ASSERT_EQ(ask(*lab.plane, client, servers, Network::service4), 0);
    {
        const Visit visit{*lab.network.servers[0]};
        support::ip("link set eth0 address 02:00:00:00:99:01");
    }
    // What a replaced machine's gratuitous ARP makes of the entry.
    support::ip("neigh replace 203.0.113.11 lladdr 02:00:00:00:99:01 dev eth0 nud reachable");
    bool arrived = false;
    EXPECT_TRUE(drive(*lab.plane, [&] {
        client.send("question", Network::service4);
        return arrived = arrived || servers[0].receive().has_value();
    }));
    EXPECT_TRUE(lab.plane->read().has_value());
}

TEST_P(XdpPlane, follows_its_own_mac) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    lab.track();
    lab.apply(wish(udp(Network::service4), {{Network::server4(0), 1}}));
    const auto servers = lab.listen(Network::service4);
    const UdpSocket client = lab.client("203.0.113.7");
    std::vector<std::string> disturbances;
    lab.plane->on_disturbed = [&](const std::string& what) { disturbances.push_back(what); };
    support::ip("link set eth0 address 02:00:00:00:99:02");
    {
        const Visit visit{lab.network.client};
        support::ip("neigh replace 203.0.113.1 lladdr 02:00:00:00:99:02 dev eth0 nud reachable");
    }
    EXPECT_TRUE(drive(*lab.plane, [&] { return !disturbances.empty(); }));
    EXPECT_EQ(ask(*lab.plane, client, servers, Network::service4), 0);
}

TEST_P(XdpPlane, attaches_again_to_an_interface_that_went_and_came_back) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    lab.track();
    lab.apply(wish(udp(Network::service4), {{Network::server4(0), 1}}));
    std::vector<std::string> disturbances;
    lab.plane->on_disturbed = [&](const std::string& what) { disturbances.push_back(what); };
    support::ip("link delete eth0");
    EXPECT_TRUE(drive(*lab.plane, [&] { return disturbances.size() == 1; }));
    EXPECT_EQ(lab.plane->interfaces().at(0).mode, "down");
    lab.network.plug_in_director();
    EXPECT_TRUE(drive(*lab.plane, [&] { return disturbances.size() >= 2; }));
    EXPECT_NE(lab.plane->interfaces().at(0).mode, "down");
    EXPECT_TRUE(drive(*lab.plane,
                      [&] { return lab.plane->unreachable_reason(Network::server4(0)).empty(); }));
    const auto servers = lab.listen(Network::service4);
    const UdpSocket client = lab.client("203.0.113.7");
    bool arrived = false;
    EXPECT_TRUE(drive(*lab.plane, [&] {
        client.send("question", Network::service4);
        return arrived = arrived || servers[0].receive().has_value();
    }));
}

TEST_P(XdpPlane, attaches_again_when_somebody_detached_the_link) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, GetParam()};
    lab.start();
    const int ifindex = static_cast<int>(if_nametoindex("eth0"));
    const xdp::Fd link{bpf_obj_get((pins.path() + "/v1/link_" + std::to_string(ifindex)).c_str())};
    ASSERT_TRUE(static_cast<bool>(link));
    ASSERT_EQ(bpf_link_detach(link.get()), 0);
    ASSERT_TRUE(lab.plane->read().has_value());
    const xdp::Fd again{bpf_obj_get((pins.path() + "/v1/link_" + std::to_string(ifindex)).c_str())};
    bpf_link_info info{};
    std::uint32_t length = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(again.get(), &info, &length), 0);
    EXPECT_EQ(info.xdp.ifindex, static_cast<std::uint32_t>(ifindex));
}

INSTANTIATE_TEST_SUITE_P(modes, XdpPlane,
                         testing::Values(core::XdpMode::generic, core::XdpMode::native),
                         [](const auto& mode) { return std::string{to_string(mode.param)}; });

TEST(XdpPlaneStart, picks_generic_on_veth_by_itself_and_says_why) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, core::XdpMode::automatic};
    support::ip("link set eth0 up");
    lab.start();
    const auto interfaces = lab.plane->interfaces();
    ASSERT_EQ(interfaces.size(), 1U);
    EXPECT_EQ(interfaces[0].mode, "generic");
    EXPECT_NE(interfaces[0].warning.find("veth"), std::string::npos) << interfaces[0].warning;
}

TEST(XdpPlaneStart, turns_merging_of_packets_off_in_generic_mode_and_on_again) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, core::XdpMode::generic};
    ASSERT_EQ(std::system("ethtool -K eth0 gro on"), 0);
    const auto gro_is = [](const char* state) {
        const std::string command =
            std::string{"ethtool -k eth0 | grep -q '^generic-receive-offload: "} + state + "'";
        return std::system(command.c_str()) == 0;
    };
    lab.start();
    EXPECT_TRUE(gro_is("off"));
    lab.plane.reset();  // killed; the next one still knows
    lab.start();
    EXPECT_TRUE(gro_is("off"));
    ASSERT_TRUE(lab.plane->detach().has_value());
    EXPECT_TRUE(gro_is("on"));
}

TEST(XdpPlaneStart, finds_the_interfaces_that_lead_to_servers_when_none_is_named) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, core::XdpMode::generic};
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
    Lab lab{pins, core::XdpMode::generic};
    lab.start();
    lab.settings.xdp_mode = core::XdpMode::native;
    lab.start();
    ASSERT_EQ(lab.plane->interfaces().size(), 1U);
    EXPECT_EQ(lab.plane->interfaces()[0].mode, "native");
}

TEST(XdpPlaneStart, refuses_with_an_error_that_says_what_would_be_right) {
    DNSDIRECTOR_NEEDS_BPF(pins);
    Lab lab{pins, core::XdpMode::generic};
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
    Lab lab{pins, core::XdpMode::generic};
    lab.start();
    support::ip("route add 198.51.100.0/24 via 203.0.113.12");
    const auto endpoint = [](const char* text) { return *Endpoint::parse(text); };
    const core::ServiceKey key = udp(Network::service4);
    const std::vector<std::pair<core::ServiceKey, Endpoint>> servers{
        {key, endpoint("203.0.113.11:53")},
        {key, endpoint("203.0.113.99:53")},
        {key, endpoint("198.51.100.5:53")},
        {key, endpoint("203.0.113.1:53")},
        {key, endpoint("192.0.2.200:53")}};
    lab.plane->track(servers);
    const auto reason = [&](int i) {
        return lab.plane->unreachable_reason(servers[static_cast<std::size_t>(i)].second);
    };
    std::set<IpAddress> changed;
    lab.plane->on_reachability_changed = [&](std::span<const IpAddress> which) {
        changed.insert(which.begin(), which.end());
    };
    EXPECT_TRUE(drive(*lab.plane, [&] { return reason(0).empty(); }));
    EXPECT_EQ(reason(1), "no ARP answer from 203.0.113.99 on eth0");
    EXPECT_EQ(reason(2),
              "198.51.100.5 is behind gateway 203.0.113.12: direct routing needs it on the same "
              "network; TUN will serve");
    EXPECT_NE(reason(3).find("address of this machine"), std::string::npos) << reason(3);
    EXPECT_NE(reason(4).find("192.0.2.200"), std::string::npos) << reason(4);

    // A route makes the last one's network a neighbour; the server is there.
    {
        const Visit visit{*lab.network.servers[1]};
        support::ip("address add 192.0.2.200/32 dev eth0");
    }
    support::ip("route add 192.0.2.200/32 dev eth0");
    EXPECT_TRUE(drive(*lab.plane, [&] { return reason(4).empty(); })) << reason(4);
    EXPECT_TRUE(changed.contains(servers[4].second.address));
}

}  // namespace
}  // namespace dnsdirector::dataplane
