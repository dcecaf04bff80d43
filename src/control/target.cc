// SPDX-License-Identifier: Apache-2.0
#include "control/target.h"

namespace dnsdirector::control {
namespace {

/// Takes "/udp" or "/tcp" off the end.
std::optional<Protocol> take_protocol(std::string_view& text) {
    for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
        const std::string suffix = "/" + std::string(to_string(protocol));
        if (text.ends_with(suffix)) {
            text.remove_suffix(suffix.size());
            return protocol;
        }
    }
    return std::nullopt;
}

/// Port 0 is every port: of a service for all ports or by firewall mark.
bool means_port(const Target& target, std::uint16_t port) {
    return !target.port || port == 0 || *target.port == port;
}

}  // namespace

Result<Target> parse_target(std::string_view text) {
    if (text.size() > max_target_length)
        return fail("a target of {} bytes ('{}…'): names and addresses have at most {}",
                    text.size(), text.substr(0, 40), max_target_length);
    Target target;
    target.text = text;

    std::string_view rest = text;
    const auto protocol = take_protocol(rest);
    std::string_view bare = rest;
    if (bare.starts_with('[') && bare.ends_with(']')) bare = bare.substr(1, bare.size() - 2);
    if (const auto address = IpAddress::parse(bare)) {
        target.address = *address;
        target.protocol = protocol;
        return target;
    }
    if (const auto endpoint = Endpoint::parse(rest)) {
        target.address = endpoint->address;
        target.port = endpoint->port;
        target.protocol = protocol;
        return target;
    }

    const auto slash = text.find('/');
    if (slash != std::string_view::npos) target.cluster = text.substr(0, slash);
    target.name = slash == std::string_view::npos ? text : text.substr(slash + 1);
    if (target.name.empty())
        return fail(
            "'{}' names no real server; write [CLUSTER/]NAME or ADDRESS[:PORT][/udp|/tcp], "
            "IPv6 in brackets",
            text);
    return target;
}

std::string unknown_target(const Target& target) {
    return fmt::format(
        "no real server is called '{}'; `dnsdirector status` lists names and addresses",
        target.text);
}

std::string unknown_to_why(const Target& target) {
    return fmt::format(
        "no real server, sorry server or service IP is called '{}'; `dnsdirector status` lists "
        "names and addresses. For where a client's packets go: `dnsdirector why CLIENT:PORT "
        "SERVICE_IP`",
        target.text);
}

bool matches(const Target& target, const core::ServiceKey& service) {
    return target.address == service.address &&
           (!target.protocol || *target.protocol == service.protocol) &&
           means_port(target, service.port);
}

bool matches(const Target& target, const core::ServiceKey& service,
             const std::optional<core::SorryServer>& sorry) {
    return sorry && target.address == sorry->endpoint.address &&
           (!target.protocol || *target.protocol == service.protocol) &&
           means_port(target, sorry->endpoint.port);
}

bool matches(const Target& target, const std::string& cluster, Protocol protocol,
             const std::string& name, const Endpoint& server) {
    if (target.protocol && *target.protocol != protocol) return false;
    if (target.address) return server.address == *target.address && means_port(target, server.port);
    return (target.cluster.empty() || target.cluster == cluster) && target.name == name;
}

std::vector<TargetMatch> find_matches(const core::Configuration& configuration,
                                      const Target& target) {
    std::vector<TargetMatch> found;
    for (const core::Service& service : configuration.services)
        for (const core::RealServer& server : service.real_servers)
            if (matches(target, service.cluster, service.key.protocol, server.name,
                        server.endpoint))
                found.push_back({{service.cluster, server.endpoint, service.key.protocol},
                                 service.key,
                                 server.name});
    return found;
}

std::string to_string(const TargetMatch& match) {
    const std::string server = match.key.server.to_string();
    const std::string who = match.name == server ? server : match.name + " " + server;
    if (match.service.address.is_unspecified())
        return fmt::format("{}, which is not configured now", who);
    if (match.key.cluster.empty()) return fmt::format("{} in {}", who, match.service.to_string());
    return fmt::format("{} in {} ({})", who, match.service.to_string(), match.key.cluster);
}

}  // namespace dnsdirector::control
