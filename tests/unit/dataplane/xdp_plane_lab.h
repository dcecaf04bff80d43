// SPDX-License-Identifier: Apache-2.0
//
// A plane under test, on the director of xdp_lab.h's network.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "dataplane/xdp/xdp.h"
#include "unit/dataplane/xdp_lab.h"
#include "unit/support/wait.h"

namespace dnsdirector::dataplane::test {

inline core::ServiceKey udp(const Endpoint& service) {
    return {service.address, service.port, Protocol::udp};
}

/// A plane on the director of a network, with both families' services and servers.
/// The thread is in the director's namespace while it lives, as a daemon would be.
class PlaneLab {
public:
    PlaneLab(const PinDir& pins, core::XdpMode mode) : pins_(pins), visit_(network.director) {
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
        std::vector<TrackedServer> servers;
        for (int number = 0; number < 2; ++number) {
            servers.push_back({udp(Network::service4), Network::server4(number)});
            servers.push_back({udp(Network::service6), Network::server6(number)});
        }
        plane->track(servers);
        EXPECT_TRUE(support::drive(
            *plane,
            [&] {
                return std::all_of(servers.begin(), servers.end(), [&](const auto& each) {
                    return plane->unreachable_reason(each.server, each.method).empty();
                });
            }))
            << plane->unreachable_reason(Network::server4(0), core::ForwardingMethod::dr)
            << plane->unreachable_reason(Network::server6(0), core::ForwardingMethod::dr);
    }
    void apply(const std::vector<core::Change>& changes) {
        const auto applied = plane->apply(changes);
        ASSERT_TRUE(applied.has_value()) << applied.error().message;
    }
    std::vector<UdpSocket> listen(const Endpoint& service) {
        std::vector<UdpSocket> sockets;
        for (const auto& server : network.servers) {
            const support::NetworkNamespace::Visit visit{*server};
            sockets.emplace_back(service);
        }
        return sockets;
    }
    UdpSocket client(const char* address) {
        const support::NetworkNamespace::Visit visit{network.client};
        return UdpSocket{{*IpAddress::parse(address), 4000}};
    }

    Network network;
    core::DirectorSettings settings;
    std::unique_ptr<DataPlane> plane;

private:
    const PinDir& pins_;
    support::NetworkNamespace::Visit visit_;
};

}  // namespace dnsdirector::dataplane::test
