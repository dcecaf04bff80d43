// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "config/assembly.h"
#include "config/build_compatible_check.h"
#include "config/ipvs_options.h"

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
    void judge_heads();
    void judge_options();
    void judge_method(const std::optional<Placed<core::ForwardingMethod>>& own,
                      std::string_view keyword);
    void judge_server(const CompatibleServerDraft& server);
    void judge_repetition(const CompatibleServerDraft& server);
    void judge_endpoint(const Endpoint& endpoint, core::ForwardingMethod method, const Position& at,
                        std::string_view role);
    void judge_sorry_server();
    void judge_command(const std::optional<Placed<core::Command>>& command,
                       std::string_view keyword);
    [[nodiscard]] core::Service service_of(const core::ServiceKey& key) const;
    [[nodiscard]] core::RealServer real_server_of(const CompatibleServerDraft& server,
                                                  const core::ServiceKey& service);
    [[nodiscard]] core::Weight weight_of(const CompatibleServerDraft& server) const {
        return server.weight.value_or(draft_.weight);
    }
    [[nodiscard]] core::ForwardingMethod method() const {
        return draft_.method ? draft_.method->value : core::ForwardingMethod::nat;
    }
    [[nodiscard]] core::Scheduler scheduler() const {
        return draft_.scheduler ? draft_.scheduler->value : core::Scheduler::wlc;
    }
    using Method = std::optional<Placed<core::ForwardingMethod>>;
    /// Of a server or the sorry server.
    [[nodiscard]] core::ForwardingMethod method_of(const Method& own) const {
        return own && assembly_.methods_may_differ() ? own->value : method();
    }
    [[nodiscard]] core::ForwardingMethod sorry_method() const {
        return method_of(draft_.sorry_method);
    }
    /// As keepalived: without NAT its port does not count.
    [[nodiscard]] Endpoint sorry_endpoint() const {
        Endpoint sorry = draft_.sorry_server->value;
        if (sorry_method() != core::ForwardingMethod::nat) sorry.port = 0;
        return sorry;
    }
    /// In the model only where it is not the service's.
    [[nodiscard]] std::optional<core::ForwardingMethod> own_method(const Method& own) const {
        const core::ForwardingMethod taken = method_of(own);
        return taken == method() ? std::nullopt : std::optional(taken);
    }
    [[nodiscard]] static Endpoint with_port(Endpoint endpoint, std::uint16_t port) {
        if (endpoint.port == 0) endpoint.port = port;
        return endpoint;
    }
    /// Where packets go. The kernel wants the port 0 of a service for all ports or by
    /// firewall mark in its servers, too, unless it translates.
    [[nodiscard]] Endpoint forwarded_to(const Endpoint& server, core::ForwardingMethod method,
                                        const core::ServiceKey& service) const {
        if (service.port == 0 && assembly_.keeps_port(method)) return {server.address, 0};
        return with_port(server, service.port);
    }
    /// The family of a service by firewall mark that names none: its first server's that is
    /// not reached by a tunnel, which may carry the other.
    [[nodiscard]] Family family() const;

    const VirtualServerDraft& draft_;
    Assembly& assembly_;
    Diagnostics& diagnostics_;
    std::vector<Placed<core::ServiceKey>> addresses_;  ///< one service for each
    /// By the port of a service and where its packets go.
    std::map<std::pair<std::uint16_t, Endpoint>, const CompatibleServerDraft*> servers_;
};

/// False when there is none that could be used; that has been said.
bool VirtualServerBuilder::find_addresses() {
    if (!draft_.readable) return false;
    if (draft_.fwmark != 0)
        addresses_.push_back({key_of_mark(draft_.fwmark, family()), draft_.position});
    else if (draft_.group.value.empty())
        addresses_.push_back(
            {{draft_.endpoint.address, draft_.endpoint.port, draft_.protocol}, draft_.position});
    else
        addresses_ = assembly_.services_of_group(draft_.group, draft_.protocol, family());
    return !addresses_.empty();
}

Family VirtualServerBuilder::family() const {
    if (draft_.family) return draft_.family->value;
    const CompatibleServerDraft* first = nullptr;
    for (const CompatibleServerDraft& server : draft_.servers) {
        if (!server.readable) continue;
        if (method_of(server.method) != core::ForwardingMethod::tun)
            return server.endpoint.address.family();
        if (first == nullptr) first = &server;
    }
    return first == nullptr ? Family::ipv4 : first->endpoint.address.family();
}

/// What is asked: addresses that can be, ports, marks.
void VirtualServerBuilder::judge_heads() {
    const Position* last = nullptr;
    for (const Placed<core::ServiceKey>& address : addresses_) {
        const core::ServiceKey& key = address.value;
        // Of a range the first that is wrong says it.
        if (last != nullptr && *last == address.position) continue;
        if ((assembly_.xdp() || assembly_.proxy()) && key.port == 0) {
            const auto plane = to_string(assembly_.drafts().director.settings.dataplane);
            last = &address.position;
            if (key.fwmark != 0)
                diagnostics_.error(address.position,
                                   "fwmark {}: the {} plane sees no firewall marks; write an "
                                   "address and a port, or dataplane ipvs",
                                   key.fwmark, plane);
            else
                diagnostics_.error(address.position,
                                   "the port is missing, as in `{0} 53`; a service for all ports "
                                   "is nothing that the {1} plane does, dataplane ipvs does",
                                   key.address.to_string(), plane);
        } else if (key.fwmark == 0 &&
                   !assembly_.usable(key.address, address.position, "virtual_server")) {
            last = &address.position;
        }
    }
    const bool any_mark = std::any_of(addresses_.begin(), addresses_.end(),
                                      [](const auto& each) { return each.value.fwmark != 0; });
    if (draft_.family && !any_mark)
        assembly_.no_effect(draft_.family->position, "ip_family", "the address says it");
}

/// What only the ipvs plane can do.
void VirtualServerBuilder::judge_options() {
    judge_persistence(draft_.persistence, false, assembly_);
    if (assembly_.methods_may_differ() && !draft_.encapsulation.value.empty())
        diagnostics_.error(draft_.encapsulation.position,
                           "TUN type {} is not supported: write TUN, which is IPIP",
                           draft_.encapsulation.value);
    constexpr std::string_view own = "the scheduler's own default holds";
    if (!assembly_.ipvs()) {
        if (draft_.flag_1_at) assembly_.no_effect(*draft_.flag_1_at, "flag-1", own);
        if (draft_.flag_2_at) assembly_.no_effect(*draft_.flag_2_at, "flag-2", own);
        return;
    }
    const auto nat = [&](const Method& each) {
        return method_of(each) == core::ForwardingMethod::nat;
    };
    const bool translates =
        std::any_of(draft_.servers.begin(), draft_.servers.end(),
                    [&](const CompatibleServerDraft& server) { return nat(server.method); });
    const bool by_mark = addresses_.front().value.fwmark != 0;
    if (draft_.ops_at && draft_.protocol != Protocol::udp && !by_mark)
        diagnostics_.warning(*draft_.ops_at,
                             "ops has no effect here: it is about UDP, and this is TCP");
    else if (draft_.ops_at && translates)
        diagnostics_.warning(*draft_.ops_at,
                             "ops under lb_kind NAT: the kernel keeps no flow by which a server's "
                             "reply could be translated back; remove the line");
    if (scheduler() == core::Scheduler::sh && !draft_.sh_fallback && !draft_.flag_1_at)
        diagnostics_.warning(draft_.scheduler ? draft_.scheduler->position : draft_.position,
                             "lb_algo sh without sh-fallback: the clients of a server with weight "
                             "0 (drained, say) get no answer; add sh-fallback");
}

void VirtualServerBuilder::judge() {
    judge_heads();
    judge_options();
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

/// A server's own way. Where nothing is forwarded all have the service's.
void VirtualServerBuilder::judge_method(const std::optional<Placed<core::ForwardingMethod>>& own,
                                        std::string_view keyword) {
    if (own && assembly_.methods_may_differ() && own->value != method())
        assembly_.check_method(own->value, own->position, "");
    if (own && !assembly_.methods_may_differ() && own->value != method())
        diagnostics_.error(own->position,
                           "{} {} differs from the virtual_server's lb_kind, {}; a service reaches "
                           "all its servers in one way here",
                           keyword, core::to_string(own->value), core::to_string(method()));
}

/// Of a real server or the sorry server.
void VirtualServerBuilder::judge_endpoint(const Endpoint& endpoint, core::ForwardingMethod by,
                                          const Position& at, std::string_view role) {
    const IpAddress& address = endpoint.address;
    assembly_.usable(address, at, role);
    const auto find = [&](auto fits) {
        const auto found = std::find_if(addresses_.begin(), addresses_.end(), fits);
        return found == addresses_.end() ? nullptr : &*found;
    };
    if (by != core::ForwardingMethod::tun || assembly_.xdp())
        if (const auto* other = find([&](const Placed<core::ServiceKey>& service) {
                return service.value.address.family() != address.family();
            }))
            diagnostics_.error(
                at, "{}: {} is {}, and the virtual_server {} is {}; both must be one family", role,
                address.to_string(), to_string(address.family()),
                other->value.fwmark != 0 ? other->value.to_string()
                                         : other->value.address.to_string(),
                to_string(other->value.address.family()));
    if (const auto* same = find([&](const Placed<core::ServiceKey>& service) {
            return service.value.fwmark == 0 && service.value.address == address &&
                   (!assembly_.proxy() || endpoint.port == 0 ||
                    endpoint.port == service.value.port);
        }))
        diagnostics_.error(at,
                           "{}: {} is the address of this virtual_server, at {}; write the "
                           "server's",
                           role, address.to_string(), diagnostics_.where(same->position));
    else
        assembly_.not_a_service_ip(address, at, role);
    if (endpoint.port == 0 || !assembly_.keeps_port(by)) return;
    // The port of a server of a service for all ports is its checks'.
    if (const auto* other = find([&](const Placed<core::ServiceKey>& service) {
            return service.value.port != 0 && service.value.port != endpoint.port;
        }))
        diagnostics_.error(at,
                           "{}: {} keeps the port, so that port {} must be the "
                           "virtual_server's, {}",
                           role, by == core::ForwardingMethod::tun ? "a tunnel" : "direct routing",
                           endpoint.port, other->value.port);
}

/// A server without a port has that of each service, where another may name it.
void VirtualServerBuilder::judge_repetition(const CompatibleServerDraft& server) {
    const Position* repeated = nullptr;
    std::optional<std::uint16_t> last;
    for (const Placed<core::ServiceKey>& service : addresses_) {
        if (std::exchange(last, service.value.port) == service.value.port) continue;
        const Endpoint used =
            forwarded_to(server.endpoint, method_of(server.method), service.value);
        const auto [first, fresh] = servers_.try_emplace({service.value.port, used}, &server);
        if (!fresh && first->second != &server) repeated = &first->second->position;
    }
    if (repeated != nullptr)
        diagnostics_.error(
            server.position,
            "the real_server {} is given a second time in this virtual_server; the first is "
            "at {}",
            with_port(server.endpoint, addresses_.front().value.port).to_string(),
            diagnostics_.where(*repeated));
}

void VirtualServerBuilder::judge_server(const CompatibleServerDraft& server) {
    judge_repetition(server);
    judge_endpoint(server.endpoint, method_of(server.method), server.position, "real_server");
    judge_method(server.method, "lvs_method");
    judge_thresholds(server.thresholds, false, assembly_);
    judge_command(server.notify_up, "notify_up");
    judge_command(server.notify_down, "notify_down");
    if (server.checks.empty() && !server.faulty)
        diagnostics_.warning(server.position, "real_server {} has no check: it is used unchecked",
                             with_port(server.endpoint, addresses_.front().value.port).to_string());
}

void VirtualServerBuilder::judge_sorry_server() {
    if (draft_.sorry_server) {
        const auto& [sorry, at] = *draft_.sorry_server;
        judge_endpoint(sorry_endpoint(), sorry_method(), at, "sorry_server");
        const auto differs = [&](const Placed<core::ServiceKey>& service) {
            return sorry.port != 0 && sorry_endpoint().port == 0 && service.value.port != 0 &&
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
                                                      const core::ServiceKey& service) {
    constexpr std::uint16_t dns_port = 53;
    core::RealServer real;
    real.endpoint = forwarded_to(server.endpoint, method_of(server.method), service);
    real.method = own_method(server.method);
    if (assembly_.ipvs()) real.thresholds = thresholds_of(server.thresholds);
    // What checks ask, unless they say otherwise, and commands call it.
    const Endpoint asked = with_port(server.endpoint, service.port != 0 ? service.port : dns_port);
    real.name = asked.to_string();
    real.weight = weight_of(server);
    real.inhibit_on_failure = server.inhibit_on_failure.value_or(draft_.inhibit_on_failure);
    if (server.notify_up) real.notify_up = server.notify_up->value;
    if (server.notify_down) real.notify_down = server.notify_down->value;
    if (!server.faulty)
        for (const CompatibleCheckDraft& check : server.checks)
            add_compatible_check({draft_, server, check, asked}, assembly_, real);
    return real;
}

core::Service VirtualServerBuilder::service_of(const core::ServiceKey& key) const {
    core::Service service;
    service.key = key;
    service.group = draft_.group.value;
    service.scheduler = scheduler();
    service.method = method();
    // The kernel's sh and mh hash the client's address alone unless they are told.
    const bool flag_1 = assembly_.ipvs() && draft_.flag_1_at;
    const bool flag_2 = assembly_.ipvs() && draft_.flag_2_at;
    const bool sh = scheduler() == core::Scheduler::sh;
    const bool mh = scheduler() == core::Scheduler::mh;
    service.other_hash = (sh && (draft_.sh_port || flag_2)) || (mh && !draft_.mh_port && !flag_2);
    const auto nat = [&](const CompatibleServerDraft& server) {
        return method_of(server.method) == core::ForwardingMethod::nat;
    };
    service.ipvs = ipvs_options(
        {.persistence = draft_.persistence,
         .one_packet = draft_.ops_at ? std::optional(true) : std::nullopt,
         .fallback = flag_1 || (sh && draft_.sh_fallback) || (mh && draft_.mh_fallback),
         .translates = std::any_of(draft_.servers.begin(), draft_.servers.end(), nat),
         .all_ports = key.fwmark == 0 && key.port == 0},
        service, assembly_);
    if (draft_.quorum)
        service.quorum.required =
            std::min(draft_.quorum->value, std::max<std::uint64_t>(all_weights(), 1));
    if (draft_.hysteresis) service.quorum.hysteresis = draft_.hysteresis->value;
    service.on_all_down = core::OnAllDown::empty;
    service.omega = draft_.omega;
    if (draft_.quorum_up) service.quorum_up = draft_.quorum_up->value;
    if (draft_.quorum_down) service.quorum_down = draft_.quorum_down->value;
    if (draft_.sorry_server)
        service.sorry_server = {forwarded_to(sorry_endpoint(), sorry_method(), key),
                                draft_.sorry_inhibit_at.has_value(),
                                own_method(draft_.sorry_method)};
    return service;
}

void VirtualServerBuilder::build() {
    if (!find_addresses()) return;
    judge();
    if (!assembly_.has_room(addresses_.size(), draft_.servers.size())) return;
    for (const Placed<core::ServiceKey>& address : addresses_) {
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
