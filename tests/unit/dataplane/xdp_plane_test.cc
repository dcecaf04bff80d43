// SPDX-License-Identifier: Apache-2.0
//
// The whole plane between a client and two servers in namespaces.
#include <gtest/gtest.h>
#include <net/if.h>

#include "dataplane/xdp/fd.h"
#include "dataplane/xdp/program.h"
#include "unit/dataplane/xdp_plane_lab.h"

namespace dnsdirector::dataplane {
namespace {

using support::drive;
using test::Network;
using test::PlaneLab;
using test::udp;
constexpr auto dr = core::ForwardingMethod::dr;
using test::UdpSocket;
using Visit = support::NetworkNamespace::Visit;

const std::string pin_name = "/v" + std::to_string(xdp::abi::ABI_VERSION) + "/link_";

std::vector<core::Change> wish(const core::ServiceKey& key,
                               std::vector<core::Destination> destinations) {
    std::vector<core::Change> changes{
        core::AddService{key, core::Scheduler::wrr, core::ForwardingMethod::dr}};
    for (const core::Destination& destination : destinations)
        changes.emplace_back(core::AddDestination{key, destination});
    return changes;
}

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
    PlaneLab lab{pins, GetParam()};
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
    PlaneLab lab{pins, GetParam()};
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
    EXPECT_EQ(lab.plane->unreachable_reason(Network::server4(0), dr), "");
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
    PlaneLab lab{pins, GetParam()};
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
    PlaneLab lab{pins, GetParam()};
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
    PlaneLab lab{pins, GetParam()};
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
    EXPECT_TRUE(drive(*lab.plane, [&] {
        return lab.plane->unreachable_reason(Network::server4(0), dr).empty();
    }));
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
    PlaneLab lab{pins, GetParam()};
    lab.start();
    const int ifindex = static_cast<int>(if_nametoindex("eth0"));
    const xdp::Fd link{bpf_obj_get((pins.path() + pin_name + std::to_string(ifindex)).c_str())};
    ASSERT_TRUE(static_cast<bool>(link));
    ASSERT_EQ(bpf_link_detach(link.get()), 0);
    ASSERT_TRUE(lab.plane->read().has_value());
    const xdp::Fd again{bpf_obj_get((pins.path() + pin_name + std::to_string(ifindex)).c_str())};
    bpf_link_info info{};
    std::uint32_t length = sizeof info;
    ASSERT_EQ(bpf_obj_get_info_by_fd(again.get(), &info, &length), 0);
    EXPECT_EQ(info.xdp.ifindex, static_cast<std::uint32_t>(ifindex));
}

INSTANTIATE_TEST_SUITE_P(modes, XdpPlane,
                         testing::Values(core::XdpMode::generic, core::XdpMode::native),
                         [](const auto& mode) { return std::string{to_string(mode.param)}; });

}  // namespace
}  // namespace dnsdirector::dataplane
