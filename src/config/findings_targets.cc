// SPDX-License-Identifier: Apache-2.0
//
// The finding about checks that ask another server than their own.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_set>

#include "config/findings.h"

namespace dnsdirector::config {
namespace {

using core::Check;
using core::RealServer;
using core::ScriptCheck;
using core::Service;

/// What the check of a server asks instead of it, and how that was written.
struct Elsewhere {
    IpAddress asked;
    std::string hint;
};

/// Of a command that is run as it stands: dig's @server. In that of another program the address
/// of another server counts, when its own is not there.
std::optional<IpAddress> asked_by(const ScriptCheck& script, const RealServer& server,
                                  const std::unordered_set<IpAddress>& servers) {
    const std::string_view path = script.arguments.front();
    const bool dig = path.substr(path.rfind('/') + 1) == "dig";
    std::optional<IpAddress> other;
    for (const std::string& word : script.arguments) {
        const bool at = word.starts_with('@');
        const auto address = IpAddress::parse(std::string_view(word).substr(at ? 1 : 0));
        if (!address) continue;
        if (*address == server.endpoint.address) return std::nullopt;
        if (dig ? at : servers.contains(*address)) other = address;
    }
    return other;
}

std::optional<Elsewhere> elsewhere(const Check& check, const Service& service,
                                   const RealServer& server,
                                   const std::unordered_set<IpAddress>& servers) {
    const std::string own = server.endpoint.address.to_string();
    if (const auto* script = std::get_if<ScriptCheck>(&check.what)) {
        const auto asked = asked_by(*script, server, servers);
        if (!asked) return std::nullopt;
        return Elsewhere{*asked, fmt::format("{} in its place", own)};
    }
    if (check.target.address == server.endpoint.address) return std::nullopt;
    std::string hint = fmt::format("target {}, or no target at all", own);
    if (std::holds_alternative<core::DigCheck>(check.what))
        hint = "@" + own;
    else if (service.cluster.empty() && check.timing.limit.count() > 0)
        hint = fmt::format("{} as probe's TO_IP", own);  // what ran a script has its limit
    else if (service.cluster.empty())
        hint = fmt::format("connect_ip {}, or no connect_ip at all", own);
    return Elsewhere{check.target.address, std::move(hint)};
}

/// The place of the check within the server's block where there is one: equal checks of several
/// servers are one check.
Position place_of(const Scene& scene, core::CheckIndex check, const ServicePlaces& places,
                  std::size_t server) {
    const std::uint32_t from = places.servers[server].order;
    std::uint32_t to = UINT32_MAX;
    for (const Position& other : places.servers)
        if (other.order > from) to = std::min(to, other.order);
    for (const auto& [index, at] : scene.places.equal_checks)
        if (index == check && at.order > from && at.order < to) return at;
    return scene.places.checks[check];
}

void check_asks_other_server(const Scene& scene) {
    std::unordered_set<IpAddress> service_ips;  // check-through-service-ip tells of these
    std::set<std::tuple<std::string, std::string, IpAddress>> own;  // of each native server
    for (const Service& service : scene.configuration.services) {
        service_ips.insert(service.key.address);
        for (const RealServer& server : service.real_servers)
            if (!service.cluster.empty())
                own.emplace(service.cluster, server.name, server.endpoint.address);
    }
    std::set<std::pair<std::uint32_t, std::uint32_t>> said;  // server's and check's place
    for (std::size_t i = 0; i < scene.configuration.services.size(); ++i) {
        const Service& service = scene.configuration.services[i];
        std::unordered_set<IpAddress> servers;
        for (const RealServer& server : service.real_servers)
            servers.insert(server.endpoint.address);
        for (std::size_t j = 0; j < service.real_servers.size(); ++j) {
            const RealServer& server = service.real_servers[j];
            for (const core::CheckIndex index : server.checks) {
                const auto found =
                    elsewhere(scene.configuration.checks[index], service, server, servers);
                if (!found || service_ips.contains(found->asked) ||
                    own.contains({service.cluster, server.name, found->asked}))
                    continue;
                const ServicePlaces& places = scene.places.services[i];
                const Position at = place_of(scene, index, places, j);
                if (!said.emplace(places.servers[j].order, at.order).second) continue;
                const std::string name = server.endpoint.address.to_string();
                scene.diagnostics.finding(
                    at, "check-asks-other-server",
                    servers.contains(found->asked)
                        ? fmt::format("the check of {} asks {}, another real server of the same "
                                      "service: {} goes out and comes back with that one, "
                                      "whatever it answers itself",
                                      name, found->asked.to_string(), name)
                        : fmt::format("the check of {} asks {}: what that one answers says "
                                      "nothing of {}",
                                      name, found->asked.to_string(), name),
                    found->hint);
            }
        }
    }
}

constexpr Rule rules[] = {
    {"check-asks-other-server", "a check that asks another server than its own",
     check_asks_other_server},
};

}  // namespace

std::span<const Rule> target_rules() {
    return rules;
}

}  // namespace dnsdirector::config
