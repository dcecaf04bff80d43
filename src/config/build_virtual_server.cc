// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "config/assembly.h"
#include "config/build_compatible_check.h"

namespace dnsdirector::config {
namespace {

class VirtualServerBuilder {
public:
    VirtualServerBuilder(const VirtualServerDraft& draft, Assembly& assembly)
        : draft_(draft), assembly_(assembly), diagnostics_(assembly.diagnostics()) {}

    void build();

private:
    bool find_addresses();
    void judge();
    /// A flag that belongs to the scheduler `of`.
    void judge_hash_flag(const std::optional<Position>& flag, std::string_view keyword,
                         core::Scheduler of);
    void judge_quorum();
    /// Of all its servers, as configured.
    [[nodiscard]] std::uint64_t all_weights() const;
    void judge_method(const std::optional<Placed<core::ForwardingMethod>>& method,
                      std::string_view keyword);
    void judge_server(const CompatibleServerDraft& server);
    void judge_endpoint(const Endpoint& endpoint, const Position& at, std::string_view role);
    void judge_sorry_server();
    void judge_command(const std::optional<Placed<core::Command>>& command,
                       std::string_view keyword);
    [[nodiscard]] core::Service service_of(const Endpoint& address) const;
    [[nodiscard]] core::RealServer real_server_of(const CompatibleServerDraft& server,
                                                  const Endpoint& service);
    [[nodiscard]] core::Weight weight_of(const CompatibleServerDraft& server) const {
        return server.weight.value_or(draft_.weight);
    }
    /// As keepalived: without NAT its port does not count.
    [[nodiscard]] Endpoint sorry_endpoint() const {
        Endpoint sorry = draft_.sorry_server->value;
        if (method() != core::ForwardingMethod::nat) sorry.port = 0;
        return sorry;
    }
    [[nodiscard]] core::ForwardingMethod method() const {
        return draft_.method ? draft_.method->value : core::ForwardingMethod::nat;
    }
    [[nodiscard]] core::Scheduler scheduler() const {
        return draft_.scheduler ? draft_.scheduler->value : core::Scheduler::wlc;
    }
    [[nodiscard]] static Endpoint with_port(Endpoint endpoint, std::uint16_t port) {
        if (endpoint.port == 0) endpoint.port = port;
        return endpoint;
    }

    const VirtualServerDraft& draft_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::vector<Placed<Endpoint>> addresses_;  ///< one service for each
    std::unordered_map<Endpoint, Position> servers_;
};

/// False when there is none that could be used; that has been said.
bool VirtualServerBuilder::find_addresses() {
    if (draft_.group.value.empty()) {
        if (draft_.endpoint.port != 0) addresses_.push_back({draft_.endpoint, draft_.position});
    } else {
        addresses_ = assembly_.addresses_of_group(draft_.group);
    }
    return !addresses_.empty();
}

void VirtualServerBuilder::judge() {
    const Position* last = nullptr;
    for (const Placed<Endpoint>& address : addresses_) {
        // Of a range the first that is wrong says it.
        if (last != nullptr && *last == address.position) continue;
        if (!assembly_.usable(address.value.address, address.position, "virtual_server"))
            last = &address.position;
    }
    // A mistake within the block may be the very line that is missing.
    if (draft_.scheduler)
        assembly_.check_scheduler(draft_.scheduler->value, draft_.scheduler->position, "");
    else if (!draft_.faulty)
        assembly_.check_scheduler(core::Scheduler::wlc, draft_.position,
                                  " (it is keepalived's default)");
    if (draft_.method)
        assembly_.check_method(draft_.method->value, draft_.method->position, "");
    else if (!draft_.faulty)
        assembly_.check_method(core::ForwardingMethod::nat, draft_.position,
                               " (it is keepalived's default)");
    judge_hash_flag(draft_.sh_port, "sh-port", core::Scheduler::sh);
    judge_hash_flag(draft_.mh_port, "mh-port", core::Scheduler::mh);
    judge_quorum();
    judge_sorry_server();
    judge_command(draft_.quorum_up, "quorum_up");
    judge_command(draft_.quorum_down, "quorum_down");
    for (const CompatibleServerDraft& server : draft_.servers)
        if (server.readable) judge_server(server);
}

void VirtualServerBuilder::judge_hash_flag(const std::optional<Position>& flag,
                                           std::string_view keyword, core::Scheduler of) {
    if (flag && draft_.scheduler && draft_.scheduler->value != of)
        diagnostics_.warning(*flag, "{} has no effect with lb_algo {}: it belongs to lb_algo {}",
                             keyword, core::to_string(draft_.scheduler->value),
                             core::to_string(of));
}

std::uint64_t VirtualServerBuilder::all_weights() const {
    std::uint64_t weights = 0;
    for (const CompatibleServerDraft& server : draft_.servers)
        weights += weight_of(server);
    return weights;
}

void VirtualServerBuilder::judge_quorum() {
    const std::uint64_t quorum = draft_.quorum ? draft_.quorum->value : 1;
    if (draft_.hysteresis && draft_.hysteresis->value >= quorum && draft_.hysteresis->value > 0)
        diagnostics_.error(draft_.hysteresis->position,
                           "hysteresis {} must be less than the quorum, {}",
                           draft_.hysteresis->value, quorum);
    const std::uint64_t weights = all_weights();
    if (draft_.faulty) return;
    if (weights == 0)
        diagnostics_.warning(draft_.position,
                             "every server of this virtual_server has weight 0: none gets work");
    else if (draft_.quorum && quorum > weights)
        diagnostics_.warning(draft_.quorum->position,
                             "quorum {0} is more than the weights add up to; {1}, their sum, is "
                             "used, as keepalived does",
                             quorum, weights);
    else if (draft_.quorum && quorum + (draft_.hysteresis ? draft_.hysteresis->value : 0) > weights)
        diagnostics_.warning(
            draft_.quorum->position,
            "quorum {} (with its hysteresis) can never be met: the weights add up to {}", quorum,
            weights);
}

/// A service's servers are all reached in one way.
void VirtualServerBuilder::judge_method(const std::optional<Placed<core::ForwardingMethod>>& own,
                                        std::string_view keyword) {
    if (own && own->value != method())
        diagnostics_.error(own->position,
                           "{} {} differs from the virtual_server's lb_kind, {}; a service reaches "
                           "all its servers in one way here",
                           keyword, core::to_string(own->value), core::to_string(method()));
}

/// Of a real server or the sorry server.
void VirtualServerBuilder::judge_endpoint(const Endpoint& endpoint, const Position& at,
                                          std::string_view role) {
    const IpAddress& address = endpoint.address;
    assembly_.usable(address, at, role);
    const auto find = [&](auto fits) {
        const auto found = std::find_if(addresses_.begin(), addresses_.end(), fits);
        return found == addresses_.end() ? nullptr : &*found;
    };
    if (method() != core::ForwardingMethod::tun)
        if (const auto* other = find([&](const Placed<Endpoint>& service) {
                return service.value.address.family() != address.family();
            }))
            diagnostics_.error(
                at, "{}: {} is {}, and the virtual_server {} is {}; both must be one family", role,
                address.to_string(), to_string(address.family()), other->value.address.to_string(),
                to_string(other->value.address.family()));
    if (const auto* same =
            find([&](const Placed<Endpoint>& service) { return service.value.address == address; }))
        diagnostics_.error(at,
                           "{}: {} is the address of this virtual_server, at {}; write the "
                           "server's",
                           role, address.to_string(), diagnostics_.where(same->position));
    else
        assembly_.not_a_service_ip(address, at, role);
    if (endpoint.port == 0 || !assembly_.xdp() || method() != core::ForwardingMethod::dr) return;
    if (const auto* other = find(
            [&](const Placed<Endpoint>& service) { return service.value.port != endpoint.port; }))
        diagnostics_.error(at,
                           "{}: direct routing keeps the port, so that port {} must be the "
                           "virtual_server's, {}",
                           role, endpoint.port, other->value.port);
}

void VirtualServerBuilder::judge_server(const CompatibleServerDraft& server) {
    const auto [first, fresh] = servers_.emplace(server.endpoint, server.position);
    if (!fresh)
        diagnostics_.error(
            server.position,
            "the real_server {} is given a second time in this virtual_server; the first is "
            "at {}",
            server.endpoint.to_string(), diagnostics_.where(first->second));
    judge_endpoint(server.endpoint, server.position, "real_server");
    judge_method(server.method, "lvs_method");
    judge_command(server.notify_up, "notify_up");
    judge_command(server.notify_down, "notify_down");
    if (server.checks.empty() && !server.faulty)
        diagnostics_.warning(server.position, "real_server {} has no check: it is used unchecked",
                             with_port(server.endpoint, addresses_.front().value.port).to_string());
}

void VirtualServerBuilder::judge_sorry_server() {
    if (draft_.sorry_server) {
        const auto& [sorry, at] = *draft_.sorry_server;
        judge_endpoint(sorry_endpoint(), at, "sorry_server");
        const auto differs = [&](const Placed<Endpoint>& service) {
            return sorry.port != 0 && sorry_endpoint().port == 0 &&
                   service.value.port != sorry.port;
        };
        const auto other = std::find_if(addresses_.begin(), addresses_.end(), differs);
        if (other != addresses_.end())
            diagnostics_.warning(at,
                                 "sorry_server: without NAT the port stays the virtual_server's, "
                                 "{}, so that {} has no effect; leave it out",
                                 other->value.port, sorry.port);
    } else if (draft_.sorry_inhibit_at && !draft_.faulty)
        diagnostics_.error(*draft_.sorry_inhibit_at,
                           "sorry_server_inhibit needs a sorry_server beside it");
    judge_method(draft_.sorry_method, "sorry_server_lvs_method");
}

void VirtualServerBuilder::judge_command(const std::optional<Placed<core::Command>>& command,
                                         std::string_view keyword) {
    if (command)
        assembly_.check_program(command->value.arguments.front(), command->position, keyword);
}

core::RealServer VirtualServerBuilder::real_server_of(const CompatibleServerDraft& server,
                                                      const Endpoint& service) {
    core::RealServer real;
    real.endpoint = with_port(server.endpoint, service.port);
    real.name = real.endpoint.to_string();
    real.weight = weight_of(server);
    real.inhibit_on_failure = server.inhibit_on_failure.value_or(draft_.inhibit_on_failure);
    if (server.notify_up) real.notify_up = server.notify_up->value;
    if (server.notify_down) real.notify_down = server.notify_down->value;
    if (!server.faulty)
        for (const CompatibleCheckDraft& check : server.checks)
            add_compatible_check({draft_, server, check, real.endpoint}, assembly_, real);
    return real;
}

core::Service VirtualServerBuilder::service_of(const Endpoint& address) const {
    core::Service service;
    service.key = {address.address, address.port, draft_.protocol};
    service.group = draft_.group.value;
    service.scheduler = scheduler();
    service.method = method();
    // The kernel's sh and mh hash the client's address alone unless they are told.
    service.other_hash = (scheduler() == core::Scheduler::sh && draft_.sh_port.has_value()) ||
                         (scheduler() == core::Scheduler::mh && !draft_.mh_port.has_value());
    if (draft_.quorum)
        service.quorum.required =
            std::min(draft_.quorum->value, std::max<std::uint64_t>(all_weights(), 1));
    if (draft_.hysteresis) service.quorum.hysteresis = draft_.hysteresis->value;
    service.on_all_down = core::OnAllDown::empty;
    service.omega = draft_.omega;
    if (draft_.quorum_up) service.quorum_up = draft_.quorum_up->value;
    if (draft_.quorum_down) service.quorum_down = draft_.quorum_down->value;
    if (draft_.sorry_server)
        service.sorry_server = {with_port(sorry_endpoint(), address.port),
                                draft_.sorry_inhibit_at.has_value()};
    return service;
}

void VirtualServerBuilder::build() {
    if (!find_addresses()) return;
    judge();
    if (!assembly_.has_room(addresses_.size(), draft_.servers.size())) return;
    for (const Placed<Endpoint>& address : addresses_) {
        core::Service service = service_of(address.value);
        ServicePlaces places{address.position, draft_.position, {}};
        for (const CompatibleServerDraft& server : draft_.servers) {
            if (!server.readable) continue;
            service.real_servers.push_back(real_server_of(server, address.value));
            places.servers.push_back(server.position);
        }
        // The block decides the protocol: without it a second one would look like the same.
        if (!draft_.faulty) assembly_.add_service(std::move(service), std::move(places));
    }
}

}  // namespace

void build_virtual_server(const VirtualServerDraft& server, Assembly& assembly) {
    VirtualServerBuilder(server, assembly).build();
}

}  // namespace dnsdirector::config
