// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_map>

#include "config/assembly.h"
#include "config/build_native_check.h"
#include "config/build_to_all.h"
#include "config/ipvs_options.h"

namespace dnsdirector::config {
namespace {

class ClusterBuilder {
public:
    ClusterBuilder(const ClusterDraft& cluster, Assembly& assembly)
        : cluster_(cluster), assembly_(assembly), diagnostics_(assembly.diagnostics()) {}

    void build();

private:
    void resolve_checks();
    void judge_servers();
    void only_of_proxy(std::string_view keyword, const std::optional<Placed<bool>>& wish);
    void judge_quorum();
    void judge_sources();
    void judge_through();
    [[nodiscard]] std::uint16_t port_of(const ServerDraft& server) const {
        return server.port ? server.port->value : cluster_.port;
    }
    [[nodiscard]] ServerWords words_of(const ServerDraft& server, Family family) const {
        return {server.name, {server.address[index(family)]->value, port_of(server)}};
    }
    [[nodiscard]] std::string_view port_keeper() const {
        return cluster_.method.value == core::ForwardingMethod::tun ? "a tunnel" : "direct routing";
    }
    ServerChecks checks_of(std::size_t server, const ServerWords& words,
                           const IpAddress& service_ip);
    void judge_sorry_servers();
    void judge_commands();
    [[nodiscard]] core::Service service_of(const Placed<IpAddress>& service_ip,
                                           Protocol protocol) const;
    core::RealServer real_server_of(std::size_t server, const IpAddress& service_ip,
                                    Protocol protocol);
    void warn_of_family(const Placed<IpAddress>& service_ip);
    void add_services(const Placed<IpAddress>& service_ip);
    const ServerChecks& cached_checks(std::size_t server, const IpAddress& service_ip);
    struct CachedChecks {
        IpAddress service_ip;
        ServerChecks checks;
    };

    const ClusterDraft& cluster_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::vector<const CheckDraft*> checks_;
    std::vector<std::vector<const CheckDraft*>> own_checks_;  ///< of each server
    std::vector<PerFamily<std::optional<CachedChecks>>> server_checks_;
    PerFamily<bool> warned_families_ = {};
    core::ToAll to_all_;
};

void ClusterBuilder::resolve_checks() {
    checks_ = assembly_.resolve_checks(cluster_.checks, "cluster");
    bool every_server = !cluster_.servers.empty();
    for (const ServerDraft& server : cluster_.servers) {
        own_checks_.push_back(assembly_.resolve_checks(server.checks, "server"));
        every_server = every_server && !server.checks.empty();
    }
    if (cluster_.checks.empty() && !every_server && !cluster_.faulty)
        diagnostics_.warning(cluster_.position,
                             "dns_cluster {} has no check: its servers are used unchecked",
                             cluster_.name);
}

void ClusterBuilder::only_of_proxy(std::string_view keyword,
                                   const std::optional<Placed<bool>>& wish) {
    if (!wish || !wish->value || assembly_.proxy()) return;
    diagnostics_.error(wish->position,
                       "{} is what the proxy plane alone does; on the others servers see the "
                       "client's own address. Remove the line, or write dataplane proxy",
                       keyword);
}

void ClusterBuilder::judge_servers() {
    only_of_proxy("proxy_protocol", cluster_.proxy_protocol);
    only_of_proxy("transparent", cluster_.transparent);
    if (const auto& subnet = cluster_.client_subnet)
        only_of_proxy("client_subnet", Placed<bool>{subnet->value.any(), subnet->position});
    std::unordered_map<std::string_view, Position> names;
    std::unordered_map<Endpoint, Position> addresses;
    for (const ServerDraft& server : cluster_.servers) {
        if (!server.name.empty()) {
            const auto [first, fresh] = names.emplace(server.name, server.position);
            if (!fresh)
                diagnostics_.error(
                    server.position,
                    "the real_server `{}` is declared a second time in this cluster; the "
                    "first is at {}",
                    server.name, diagnostics_.where(first->second));
        }
        if (server.port && server.port->value != cluster_.port &&
            assembly_.keeps_port(cluster_.method.value))
            diagnostics_.error(server.port->position,
                               "port: {} keeps the port, so that a server's port is the "
                               "cluster's, {}; remove this line",
                               port_keeper(), cluster_.port);
        judge_thresholds(server.thresholds, true, assembly_);
        only_of_proxy("proxy_protocol", server.proxy_protocol);
        only_of_proxy("transparent", server.transparent);
        for (const auto& address : server.address) {
            if (!address || !assembly_.usable(address->value, address->position, "address"))
                continue;
            const auto [first, fresh] =
                addresses.emplace(Endpoint{address->value, port_of(server)}, address->position);
            if (!fresh)
                diagnostics_.error(
                    address->position,
                    "address: {} is given a second time in this cluster; the first is at {}",
                    address->value.to_string(), diagnostics_.where(first->second));
            const auto own = std::find_if(
                cluster_.service_ips.begin(), cluster_.service_ips.end(),
                [&](const auto& service_ip) { return service_ip.value == address->value; });
            // A proxy reaches its servers at ports of their own.
            const bool apart = assembly_.proxy() && port_of(server) != cluster_.port;
            if (own != cluster_.service_ips.end() && !apart)
                diagnostics_.error(
                    address->position,
                    "address: {} is a service_ip of this cluster, at {}; write the server's own "
                    "address",
                    address->value.to_string(), diagnostics_.where(own->position));
            else
                assembly_.not_a_service_ip(address->value, address->position, "address");
        }
    }
}

void ClusterBuilder::judge_quorum() {
    const std::uint64_t hysteresis = cluster_.hysteresis ? cluster_.hysteresis->value : 0;
    if (hysteresis > 0 && hysteresis >= cluster_.quorum.value)
        diagnostics_.error(cluster_.hysteresis->position,
                           "hysteresis {} must be less than the quorum, {}", hysteresis,
                           cluster_.quorum.value);
    std::uint64_t weights = 0;
    for (const ServerDraft& server : cluster_.servers)
        weights += server.weight;
    if (cluster_.faulty) return;
    if (weights == 0)
        diagnostics_.warning(cluster_.position,
                             "every server of dns_cluster {} has weight 0: none gets work",
                             cluster_.name);
    else if (cluster_.quorum.value + hysteresis > weights)
        diagnostics_.warning(
            cluster_.quorum.position, "quorum {}{} can never be met: the weights add up to {}",
            cluster_.quorum.value, hysteresis > 0 ? " (with its hysteresis)" : "", weights);
}

void ClusterBuilder::judge_sorry_servers() {
    for (const auto& address : cluster_.sorry_server) {
        if (!address || !assembly_.usable(address->value, address->position, "sorry_server"))
            continue;
        assembly_.not_a_service_ip(address->value, address->position, "sorry_server");
        if (cluster_.sorry_port && cluster_.sorry_port->value != cluster_.port &&
            assembly_.keeps_port(cluster_.method.value))
            diagnostics_.error(cluster_.sorry_port->position,
                               "sorry_server_port: {} keeps the port, so that it is "
                               "the cluster's, {}; remove this line",
                               port_keeper(), cluster_.port);
    }
    const bool any = std::any_of(cluster_.sorry_server.begin(), cluster_.sorry_server.end(),
                                 [](const auto& address) { return address.has_value(); });
    if (!any && cluster_.sorry_inhibit_at && !cluster_.faulty)
        diagnostics_.error(*cluster_.sorry_inhibit_at,
                           "sorry_server_inhibit needs a sorry_server beside it");
}

void ClusterBuilder::judge_commands() {
    const auto judge = [&](const CommandDraft& command, std::string_view keyword) {
        if (command)
            assembly_.check_program(command->value.arguments.front(), command->position, keyword);
    };
    judge(cluster_.quorum_up, "quorum_up");
    judge(cluster_.quorum_down, "quorum_down");
    judge(cluster_.notify_up, "notify_up");
    judge(cluster_.notify_down, "notify_down");
    for (const ServerDraft& server : cluster_.servers) {
        judge(server.notify_up, "notify_up");
        judge(server.notify_down, "notify_down");
    }
}

/// A source of one family alone says nothing of the questions to the other's addresses.
void ClusterBuilder::judge_sources() {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
        const bool served = std::any_of(
            cluster_.service_ips.begin(), cluster_.service_ips.end(),
            [&](const auto& service_ip) { return service_ip.value.family() == family; });
        const bool used = std::any_of(
            cluster_.servers.begin(), cluster_.servers.end(),
            [&](const ServerDraft& server) { return server.address[index(family)].has_value(); });
        if (!served || !used) continue;
        for (const CheckDraft* check : checks_)
            if (check->source_at && !check->source[index(family)])
                diagnostics_.warning(*check->source_at,
                                     "source: there is no {0} address in it, so that questions to "
                                     "the {0} addresses of dns_cluster {1} leave from one that the "
                                     "system chooses; add one",
                                     to_string(family), cluster_.name);
    }
}

/// Under lb_kind NAT no server has the service IP.
void ClusterBuilder::judge_through() {
    if (cluster_.method.value != core::ForwardingMethod::nat) return;
    const auto judge = [&](const std::vector<const CheckDraft*>& checks) {
        for (const CheckDraft* check : checks)
            if (check->via_service_ip_at)
                diagnostics_.error(*check->via_service_ip_at,
                                   "via service_ip: with lb_kind NAT, as in dns_cluster {}, the "
                                   "director translates the service IP and no server holds it; "
                                   "remove this line, the server's own address is what clients "
                                   "reach",
                                   cluster_.name);
    };
    judge(checks_);
    for (const auto& checks : own_checks_)
        judge(checks);
}

ServerChecks ClusterBuilder::checks_of(std::size_t server, const ServerWords& words,
                                       const IpAddress& service_ip) {
    ServerChecks checks;
    const ThroughService through{service_ip, cluster_.method.value};
    for (const CheckDraft* draft : checks_)
        checks.blocks.push_back(build_native_check(*draft, words, through, assembly_));
    for (const CheckDraft* draft : own_checks_[server])
        checks.blocks.push_back(build_native_check(*draft, words, through, assembly_));
    return checks;
}

/// Of a server's address there is one list of checks for all service IPs, unless one of them
/// asks through the service IP: then the list is that of the service IP it was last made for.
const ServerChecks& ClusterBuilder::cached_checks(std::size_t server, const IpAddress& service_ip) {
    auto& place = server_checks_[server][index(service_ip.family())];
    const auto through = [](const CheckDraft* check) {
        return check->via_service_ip_at.has_value();
    };
    const bool depends =
        std::any_of(checks_.begin(), checks_.end(), through) ||
        std::any_of(own_checks_[server].begin(), own_checks_[server].end(), through);
    if (!place || (depends && place->service_ip != service_ip))
        place = {
            service_ip,
            checks_of(server, words_of(cluster_.servers[server], service_ip.family()), service_ip)};
    return place->checks;
}

core::Service ClusterBuilder::service_of(const Placed<IpAddress>& service_ip,
                                         Protocol protocol) const {
    core::Service service;
    service.key = {service_ip.value, cluster_.port, protocol};
    service.cluster = cluster_.name;
    service.scheduler = cluster_.scheduler.value;
    service.method = cluster_.method.value;
    const bool sh = service.scheduler == core::Scheduler::sh;
    const bool mh = service.scheduler == core::Scheduler::mh;
    service.other_hash =
        cluster_.hash_port && ((sh && *cluster_.hash_port) || (mh && !*cluster_.hash_port));
    service.ipvs =
        ipvs_options({.persistence = cluster_.persistence,
                      .one_packet = cluster_.one_packet ? std::optional(cluster_.one_packet->value)
                                                        : std::nullopt,
                      .fallback = true,
                      .translates = cluster_.method.value == core::ForwardingMethod::nat},
                     service, assembly_);
    service.quorum.required = cluster_.quorum.value;
    if (cluster_.hysteresis) service.quorum.hysteresis = cluster_.hysteresis->value;
    service.on_all_down = cluster_.on_all_down;
    service.max_out_percent = cluster_.max_out_percent;
    service.slow_start = cluster_.slow_start;
    service.omega = cluster_.omega;
    if (cluster_.client_subnet && assembly_.proxy())
        service.client_subnet = cluster_.client_subnet->value;
    service.to_all = to_all_;
    if (cluster_.quorum_up) service.quorum_up = cluster_.quorum_up->value;
    if (cluster_.quorum_down) service.quorum_down = cluster_.quorum_down->value;
    if (const auto& sorry = cluster_.sorry_server[index(service_ip.value.family())])
        service.sorry_server = {
            {sorry->value, cluster_.sorry_port ? cluster_.sorry_port->value : cluster_.port},
            cluster_.sorry_inhibit_at.has_value()};
    return service;
}

core::RealServer ClusterBuilder::real_server_of(std::size_t server, const IpAddress& service_ip,
                                                Protocol protocol) {
    const ServerDraft& draft = cluster_.servers[server];
    const ServerWords words = words_of(draft, service_ip.family());
    core::RealServer real;
    real.name = draft.name;
    real.endpoint = words.endpoint;
    real.weight = draft.weight;
    const auto wished = [&](const auto& own, const auto& common) {
        const auto& wish = own ? own : common;
        return assembly_.proxy() && wish && wish->value;
    };
    real.proxy_protocol = wished(draft.proxy_protocol, cluster_.proxy_protocol);
    real.transparent = wished(draft.transparent, cluster_.transparent);
    real.inhibit_on_failure = draft.inhibit_on_failure.value_or(cluster_.inhibit_on_failure);
    const auto command = [&](const CommandDraft& own, const CommandDraft& common) {
        const CommandDraft& taken = own ? own : common;
        return taken ? std::optional(words.fill(taken->value)) : std::nullopt;
    };
    if (assembly_.ipvs()) real.thresholds = thresholds_of(draft.thresholds);
    real.notify_up = command(draft.notify_up, cluster_.notify_up);
    real.notify_down = command(draft.notify_down, cluster_.notify_down);
    cached_checks(server, service_ip).add_to(real, protocol, cluster_.require_all);
    return real;
}

void ClusterBuilder::add_services(const Placed<IpAddress>& service_ip) {
    const Family family = service_ip.value.family();
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        if (!cluster_.protocols[index(protocol)]) continue;
        core::Service service = service_of(service_ip, protocol);
        ServicePlaces places{service_ip.position, cluster_.position, {}};
        for (std::size_t i = 0; i < cluster_.servers.size(); ++i) {
            if (!cluster_.servers[i].address[index(family)]) continue;
            service.real_servers.push_back(real_server_of(i, service_ip.value, protocol));
            places.servers.push_back(cluster_.servers[i].position);
        }
        assembly_.add_service(std::move(service), std::move(places));
    }
    warn_of_family(service_ip);
}

/// Of servers that are no part of the services of that address's family.
void ClusterBuilder::warn_of_family(const Placed<IpAddress>& service_ip) {
    const Family family = service_ip.value.family();
    bool& warned = warned_families_[index(family)];
    if (warned || cluster_.faulty) return;
    warned = true;
    std::size_t without = 0;
    for (const ServerDraft& server : cluster_.servers)
        if (!server.address[index(family)]) ++without;
    if (without == cluster_.servers.size()) {
        diagnostics_.error(
            service_ip.position,
            "no real_server of dns_cluster {} has an {} address, which the service {} needs",
            cluster_.name, to_string(family), service_ip.value.to_string());
        return;
    }
    for (const ServerDraft& server : cluster_.servers)
        if (!server.address[index(family)])
            diagnostics_.warning(server.position,
                                 "real_server {} has no {} address: it is not part of the {} "
                                 "services of dns_cluster {}",
                                 server.name, to_string(family), to_string(family), cluster_.name);
}

void ClusterBuilder::build() {
    resolve_checks();
    judge_servers();
    judge_quorum();
    judge_sources();
    judge_through();
    judge_sorry_servers();
    judge_commands();
    to_all_ = build_to_all(cluster_, assembly_);
    judge_persistence(cluster_.persistence, true, assembly_);
    if (cluster_.one_packet && !cluster_.one_packet->value && assembly_.xdp())
        diagnostics_.error(cluster_.one_packet->position,
                           "ops off: the xdp plane spreads UDP packet by packet; lb_algo mh keeps "
                           "a flow with one server");
    assembly_.check_scheduler(cluster_.scheduler.value, cluster_.scheduler.position, "");
    assembly_.check_method(cluster_.method.value, cluster_.method.position, "");
    server_checks_.resize(cluster_.servers.size());
    for (const Placed<IpAddress>& service_ip : cluster_.service_ips)
        if (assembly_.usable(service_ip.value, service_ip.position, "service_ip"))
            add_services(service_ip);
}

}  // namespace

void build_cluster(const ClusterDraft& cluster, Assembly& assembly) {
    ClusterBuilder(cluster, assembly).build();
}

}  // namespace dnsdirector::config
