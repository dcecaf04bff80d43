// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dataplane/proxy/plane.h"
#include "unit/dataplane/proxy/servers.h"
#include "unit/support/unused_port.h"

namespace dnsdirector::dataplane::proxy::testing {

/// A proxy plane with one service over UDP and one over TCP at a free port of 127.0.0.1.
class Bed {
public:
    explicit Bed(core::ProxySettings settings = {})
        : Bed(settings, {}, {*IpAddress::parse("127.0.0.1"), support::unused_port()}) {}
    /// With what a predecessor left, which served there.
    Bed(core::ProxySettings settings, Inheritance inheritance, const Endpoint& where)
        : service(where) {
        if (settings.workers == 0) settings.workers = 1;
        plane = std::move(*Plane::make(settings, std::move(inheritance)));
    }

    struct Member {
        Endpoint server;
        std::uint32_t weight = 1;
    };
    void serve(const std::vector<Member>& members,
               core::Scheduler scheduler = core::Scheduler::wrr) {
        wish = {};
        std::vector<TrackedServer> tracked;
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            core::ServiceForwarding forwarding{
                .key = key(protocol), .scheduler = scheduler, .destinations = {}};
            for (const Member& member : members) {
                forwarding.destinations.push_back({member.server, member.weight});
                tracked.push_back({forwarding.key, member.server});
            }
            std::sort(forwarding.destinations.begin(), forwarding.destinations.end());
            wish.emplace(forwarding.key, forwarding);
        }
        std::sort(tracked.begin(), tracked.end());
        plane->track(tracked);
        const auto applied = plane->apply(core::diff(*plane->read(), wish));
        ASSERT_TRUE(applied) << applied.error().message;
    }

    /// As a configuration in which these servers take the PROXY protocol.
    void expect_header(const std::vector<Member>& members) const {
        core::Configuration configuration;
        core::Service& all = configuration.services.emplace_back();
        for (const Member& each : members)
            all.real_servers.push_back(
                {.name = "", .endpoint = each.server, .checks = {}, .proxy_protocol = true});
        plane->expect(configuration);
    }

    /// As a configuration in which both services tell clients' networks.
    void expect_subnet(const core::ClientSubnet& lengths) const {
        core::Configuration configuration;
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp})
            configuration.services.emplace_back().key = key(protocol);
        for (core::Service& each : configuration.services)
            each.client_subnet = lengths;
        plane->expect(configuration);
    }

    /// As a configuration that sends what `what` says to all of these; some take the header.
    void to_all(const core::ToAll& what, const std::vector<Member>& members,
                const std::vector<Member>& with_header = {}) const {
        core::Configuration configuration;
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            core::Service& added = configuration.services.emplace_back();
            added.key = key(protocol);
            added.to_all = what;
            for (const Member& each : members) {
                core::RealServer& server = added.real_servers.emplace_back();
                server.endpoint = each.server;
                server.proxy_protocol =
                    std::any_of(with_header.begin(), with_header.end(),
                                [&](const Member& one) { return one.server == each.server; });
            }
        }
        plane->expect(configuration);
    }

    [[nodiscard]] core::ServiceKey key(Protocol protocol) const {
        return {service.address, service.port, protocol};
    }
    [[nodiscard]] std::uint64_t drops(const std::string& reason) const {
        return plane->counters()->drops.at(reason);
    }
    [[nodiscard]] std::uint64_t events(const std::string& what) const {
        return plane->counters()->events.at(what);
    }

    const Endpoint service;
    std::unique_ptr<Plane> plane;
    core::Forwarding wish;
};

/// The second of two servers answers well, the first as told.
inline Bed::Member member(const FakeServer& server, std::uint32_t weight = 1) {
    return {server.endpoint(), weight};
}

}  // namespace dnsdirector::dataplane::proxy::testing
