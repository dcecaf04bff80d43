// SPDX-License-Identifier: Apache-2.0
//
// The whole plane between a client and two servers in namespaces.
#include "dataplane/xdp/xdp.h"

#include <gtest/gtest.h>

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
        EXPECT_TRUE(drive(*plane, [&] {
            return std::all_of(servers.begin(), servers.end(), [&](const auto& server) {
                return plane->unreachable_reason(server.second).empty();
            });
        })) << plane->unreachable_reason(Network::server4(0))
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

INSTANTIATE_TEST_SUITE_P(modes, XdpPlane,
                         testing::Values(core::XdpMode::generic, core::XdpMode::native),
                         [](const auto& mode) { return std::string{to_string(mode.param)}; });

}  // namespace
}  // namespace dnsdirector::dataplane
