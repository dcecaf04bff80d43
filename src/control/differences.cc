// SPDX-License-Identifier: Apache-2.0
#include "control/differences.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>

#include "base/result.h"
#include "control/differences_bgp.h"

namespace dnsdirector::control {
namespace {

using Lines = std::vector<std::string>;

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

// ---- checks -----------------------------------------------------------------------

using Checks = std::vector<core::Check>;

Checks checks_of(const core::Configuration& configuration, const core::RealServer& server) {
    Checks checks;
    for (const core::CheckIndex index : server.checks)
        checks.push_back(configuration.checks[index]);
    return checks;
}

/// "dns www.example.com. A udp"
std::string name_of(const core::Check& check) {
    return fmt::format("{} {}", core::kind_of(check.what), core::summary_of(check.what));
}

/// core::full_text() in its pieces; commas in '…' do not count.
Lines pieces_of(const core::Check& check) {
    Lines pieces(1);
    bool quoted = false;
    const std::string text = core::full_text(check);
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] == '\'') quoted = !quoted;
        if (!quoted && text.compare(at, 2, ", ") == 0) {
            pieces.emplace_back();
            ++at;
        } else {
            pieces.back() += text[at];
        }
    }
    return pieces;
}

Lines words_of(const std::string& text) {
    Lines words;
    std::istringstream stream(text);
    for (std::string word; stream >> word;)
        words.push_back(word);
    return words;
}

/// "timeout 1s", "timeout 2s": "timeout 1s -> 2s".
std::string change_of(const std::string& before, const std::string& after) {
    const Lines was = words_of(before);
    const Lines is = words_of(after);
    const auto first = std::mismatch(was.begin(), was.end(), is.begin(), is.end());
    const auto last = std::mismatch(was.rbegin(), std::make_reverse_iterator(first.first),
                                    is.rbegin(), std::make_reverse_iterator(first.second));
    const Lines name(was.begin(), first.first);
    const Lines old(first.first, last.first.base());
    const Lines now(first.second, last.second.base());
    if (name.empty() || old.empty() || now.empty())
        return fmt::format("'{}' -> '{}'", before, after);
    return fmt::format("{} {} -> {}", fmt::join(name, " "), fmt::join(old, " "),
                       fmt::join(now, " "));
}

/// Of the same kind: "timeout 1s -> 2s, tries 1 -> 3".
std::string changes_of(const core::Check& was, const core::Check& is) {
    const Lines before = pieces_of(was);
    const Lines after = pieces_of(is);
    if (before.size() != after.size())
        return fmt::format("'{}' -> '{}'", core::full_text(was), core::full_text(is));
    Lines changes;
    for (std::size_t i = 0; i < before.size(); ++i)
        if (before[i] != after[i]) changes.push_back(change_of(before[i], after[i]));
    return fmt::format("{}", fmt::join(changes, ", "));
}

/// The first of `others` that is alike; it is taken out.
template <typename Alike>
std::optional<core::Check> take(Checks& others, Alike alike) {
    const auto found = std::find_if(others.begin(), others.end(), alike);
    if (found == others.end()) return std::nullopt;
    core::Check taken = std::move(*found);
    others.erase(found);
    return taken;
}

/// Only what differs. A check whose question stays is the same check with other
/// settings; so is the one that is left of its kind.
Lines compare_checks(Checks was, Checks is) {
    if (was == is) return {};
    Lines lines;
    std::erase_if(is, [&](const core::Check& check) {
        return take(was, [&](const core::Check& old) { return old == check; }).has_value();
    });
    const auto pair = [&](auto alike) {
        std::erase_if(is, [&](const core::Check& check) {
            const auto old = take(was, [&](const core::Check& one) { return alike(one, check); });
            if (old)
                lines.push_back(
                    fmt::format("check {}: {}", name_of(*old), changes_of(*old, check)));
            return old.has_value();
        });
    };
    pair([](const core::Check& left, const core::Check& right) {
        return name_of(left) == name_of(right);
    });
    pair([](const core::Check& left, const core::Check& right) {
        return left.what.index() == right.what.index();
    });
    if (lines.empty() && was.size() == 1 && is.size() == 1)
        return {fmt::format("check {} replaced by {}", name_of(was[0]), name_of(is[0]))};
    for (const core::Check& check : was)
        lines.push_back("check removed: " + name_of(check));
    for (const core::Check& check : is)
        lines.push_back(
            fmt::format("check added: {} every {}", name_of(check), to_text(check.timing.every)));
    if (lines.empty()) lines.emplace_back("checks in another order");
    return lines;
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
    {"proxy_protocol", [](const core::RealServer& s) { return on_off(s.proxy_protocol); }},
    {"transparent", [](const core::RealServer& s) { return on_off(s.transparent); }},
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
    {"client_subnet",
     [](const core::Service& s) {
         return fmt::format("{} {}", s.client_subnet.ipv4, s.client_subnet.ipv6);
     }},
    {"to_all", [](const core::Service& s) { return to_string(s.to_all); }},
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
    for (const std::string& line : compare_checks(checks_of(present, was), checks_of(next, is)))
        lines.push_back(fmt::format("{}: real server {} {}", service, who(is), line));
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
    if (present.director.presence != next.director.presence)
        lines.push_back(fmt::format("director: presence {} -> {}",
                                    to_string(present.director.presence),
                                    to_string(next.director.presence)));
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
    for (std::string& line : differences_of_bgp(present.bgp, next.bgp))
        lines.push_back(std::move(line));
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
        {"interface", present.interfaces != next.interfaces, reexecute},
        {"xdp_mode", present.xdp_mode != next.xdp_mode, reexecute},
        {"other_directors", present.other_directors != next.other_directors, reexecute},
        {"tunnel_source", present.tunnel_sources != next.tunnel_sources, reexecute},
        {"script_user", present.script_user != next.script_user, reexecute},
        {"http listen", present.http_listen != next.http_listen, reexecute},
        {"proxy", !(present.proxy == next.proxy), reexecute},
        {"max_services, max_real_servers, max_slots or max_flows", !(present.limits == next.limits),
         stop_and_start},
    };
    if (present.dataplane != next.dataplane)
        return fmt::format(
            "the director that answers here has 'dataplane {}', the file has 'dataplane {}': a "
            "reload cannot change that; to change it, {}. If another director is meant, name its "
            "--run-dir",
            to_string(present.dataplane), to_string(next.dataplane), stop_and_start);
    for (const Fixed& setting : fixed)
        if (setting.differs)
            return fmt::format("'{}' cannot be changed by a reload: {}", setting.name,
                               setting.mend);
    return "";
}

}  // namespace dnsdirector::control
