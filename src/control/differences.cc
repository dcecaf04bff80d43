// SPDX-License-Identifier: Apache-2.0
#include "control/differences.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>

#include "base/result.h"

namespace dnsdirector::control {
namespace {

using Lines = std::vector<std::string>;

std::string checks_of(const core::Configuration& configuration, const core::RealServer& server) {
    Lines lines;
    for (const core::CheckIndex index : server.checks)
        lines.push_back(core::full_text(configuration.checks[index]));
    return fmt::format("{}", fmt::join(lines, "; "));
}

std::string on_off(bool value) {
    return value ? "on" : "off";
}

std::string text_of(const std::optional<core::Command>& command) {
    if (!command) return "none";
    return fmt::format("{}{}{}", fmt::join(command->arguments, " "),
                       command->user.empty() ? "" : " as ", command->user);
}

/// Of sh and mh; for the others there is no choice.
std::string port_in_hash(const core::Service& service) {
    if (service.scheduler == core::Scheduler::sh) return on_off(service.other_hash);
    if (service.scheduler == core::Scheduler::mh) return on_off(!service.other_hash);
    return "";
}

std::string persistence_of(const core::Service& service) {
    const core::IpvsOptions& options = service.ipvs;
    if (options.persistence_timeout == 0) return "off";
    if (options.persistence_prefix == 0) return fmt::format("{}s", options.persistence_timeout);
    return fmt::format("{}s for each /{}", options.persistence_timeout, options.persistence_prefix);
}

template <typename Server>
std::string method_of(const Server& server) {
    return server.method ? std::string(to_string(*server.method)) : "the service's";
}

std::string ranges_of(const core::RealServer& server) {
    Lines ranges;
    for (const core::SomeOf& some : server.some_of)
        ranges.push_back(fmt::format("{} of checks {} to {}", some.required, some.first + 1,
                                     some.first + some.count));
    return ranges.empty() ? "all must pass" : fmt::format("{}", fmt::join(ranges, ", "));
}

// ---- one setting of a real server each --------------------------------------------

struct ServerSetting {
    const char* name;
    std::string (*value)(const core::RealServer&);
};

constexpr ServerSetting server_settings[] = {
    {"inhibit_on_failure", [](const core::RealServer& s) { return on_off(s.inhibit_on_failure); }},
    {"lvs_method", method_of<core::RealServer>},
    {"uthreshold", [](const core::RealServer& s) { return fmt::format("{}", s.thresholds.upper); }},
    {"lthreshold", [](const core::RealServer& s) { return fmt::format("{}", s.thresholds.lower); }},
    {"checks needed", ranges_of},
    {"notify_up", [](const core::RealServer& s) { return text_of(s.notify_up); }},
    {"notify_down", [](const core::RealServer& s) { return text_of(s.notify_down); }},
};

// ---- one setting of a service each ----------------------------------------------

struct Setting {
    const char* name;
    std::string (*value)(const core::Service&);
};

constexpr Setting settings[] = {
    {"cluster", [](const core::Service& s) { return s.cluster; }},
    {"lb_algo", [](const core::Service& s) { return std::string(to_string(s.scheduler)); }},
    {"lb_kind", [](const core::Service& s) { return std::string(to_string(s.method)); }},
    {"quorum", [](const core::Service& s) { return fmt::format("{}", s.quorum.required); }},
    {"hysteresis", [](const core::Service& s) { return fmt::format("{}", s.quorum.hysteresis); }},
    {"on_all_down", [](const core::Service& s) { return std::string(to_string(s.on_all_down)); }},
    {"max_out", [](const core::Service& s) { return fmt::format("{}%", s.max_out_percent); }},
    {"slow_start", [](const core::Service& s) { return to_text(s.slow_start); }},
    {"group", [](const core::Service& s) { return s.group; }},
    {"sorry_server",
     [](const core::Service& s) {
         return s.sorry_server ? s.sorry_server->endpoint.to_string() : std::string("none");
     }},
    {"sorry_server_inhibit",
     [](const core::Service& s) { return on_off(s.sorry_server && s.sorry_server->inhibit); }},
    {"sorry_server_lvs_method",
     [](const core::Service& s) {
         return s.sorry_server ? method_of(*s.sorry_server) : std::string("the service's");
     }},
    {"client's port in the hash", port_in_hash},
    {"ops", [](const core::Service& s) { return on_off(s.ipvs.one_packet); }},
    {"fallback", [](const core::Service& s) { return on_off(s.ipvs.fallback); }},
    {"persistence", persistence_of},
    {"quorum_up", [](const core::Service& s) { return text_of(s.quorum_up); }},
    {"quorum_down", [](const core::Service& s) { return text_of(s.quorum_down); }},
    {"omega", [](const core::Service& s) { return on_off(s.omega); }},
};

std::string who(const core::RealServer& server) {
    const std::string endpoint = server.endpoint.to_string();
    return server.name == endpoint ? endpoint : server.name + " " + endpoint;
}

void compare_server(const std::string& service, const core::Configuration& present,
                    const core::RealServer& was, const core::Configuration& next,
                    const core::RealServer& is, Lines& lines) {
    if (was.name != is.name)
        lines.push_back(fmt::format("{}: real server {} is named {} (was {})", service,
                                    is.endpoint.to_string(), is.name, was.name));
    if (was.weight != is.weight)
        lines.push_back(fmt::format("{}: real server {} weight {} -> {}", service, who(is),
                                    was.weight, is.weight));
    for (const ServerSetting& setting : server_settings)
        if (const std::string before = setting.value(was), after = setting.value(is);
            before != after)
            lines.push_back(fmt::format("{}: real server {} {} '{}' -> '{}'", service, who(is),
                                        setting.name, before, after));
    const std::string checks_were = checks_of(present, was);
    const std::string checks_are = checks_of(next, is);
    if (checks_were != checks_are)
        lines.push_back(fmt::format("{}: real server {} checked by: {}", service, who(is),
                                    checks_are.empty() ? "nothing" : checks_are));
}

void compare_service(const core::Configuration& present, const core::Service& was,
                     const core::Configuration& next, const core::Service& is, Lines& lines) {
    const std::string service = is.key.to_string();
    for (const Setting& setting : settings)
        if (const std::string before = setting.value(was), after = setting.value(is);
            before != after)
            lines.push_back(
                fmt::format("{}: {} '{}' -> '{}'", service, setting.name, before, after));

    std::map<Endpoint, const core::RealServer*> old;
    for (const core::RealServer& server : was.real_servers)
        old.emplace(server.endpoint, &server);
    for (const core::RealServer& server : is.real_servers) {
        const auto found = old.find(server.endpoint);
        if (found == old.end()) {
            lines.push_back(fmt::format("{}: add real server {} weight {}", service, who(server),
                                        server.weight));
            continue;
        }
        compare_server(service, present, *found->second, next, server, lines);
        old.erase(found);
    }
    for (const auto& [endpoint, server] : old)
        lines.push_back(fmt::format("{}: remove real server {}", service, who(*server)));
}

}  // namespace

std::vector<std::string> differences(const core::Configuration& present,
                                     const core::Configuration& next) {
    Lines lines;
    if (present.director.service_interface != next.director.service_interface)
        lines.push_back(fmt::format("director: service_interface {} -> {}",
                                    present.director.service_interface,
                                    next.director.service_interface));
    if (present.director.drain_time != next.director.drain_time)
        lines.push_back(fmt::format("director: drain_time {} -> {}",
                                    to_text(present.director.drain_time),
                                    to_text(next.director.drain_time)));
    if (present.director.hooks != next.director.hooks)
        lines.push_back(next.director.hooks ? "director: hooks off -> on"
                                            : "director: hooks on -> off");

    std::map<core::ServiceKey, const core::Service*> old;
    for (const core::Service& service : present.services)
        old.emplace(service.key, &service);
    for (const core::Service& service : next.services) {
        const auto found = old.find(service.key);
        if (found == old.end()) {
            lines.push_back(fmt::format("{}: add service with {} real servers",
                                        service.key.to_string(), service.real_servers.size()));
            continue;
        }
        compare_service(present, *found->second, next, service, lines);
        old.erase(found);
    }
    for (const auto& [key, service] : old)
        lines.push_back(fmt::format("{}: remove service", key.to_string()));
    return lines;
}

std::string needs_restart(const core::DirectorSettings& present,
                          const core::DirectorSettings& next) {
    constexpr const char* reexecute =
        "send it USR2, which reads the file anew and goes on forwarding";
    constexpr const char* stop_and_start = "stop the director and start it again";
    struct Fixed {
        const char* name;
        bool differs;
        const char* mend;
    };
    const Fixed fixed[] = {
        {"dataplane", present.dataplane != next.dataplane, stop_and_start},
        {"interface", present.interfaces != next.interfaces, reexecute},
        {"xdp_mode", present.xdp_mode != next.xdp_mode, reexecute},
        {"script_user", present.script_user != next.script_user, reexecute},
        {"http listen", present.http_listen != next.http_listen, reexecute},
        {"max_services, max_real_servers or max_slots", !(present.limits == next.limits),
         stop_and_start},
    };
    for (const Fixed& setting : fixed)
        if (setting.differs)
            return fmt::format("'{}' cannot be changed by a reload: {}", setting.name,
                               setting.mend);
    return "";
}

}  // namespace dnsdirector::control
