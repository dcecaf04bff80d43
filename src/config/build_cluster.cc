// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_map>

#include "config/assembly.h"
#include "config/suggest.h"

namespace dnsdirector::config {
namespace {

constexpr std::uint16_t servfail = 2;
constexpr std::uint16_t refused = 5;

/// The core checks of one server address, by the protocol they use, in the order
/// of the cluster's check blocks.
struct ServerChecks {
    struct OfBlock {
        PerProtocol<std::optional<core::CheckIndex>> transport;
    };
    std::vector<OfBlock> blocks;

    /// What a service of `protocol` goes by.
    [[nodiscard]] std::vector<core::CheckIndex> for_service(Protocol protocol, bool all) const {
        std::vector<core::CheckIndex> checks;
        for (const OfBlock& block : blocks) {
            const bool has_own = block.transport[index(protocol)].has_value();
            for (std::size_t transport = 0; transport < 2; ++transport)
                if (block.transport[transport] && (all || !has_own || transport == index(protocol)))
                    checks.push_back(*block.transport[transport]);
        }
        return checks;
    }
};

class ClusterBuilder {
public:
    ClusterBuilder(const ClusterDraft& cluster, Assembly& assembly)
        : cluster_(cluster), assembly_(assembly), diagnostics_(assembly.diagnostics()) {}

    void build();

private:
    void resolve_checks();
    [[nodiscard]] const CheckDraft* find_named(const CheckDraft& use) const;
    void judge_servers();
    void judge_quorum();
    void judge_sources();
    [[nodiscard]] std::uint16_t port_of(const ServerDraft& server) const {
        return server.port ? server.port->value : cluster_.port;
    }
    ServerChecks checks_of(const Endpoint& server);
    [[nodiscard]] core::DnsCheck question_of(const CheckDraft& draft, Family family,
                                             Protocol transport) const;
    void add_services(const Placed<IpAddress>& service_ip);
    const ServerChecks& cached_checks(std::size_t server, Family family);

    const ClusterDraft& cluster_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::vector<const CheckDraft*> checks_;
    std::vector<PerFamily<std::optional<ServerChecks>>> server_checks_;
    PerFamily<bool> warned_families_ = {};
};

const CheckDraft* ClusterBuilder::find_named(const CheckDraft& use) const {
    if (const CheckDraft* found = assembly_.named_check(use.reference)) return found;
    std::vector<std::string_view> names;
    for (const CheckDraft& draft : assembly_.drafts().checks)
        names.push_back(draft.name);
    const auto near = nearest(use.reference, names);
    diagnostics_.error(use.position, "there is no check `{}` at top level{}", use.reference,
                       near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
    return nullptr;
}

/// The cluster's own checks and those that it uses by name.
void ClusterBuilder::resolve_checks() {
    for (const CheckDraft& draft : cluster_.checks) {
        const CheckDraft* check = draft.reference.empty() ? &draft : find_named(draft);
        if (check == nullptr) continue;
        if (std::find(checks_.begin(), checks_.end(), check) != checks_.end())
            diagnostics_.error(draft.position,
                               "the check `{}` is used a second time in this cluster",
                               draft.reference);
        else if (!check->faulty)
            checks_.push_back(check);
    }
    if (cluster_.checks.empty() && !cluster_.faulty)
        diagnostics_.warning(cluster_.position,
                             "dns_cluster {} has no check: its servers are used unchecked",
                             cluster_.name);
}

void ClusterBuilder::judge_servers() {
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
        if (server.port && server.port->value != cluster_.port && assembly_.xdp() &&
            cluster_.method.value == core::ForwardingMethod::dr)
            diagnostics_.error(
                server.port->position,
                "port: direct routing keeps the port, so that a server's port is the "
                "cluster's, {}; remove this line",
                cluster_.port);
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
            if (own != cluster_.service_ips.end())
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
    std::uint64_t weights = 0;
    for (const ServerDraft& server : cluster_.servers)
        weights += server.weight;
    if (cluster_.faulty) return;
    if (weights == 0)
        diagnostics_.warning(cluster_.position,
                             "every server of dns_cluster {} has weight 0: none gets work",
                             cluster_.name);
    else if (cluster_.quorum.value > weights)
        diagnostics_.warning(cluster_.quorum.position,
                             "quorum {} can never be met: the weights add up to {}",
                             cluster_.quorum.value, weights);
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

core::DnsCheck ClusterBuilder::question_of(const CheckDraft& draft, Family family,
                                           Protocol transport) const {
    core::DnsCheck check;
    check.name = draft.question.name;
    check.type = draft.question.type;
    check.klass = draft.question.klass;
    check.transport = transport;
    check.via.source = draft.source[index(family)];
    check.recursion_desired = draft.recursion;
    check.on_truncated = draft.on_truncated;
    if (draft.expect_rcode) check.expect_rcode = draft.expect_rcode->value;
    if (draft.fail_on) {
        check.fail_on = draft.fail_on->value;
    } else {
        // The default must not contradict what is expected.
        for (const std::uint16_t status : {servfail, refused})
            if (check.expect_rcode != status) check.fail_on.push_back(status);
    }
    check.expect_answers = draft.answers;
    return check;
}

ServerChecks ClusterBuilder::checks_of(const Endpoint& server) {
    ServerChecks checks;
    for (const CheckDraft* draft : checks_) {
        ServerChecks::OfBlock& block = checks.blocks.emplace_back();
        for (const Protocol transport : {Protocol::udp, Protocol::tcp}) {
            if (!draft->transports[index(transport)]) continue;
            core::Check check;
            check.target = {server.address, draft->port.value_or(server.port)};
            check.what = question_of(*draft, server.address.family(), transport);
            check.timing = draft->timing;
            block.transport[index(transport)] =
                assembly_.add_check(std::move(check), draft->position);
        }
    }
    return checks;
}

const ServerChecks& ClusterBuilder::cached_checks(std::size_t server, Family family) {
    auto& place = server_checks_[server][index(family)];
    if (!place) {
        const ServerDraft& draft = cluster_.servers[server];
        place = checks_of({draft.address[index(family)]->value, port_of(draft)});
    }
    return *place;
}

void ClusterBuilder::add_services(const Placed<IpAddress>& service_ip) {
    const Family family = service_ip.value.family();
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        if (!cluster_.protocols[index(protocol)]) continue;
        core::Service service;
        ServicePlaces places{service_ip.position, cluster_.position, {}};
        service.key = {service_ip.value, cluster_.port, protocol};
        service.cluster = cluster_.name;
        service.scheduler = cluster_.scheduler.value;
        service.method = cluster_.method.value;
        service.quorum.required = cluster_.quorum.value;
        service.on_all_down = cluster_.on_all_down;
        service.max_out_percent = cluster_.max_out_percent;
        service.slow_start = cluster_.slow_start;
        for (std::size_t i = 0; i < cluster_.servers.size(); ++i) {
            const ServerDraft& server = cluster_.servers[i];
            const auto& address = server.address[index(family)];
            if (!address) continue;
            places.servers.push_back(server.position);
            service.real_servers.push_back(
                {server.name, Endpoint{address->value, port_of(server)}, server.weight,
                 cached_checks(i, family).for_service(protocol, cluster_.require_all)});
        }
        assembly_.add_service(std::move(service), std::move(places));
    }

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
