// SPDX-License-Identifier: Apache-2.0
//
// The configurations that verdict_bench measures, and what they should forward.
// IPv6 documentation addresses (RFC 3849): there are not 10,000 of IPv4.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/forwarding.h"
#include "core/model.h"
#include "core/table.h"

namespace dnsdirector::bench {

struct Case {
    std::string name;             ///< for --case and the JSON
    std::string title;            ///< for people
    std::uint32_t addresses = 1;  ///< service IPs
    std::vector<Protocol> protocols;
    std::uint32_t servers = 0;  ///< of each service
    /// All services have the same servers and follow all their checks
    /// (`require all`), so that one verdict changes every table. Else each
    /// service has servers and checks of its own.
    bool shared = true;
    Nanoseconds target{0};  ///< zero: none
};

inline std::vector<Case> cases() {
    const std::vector<Protocol> udp{Protocol::udp};
    const std::vector<Protocol> tcp{Protocol::tcp};
    const std::vector<Protocol> both{Protocol::udp, Protocol::tcp};
    return {
        {"pair-44", "44 servers, UDP and TCP, both tables change", 1, both, 44, true,
         Milliseconds{2}},
        {"shared-200x50", "200 services x the same 50 servers, all tables change", 100, both, 50,
         true, Milliseconds{10}},
        {"own-200x50", "200 services x 50 servers of their own, one table changes", 100, both, 50,
         false, Milliseconds{10}},
        {"udp-10000", "1 UDP service, 10,000 servers", 1, udp, 10000, true, Milliseconds{100}},
        {"tcp-10000", "1 TCP service (Maglev), 10,000 servers", 1, tcp, 10000, true,
         Milliseconds{100}},
    };
}

inline IpAddress numbered(const char* prefix, std::uint32_t number) {
    return *IpAddress::parse(fmt::format("{}{:x}", prefix, number));
}
inline Endpoint server_endpoint(std::uint32_t number) {
    return {numbered("2001:db8:1::1:", number), 53};
}
inline core::ServiceKey service_key(std::uint32_t address, Protocol protocol) {
    return {numbered("2001:db8:53::", address + 1), 53, protocol};
}

/// How many different servers a case has.
inline std::uint32_t all_servers(const Case& c) {
    return c.shared ? c.servers
                    : c.servers * c.addresses * static_cast<std::uint32_t>(c.protocols.size());
}

/// One UDP and, for TCP services, one TCP check of a server, down and up at the
/// first verdict, so that every call changes something.
inline std::vector<core::CheckIndex> add_checks(core::Configuration& configuration,
                                                const Endpoint& server,
                                                const std::vector<Protocol>& protocols) {
    std::vector<core::CheckIndex> indices;
    for (const Protocol protocol : protocols) {
        core::Check check;
        check.target = server;
        core::DnsCheck question;
        question.transport = protocol;
        check.what = question;
        check.timing.rise = 1;
        check.timing.fall = 1;
        indices.push_back(static_cast<core::CheckIndex>(configuration.checks.size()));
        configuration.checks.push_back(check);
    }
    return indices;
}

inline core::Configuration configuration_of(const Case& c, const std::string& interface) {
    core::Configuration configuration;
    configuration.director.interfaces = {interface};
    configuration.director.xdp_mode = core::XdpMode::generic;  // the tables are the same
    std::vector<core::RealServer> shared;
    std::uint32_t next = 0;
    const auto make_servers = [&](const std::vector<Protocol>& protocols) {
        std::vector<core::RealServer> servers;
        for (std::uint32_t i = 0; i < c.servers; ++i, ++next) {
            const Endpoint endpoint = server_endpoint(next);
            // Weights as people write them: 1, 2 and 3.
            servers.push_back({"ns" + std::to_string(next), endpoint, 1 + i % 3,
                               add_checks(configuration, endpoint, protocols)});
        }
        return servers;
    };
    if (c.shared) shared = make_servers(c.protocols);
    for (std::uint32_t address = 0; address < c.addresses; ++address)
        for (const Protocol protocol : c.protocols) {
            core::Service service;
            service.key = service_key(address, protocol);
            service.cluster = "resolvers" + std::to_string(address);
            service.real_servers = c.shared ? shared : make_servers({protocol});
            configuration.services.push_back(std::move(service));
        }
    return configuration;
}

/// What is to be forwarded while this server (none: no one) is down, worked out
/// without the code under test.
inline core::Forwarding expected(const core::Configuration& configuration,
                                 const std::optional<Endpoint>& down) {
    core::Forwarding forwarding;
    for (const core::Service& service : configuration.services) {
        core::ServiceForwarding one{service.key, service.scheduler, service.method, {}};
        for (const core::RealServer& server : service.real_servers)
            if (server.endpoint != down)
                one.destinations.push_back({server.endpoint, server.weight});
        std::sort(one.destinations.begin(), one.destinations.end());
        forwarding.emplace(service.key, std::move(one));
    }
    return forwarding;
}

/// Slots of the tables of the services that list this server.
inline std::uint64_t slots_that_change(const core::Configuration& configuration,
                                       const Endpoint& server) {
    std::uint64_t slots = 0;
    for (const core::Service& service : configuration.services)
        if (std::any_of(service.real_servers.begin(), service.real_servers.end(),
                        [&](const core::RealServer& one) { return one.endpoint == server; }))
            slots += core::slots_needed(service);
    return slots;
}

}  // namespace dnsdirector::bench
