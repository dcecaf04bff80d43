// SPDX-License-Identifier: Apache-2.0
#include "control/real_server.h"

#include <algorithm>
#include <map>
#include <utility>

namespace dnsdirector::control {
namespace {

/// The worse one counts: a process must pass in each protocol.
core::Health worse(core::Health a, core::Health b) {
    const auto rank = [](core::Health health) {
        return health == core::Health::up ? 0 : health == core::Health::unknown ? 1 : 2;
    };
    return rank(a) < rank(b) ? b : a;
}

}  // namespace

core::Configuration agent_configuration(core::Configuration file) {
    if (!file.services.empty()) file.bgp.reset();
    file.director.dataplane = core::DataPlaneKind::none;
    file.director.interfaces.clear();
    file.director.other_directors.clear();
    file.director.tunnel_sources.clear();
    file.director.presence = core::PresenceMode::always;
    file.checks = std::move(file.machine_checks);
    file.services = std::move(file.machine_services);
    file.machine_checks.clear();
    file.machine_services.clear();
    return file;
}

Result<View> view_of(core::Configuration file, Role role, const std::string& path) {
    if (role == Role::real_server) {
        if (!file.real_server_machine)
            return fail(
                "{} has no realserver block, which says what this machine should be; write "
                "`realserver {{ service_ip ADDRESS… }}` into it{}",
                path, file.services.empty() ? "" : ", or start a director with `dnsdirector run`");
        realserver::Order order = realserver::order_of(file);
        return View{agent_configuration(std::move(file)), std::move(order)};
    }
    if (file.real_server_machine && file.services.empty())
        return fail(
            "{} has a realserver block and no service, so it is a real server's and not a "
            "director's; start `dnsdirector realserver run -f {}`, or write a dns_cluster into it",
            path, path);
    return View{std::move(file), std::nullopt};
}

std::string change_of_withdrawal(const realserver::Order& present, const realserver::Order& next) {
    const bool on = next.machine.withdraw_on_failure;
    if (on == present.machine.withdraw_on_failure) return "";
    return on ? "withdraw_on_failure off -> on" : "withdraw_on_failure on -> off";
}

std::set<IpAddress> unserved(
    std::span<const core::Service> services,
    const std::function<const core::ServiceDecision&(std::uint32_t)>& decision_of,
    const std::set<IpAddress>& before) {
    std::map<IpAddress, std::map<std::string, core::Health>> processes;
    for (std::uint32_t i = 0; i < services.size(); ++i) {
        const core::Service& service = services[i];
        const core::ServiceDecision& decision = decision_of(i);
        auto& of_address = processes[service.key.address];
        for (std::size_t j = 0; j < service.real_servers.size(); ++j) {
            const core::Health health =
                j < decision.servers.size() ? decision.servers[j].health : core::Health::unknown;
            const auto [entry, fresh] =
                of_address.try_emplace(service.real_servers[j].name, health);
            if (!fresh) entry->second = worse(entry->second, health);
        }
    }
    std::set<IpAddress> result;
    for (const auto& [service_ip, healths] : processes) {
        const auto any = [&healths](core::Health wanted) {
            return std::ranges::any_of(
                healths, [wanted](const auto& each) { return each.second == wanted; });
        };
        if (healths.empty() || any(core::Health::up)) continue;
        if (any(core::Health::unknown) ? before.contains(service_ip) : true)
            result.insert(service_ip);
    }
    return result;
}

}  // namespace dnsdirector::control
