// SPDX-License-Identifier: Apache-2.0
//
// Findings about services: their twins, weights, addresses, schedulers.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "config/findings.h"
#include "config/ipvs_options.h"

namespace dnsdirector::config {
namespace {

using core::Service;
using core::ServiceKey;

std::unordered_map<ServiceKey, std::size_t> by_key(const core::Configuration& configuration) {
    std::unordered_map<ServiceKey, std::size_t> keys;
    for (std::size_t i = 0; i < configuration.services.size(); ++i)
        keys.emplace(configuration.services[i].key, i);
    return keys;
}

/// Whether DNS over UDP and TCP is spoken there: not on 853 and 443, where the
/// two protocols carry different things (RFC 7858, 9250, 8484). Nobody knows what a
/// firewall mark or all ports stand for.
bool plain_dns(const ServiceKey& key) {
    return key.port != 0 && key.port != 853 && key.port != 443;
}

void find_lonely(const Scene& scene, Protocol lonely, std::string_view code,
                 std::string_view consequence) {
    const Protocol missing = lonely == Protocol::udp ? Protocol::tcp : Protocol::udp;
    const auto keys = by_key(scene.configuration);
    std::set<std::uint32_t> said;  // blocks, by their order
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        if (service.key.protocol != lonely || !plain_dns(service.key)) continue;
        if (keys.contains({service.key.address, service.key.port, missing})) continue;
        const ServicePlaces& places = scene.places.services[i];
        if (!said.insert(places.block.order).second) continue;
        const std::string name = missing == Protocol::udp ? "UDP" : "TCP";
        std::string hint;
        if (!service.cluster.empty())
            hint = "protocol udp tcp";
        else
            hint = fmt::format(
                "add the same block with `protocol {}`; `dnsdirector convert` makes one "
                "dns_cluster of both",
                name);
        scene.diagnostics.finding(
            places.at, code,
            fmt::format("{} has no {} twin: {}", service.key.to_string(), name, consequence),
            std::move(hint));
    }
}

void udp_without_tcp(const Scene& scene) {
    find_lonely(scene, Protocol::udp, "udp-without-tcp",
                "whoever gets a truncated answer asks again over TCP (RFC 7766) and finds nobody");
}

void tcp_without_udp(const Scene& scene) {
    find_lonely(scene, Protocol::tcp, "tcp-without-udp", "clients ask over UDP first");
}

/// Calls `visit(udp, tcp)`, as indices of services, for each address and port with both.
template <typename Visit>
void for_twins(const core::Configuration& configuration, const Visit& visit) {
    const auto keys = by_key(configuration);
    for (std::size_t udp = 0; udp < configuration.services.size(); ++udp) {
        const ServiceKey& key = configuration.services[udp].key;
        if (key.protocol != Protocol::udp) continue;
        const auto tcp = keys.find({key.address, key.port, Protocol::tcp});
        if (tcp != keys.end()) visit(udp, tcp->second);
    }
}

void weights_differ(const Scene& scene) {
    for_twins(scene.configuration, [&](std::size_t udp, std::size_t tcp) {
        std::unordered_map<Endpoint, core::Weight> weights;
        for (const core::RealServer& server : scene.configuration.services[udp].real_servers)
            weights.emplace(server.endpoint, server.weight);
        const Service& other = scene.configuration.services[tcp];
        for (std::size_t i = 0; i < other.real_servers.size(); ++i) {
            const core::RealServer& server = other.real_servers[i];
            const auto weight = weights.find(server.endpoint);
            if (weight == weights.end() || weight->second == server.weight) continue;
            scene.diagnostics.finding(
                scene.places.services[tcp].servers[i], "weights-differ",
                fmt::format("{} has weight {} over TCP and {} over UDP at {}", server.name,
                            server.weight, weight->second, other.key.endpoint().to_string()),
                "one machine has one capacity: write the same weight in both, or a dns_cluster, "
                "which has one for both");
        }
    });
}

void servers_differ(const Scene& scene) {
    for_twins(scene.configuration, [&](std::size_t udp, std::size_t tcp) {
        for (const auto& [here, there] : {std::pair{udp, tcp}, std::pair{tcp, udp}}) {
            const Service& service = scene.configuration.services[here];
            const Service& twin = scene.configuration.services[there];
            std::set<Endpoint> known;
            for (const core::RealServer& server : twin.real_servers)
                known.insert(server.endpoint);
            for (std::size_t i = 0; i < service.real_servers.size(); ++i)
                if (!known.contains(service.real_servers[i].endpoint))
                    scene.diagnostics.finding(
                        scene.places.services[here].servers[i], "servers-differ",
                        fmt::format("{} serves {} and not {}", service.real_servers[i].name,
                                    service.key.to_string(), twin.key.to_string()),
                        "a truncated answer sends the client to the other protocol: list the "
                        "server in both");
        }
    });
}

bool same_subnet(const IpAddress& a, const IpAddress& b) {
    const std::size_t bytes = a.is_v4() ? 3 : 8;  // /24, /64
    return a.family() == b.family() &&
           std::equal(a.bytes().begin(), a.bytes().begin() + static_cast<std::ptrdiff_t>(bytes),
                      b.bytes().begin());
}

void service_ip_in_server_subnet(const Scene& scene) {
    // A proxy's servers hold no service IP.
    if (scene.configuration.director.dataplane == core::DataPlaneKind::proxy) return;
    std::set<IpAddress> said;
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        const IpAddress& address = service.key.address;
        if (service.method != core::ForwardingMethod::dr || said.contains(address)) continue;
        const auto near = std::find_if(
            service.real_servers.begin(), service.real_servers.end(),
            [&](const auto& server) { return same_subnet(server.endpoint.address, address); });
        if (near == service.real_servers.end()) continue;
        said.insert(address);
        scene.diagnostics.finding(
            scene.places.services[i].at, "service-ip-in-server-subnet",
            fmt::format("{} is in the network of its servers ({}): a server that answers {} for "
                        "it takes all queries past the director",
                        address.to_string(), near->endpoint.address.to_string(),
                        address.is_v4() ? "ARP" : "neighbour solicitations"),
            address.is_v4()
                ? fmt::format("on each server: ip addr add {0}/32 dev lo; sysctl -w "
                              "net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
                              address.to_string())
                : fmt::format("on each server: ip addr add {}/128 dev lo, and on no other "
                              "interface: Linux does not answer for addresses on lo",
                              address.to_string()));
    }
}

void client_affinity(const Scene& scene) {
    std::set<std::uint32_t> said;
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        const bool address_alone =
            (service.scheduler == core::Scheduler::sh && !service.other_hash) ||
            (service.scheduler == core::Scheduler::mh && service.other_hash);
        const ServicePlaces& places = scene.places.services[i];
        if (!address_alone || !said.insert(places.block.order).second) continue;
        scene.diagnostics.finding(
            places.at, "persistence",
            fmt::format("lb_algo {} sends all queries of one client address to one server: a "
                        "forwarder, a NAT or a mail cluster then loads one server alone",
                        core::to_string(service.scheduler)),
            "DNS needs no persistence: lb_algo wrr");
    }
}

/// Why the kernel's scheduler sees every real server idle when it places UDP; empty where it
/// does not (ip_vs_sed.c, ip_vs_nq.c; ip_vs.h: a UDP flow is an inactive connection).
std::string idle_to_the_kernel(const Service& service) {
    const std::string name{to_string(service.scheduler)};
    if (service.scheduler == core::Scheduler::sed || service.scheduler == core::Scheduler::nq)
        return name + " counts active connections, and a flow of UDP never is one";
    if (counts_connections(service.scheduler) && service.ipvs.one_packet)
        return name + " counts connections, and one-packet scheduling (ops) keeps none";
    return "";
}

void udp_to_one_server(const Scene& scene) {
    if (scene.configuration.director.dataplane != core::DataPlaneKind::ipvs) return;
    std::set<std::uint32_t> said;
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        if (service.key.protocol != Protocol::udp || service.key.fwmark != 0 ||
            service.real_servers.size() < 2)
            continue;
        const std::string why = idle_to_the_kernel(service);
        const ServicePlaces& places = scene.places.services[i];
        if (why.empty() || !said.insert(places.block.order).second) continue;
        scene.diagnostics.finding(places.at, "udp-to-one-server",
                                  fmt::format("lb_algo {}: all UDP queries go to one server of {}",
                                              why, service.key.to_string()),
                                  "lb_algo wrr, by packet; or wlc without ops, by flow");
    }
}

constexpr Rule rules[] = {
    {"udp-without-tcp", "a UDP service without its TCP twin", udp_without_tcp},
    {"tcp-without-udp", "a TCP service without its UDP twin", tcp_without_udp},
    {"weights-differ", "a server whose weight differs between UDP and TCP", weights_differ},
    {"servers-differ", "a server that serves one of the two protocols", servers_differ},
    {"service-ip-in-server-subnet", "a service IP in the servers' own network",
     service_ip_in_server_subnet},
    {"persistence", "clients that stay with one server", client_affinity},
    {"udp-to-one-server", "UDP whose scheduler counts what UDP does not make", udp_to_one_server},
};

}  // namespace

std::span<const Rule> service_rules() {
    return rules;
}

}  // namespace dnsdirector::config
