// SPDX-License-Identifier: Apache-2.0
//
// The structures are taken apart with structured bindings: a member that is
// added to one of them does not compile here until it has its words.
#include "core/configuration_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <string_view>
#include <vector>

namespace dnsdirector::core {
namespace {

/// In quotes, so that no text can look like another or spread over lines.
std::string quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'' || c == '\\')
            out += {'\\', c};
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out += '\'';
}

std::string quoted(const std::vector<std::string>& words) {
    std::vector<std::string> parts;
    parts.reserve(words.size());
    for (const std::string& word : words)
        parts.push_back(quoted(word));
    return fmt::format("{}", fmt::join(parts, " "));
}

/// Parts of a line, those that say something.
class Parts {
public:
    template <typename... Args>
    void add_if(bool says, fmt::format_string<Args...> format, Args&&... args) {
        if (says) parts_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    [[nodiscard]] bool empty() const { return parts_.empty(); }
    [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(parts_, ", ")); }

private:
    std::vector<std::string> parts_;
};

class Writer {
public:
    explicit Writer(const Configuration& configuration) : configuration_(configuration) {}

    [[nodiscard]] std::string text();

private:
    template <typename... Args>
    void line(std::size_t depth, fmt::format_string<Args...> format, Args&&... args) {
        out_.append(depth * 2, ' ');
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
        out_ += '\n';
    }
    void command(std::size_t depth, std::string_view name, const std::optional<Command>& command);
    void director(const DirectorSettings& settings);
    void machine(const RealServerMachine& machine);
    void proxy(const ProxySettings& settings);
    void service(const Service& service);
    void sorry_server(const SorryServer& server);
    void real_server(const RealServer& server);
    void checks(const std::vector<CheckIndex>& checks, const std::vector<SomeOf>& some_of);

    const Configuration& configuration_;
    std::string out_;
};

void Writer::command(std::size_t depth, std::string_view name,
                     const std::optional<Command>& command) {
    if (!command) return;
    const auto& [arguments, user] = *command;
    line(depth, "{} {}{}", name, quoted(arguments), user.empty() ? "" : " as " + quoted(user));
}

void Writer::director(const DirectorSettings& settings) {
    const auto& [dataplane, interfaces, xdp_mode, other_directors, tunnel_sources,
                 service_interface, presence, script_user, drain_time, hooks, http_listen, limits,
                 proxy] = settings;
    const auto& [services, real_servers, slots, flows] = limits;
    const DirectorSettings standard;
    Parts parts;
    parts.add_if(dataplane != standard.dataplane, "dataplane {}", to_string(dataplane));
    parts.add_if(!interfaces.empty(), "interfaces {}", quoted(interfaces));
    parts.add_if(xdp_mode != standard.xdp_mode, "xdp_mode {}", to_string(xdp_mode));
    for (const IpAddress& director : other_directors)
        parts.add_if(true, "other_director {}", director.to_string());
    for (const auto& [address, length] : tunnel_sources)
        parts.add_if(true, "tunnel_source {}/{}", address.to_string(), length);
    parts.add_if(service_interface != standard.service_interface, "service_interface {}",
                 quoted(service_interface));
    parts.add_if(presence != standard.presence, "presence {}", to_string(presence));
    parts.add_if(!script_user.empty(), "script_user {}", quoted(script_user));
    parts.add_if(drain_time != standard.drain_time, "drain_time {}", to_text(drain_time));
    parts.add_if(!hooks, "hooks off");
    parts.add_if(http_listen.has_value(), "http {}", http_listen.value_or(Endpoint{}).to_string());
    parts.add_if(services != standard.limits.services, "max_services {}", services);
    parts.add_if(real_servers != standard.limits.real_servers, "max_real_servers {}", real_servers);
    parts.add_if(slots != standard.limits.slots, "max_slots {}", slots);
    parts.add_if(flows != standard.limits.flows, "max_flows {}", flows);
    if (!parts.empty()) line(0, "director: {}", parts.text());
    this->proxy(proxy);
}

void Writer::proxy(const ProxySettings& settings) {
    const auto& [workers, upstream_sockets, retry_after, retry_percent, query_timeout, tcp_clients,
                 tcp_per_address, tcp_in_flight, tcp_bytes, tcp_idle, tcp_to_server,
                 proxy_protocol_from] = settings;
    const ProxySettings standard;
    Parts parts;
    parts.add_if(workers != standard.workers, "workers {}", workers);
    parts.add_if(upstream_sockets != standard.upstream_sockets, "upstream_sockets {}",
                 upstream_sockets);
    parts.add_if(retry_after != standard.retry_after, "retry_after {}", to_text(retry_after));
    parts.add_if(retry_percent != standard.retry_percent, "retry_budget {}%", retry_percent);
    parts.add_if(query_timeout != standard.query_timeout, "query_timeout {}",
                 to_text(query_timeout));
    parts.add_if(tcp_clients != standard.tcp_clients, "tcp_clients {}", tcp_clients);
    parts.add_if(tcp_per_address != standard.tcp_per_address, "tcp_per_address {}",
                 tcp_per_address);
    parts.add_if(tcp_in_flight != standard.tcp_in_flight, "tcp_in_flight {}", tcp_in_flight);
    parts.add_if(tcp_bytes != standard.tcp_bytes, "tcp_bytes {}", tcp_bytes);
    parts.add_if(tcp_idle != standard.tcp_idle, "tcp_idle {}", to_text(tcp_idle));
    parts.add_if(tcp_to_server != standard.tcp_to_server, "tcp_to_server {}", tcp_to_server);
    for (const Prefix& network : proxy_protocol_from)
        parts.add_if(true, "proxy_protocol_from {}", network.to_string());
    if (!parts.empty()) line(0, "proxy: {}", parts.text());
}

void Writer::machine(const RealServerMachine& machine) {
    const auto& [service_ips, port, protocols, interface, processes, tunnel_ends, tunnel_from,
                 large_query, withdraw_on_failure] = machine;
    Parts parts;
    for (const IpAddress& service_ip : service_ips)
        parts.add_if(true, "service_ip {}", service_ip.to_string());
    parts.add_if(true, "port {}{}{}", port, protocols[0] ? " udp" : "", protocols[1] ? " tcp" : "");
    parts.add_if(true, "on {}", quoted(interface));
    for (const IpAddress& end : tunnel_ends)
        parts.add_if(true, "tunnel {}", end.to_string());
    for (const Prefix& network : tunnel_from)
        parts.add_if(true, "tunnel_from {}", network.to_string());
    if (large_query) parts.add_if(true, "large_query {}", summary_of(*large_query));
    parts.add_if(withdraw_on_failure, "withdraw_on_failure");
    line(0, "realserver: {}", parts.text());
    for (const auto& [name, input, listen, from] : processes) {
        Parts words;
        words.add_if(true, "input {}", quoted(input));
        for (const Endpoint& each : listen)
            words.add_if(true, "listen {}", each.to_string());
        for (const Prefix& network : from)
            words.add_if(true, "from {}", network.to_string());
        line(1, "process {}: {}", quoted(name), words.text());
    }
    // Their checks belong to another list.
    Configuration agent;
    agent.checks = configuration_.machine_checks;
    agent.services = configuration_.machine_services;
    Writer watched(agent);
    const std::string text = watched.text();
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        line(1, "{}", std::string_view(text).substr(at, end - at));
        at = end + 1;
    }
}

void Writer::sorry_server(const SorryServer& server) {
    const auto& [endpoint, inhibit, method] = server;
    Parts parts;
    parts.add_if(inhibit, "inhibit");
    parts.add_if(method.has_value(), "{}", to_string(method.value_or(ForwardingMethod::dr)));
    line(1, "sorry_server {}{}{}", endpoint.to_string(), parts.empty() ? "" : ": ", parts.text());
}

void Writer::checks(const std::vector<CheckIndex>& checks, const std::vector<SomeOf>& some_of) {
    auto range = some_of.begin();
    for (std::size_t at = 0; at < checks.size(); ++at) {
        while (range != some_of.end() && at >= std::size_t{range->first} + range->count)
            ++range;
        const bool within = range != some_of.end() && at >= range->first;
        if (within && at == range->first)
            line(2, "at least {} of {}", range->required, range->count);
        line(within ? 3 : 2, "check {}", full_text(configuration_.checks.at(checks[at])));
    }
}

void Writer::real_server(const RealServer& server) {
    const auto& [name, endpoint, weight, own_checks, some_of, inhibit_on_failure, notify_up,
                 notify_down, method, thresholds, proxy_protocol, transparent] = server;
    const auto& [upper, lower] = thresholds;
    Parts parts;
    parts.add_if(true, "weight {}", weight);
    parts.add_if(inhibit_on_failure, "inhibit_on_failure");
    parts.add_if(method.has_value(), "{}", to_string(method.value_or(ForwardingMethod::dr)));
    parts.add_if(upper != 0 || lower != 0, "thresholds {}/{}", upper, lower);
    parts.add_if(proxy_protocol, "proxy_protocol");
    parts.add_if(transparent, "transparent");
    line(1, "real_server {} {}: {}", quoted(name), endpoint.to_string(), parts.text());
    command(2, "notify_up", notify_up);
    command(2, "notify_down", notify_down);
    checks(own_checks, some_of);
}

void Writer::service(const Service& service) {
    const auto& [key, cluster, group, scheduler, method, quorum, on_all_down, max_out_percent,
                 slow_start, real_servers, sorry, other_hash, quorum_up, quorum_down, omega, ipvs,
                 client_subnet, to_all] = service;
    const auto& [required, hysteresis] = quorum;
    const auto& [one_packet, fallback, persistence_timeout, persistence_prefix] = ipvs;
    const Service standard;
    Parts parts;
    parts.add_if(!cluster.empty(), "cluster {}", quoted(cluster));
    parts.add_if(!group.empty(), "group {}", quoted(group));
    parts.add_if(true, "{} {}", to_string(scheduler), to_string(method));
    parts.add_if(other_hash, "other_hash");
    parts.add_if(required != standard.quorum.required, "quorum {}", required);
    parts.add_if(hysteresis != standard.quorum.hysteresis, "hysteresis {}", hysteresis);
    parts.add_if(true, "on_all_down {}", to_string(on_all_down));
    parts.add_if(max_out_percent != standard.max_out_percent, "max_out {}%", max_out_percent);
    parts.add_if(slow_start != standard.slow_start, "slow_start {}", to_text(slow_start));
    parts.add_if(omega, "omega");
    parts.add_if(client_subnet.any(), "client_subnet {} {}", client_subnet.ipv4,
                 client_subnet.ipv6);
    parts.add_if(to_all != standard.to_all, "to_all {}", to_string(to_all));
    parts.add_if(one_packet, "ops");
    parts.add_if(fallback, "fallback");
    parts.add_if(persistence_timeout != 0, "persistence {} s", persistence_timeout);
    parts.add_if(persistence_prefix != 0, "persistence prefix /{}", persistence_prefix);
    line(0, "service {}: {}", key.to_string(), parts.text());
    command(1, "quorum_up", quorum_up);
    command(1, "quorum_down", quorum_down);
    if (sorry) sorry_server(*sorry);
    for (const RealServer& server : real_servers)
        real_server(server);
}

std::string Writer::text() {
    const auto& [settings, all_checks, services, bgp, real_server_machine, machine_checks,
                 machine_services] = configuration_;  // the last two: machine()
    director(settings);
    if (real_server_machine) machine(*real_server_machine);
    if (bgp)
        for (const std::string& each : full_text(*bgp))
            line(0, "{}", each);
    for (const Service& each : services)
        service(each);
    // A check that no server lists is a mistake of whoever made this; it shall be seen.
    std::vector<bool> used(all_checks.size());
    for (const Service& each : services)
        for (const RealServer& server : each.real_servers)
            for (const CheckIndex check : server.checks)
                used.at(check) = true;
    for (std::size_t i = 0; i < used.size(); ++i)
        if (!used[i]) line(0, "unused check {}", full_text(all_checks[i]));
    return std::move(out_);
}

}  // namespace

std::string full_text(const Configuration& configuration) {
    return Writer(configuration).text();
}

}  // namespace dnsdirector::core
