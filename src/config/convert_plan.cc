// SPDX-License-Identifier: Apache-2.0
#include "config/convert_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "config/same_state.h"

namespace dnsdirector::config {
namespace {

using core::Service;

/// Doubles the braces of what the native form would take for a placeholder.
void protect_placeholders(std::string& text) {
    for (const std::string_view word : {"{address}", "{port}", "{name}"})
        for (std::size_t at = 0; (at = text.find(word, at)) != std::string::npos;
             at += word.size() + 2)
            text.replace(at, word.size(), fmt::format("{{{}}}", word));
}

/// Puts `{address}` where the server's address stands as a whole.
std::string with_placeholder(std::string text, const IpAddress& address) {
    protect_placeholders(text);
    constexpr std::string_view placeholder = "{address}";
    const auto part_of_address = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
               c == '.' || c == ':';
    };
    const std::string wanted = address.to_string();
    for (std::size_t at = 0; (at = text.find(wanted, at)) != std::string::npos;) {
        const std::size_t end = at + wanted.size();
        const bool whole = (at == 0 || !part_of_address(text[at - 1])) &&
                           (end == text.size() || !part_of_address(text[end]));
        if (!whole) {
            at = end;
            continue;
        }
        text.replace(at, wanted.size(), placeholder);
        at += placeholder.size();
    }
    return text;
}

void fill_in(std::vector<std::string>& words, const IpAddress& address) {
    for (std::string& word : words)
        word = with_placeholder(std::move(word), address);
}

/// A check without what belongs to its server.
PlannedCheck planned(const core::Check& check, const Endpoint& server) {
    PlannedCheck out;
    out.check = with_question(check);
    out.was_dig = std::holds_alternative<core::DigCheck>(check.what);
    if (out.check.target.address == server.address) out.check.target.address = {};
    if (out.check.target.port == server.port) out.check.target.port = 0;
    std::visit(
        [&](auto& what) {
            if constexpr (requires { what.via; })
                if (what.via.source) {
                    out.source[index(what.via.source->family())] = what.via.source;
                    what.via.source.reset();
                }
            if constexpr (requires { what.arguments; }) fill_in(what.arguments, server.address);
            if constexpr (requires { what.reverse; })
                what.path = with_placeholder(std::move(what.path), server.address);
        },
        out.check.what);
    return out;
}

const core::DnsCheck* question_in(const PlannedCheck& check) {
    return std::get_if<core::DnsCheck>(&check.check.what);
}

/// The same question over the other transport.
PlannedCheck over_other_transport(PlannedCheck check) {
    auto& question = std::get<core::DnsCheck>(check.check.what);
    question.transport = question.transport == Protocol::udp ? Protocol::tcp : Protocol::udp;
    return check;
}

bool contains(const std::vector<PlannedCheck>& checks, const PlannedCheck& check) {
    return std::find(checks.begin(), checks.end(), check) != checks.end();
}

/// The checks of one server in the services of both protocols → blocks.
std::vector<PlannedCheck> join(const PerProtocol<std::vector<PlannedCheck>>& of) {
    std::vector<PlannedCheck> out;
    std::vector<PlannedCheck> done;  // of TCP, that a block over both transports holds
    const auto& tcp = of[index(Protocol::tcp)];
    for (const PlannedCheck& check : of[index(Protocol::udp)]) {
        PlannedCheck block = check;
        block.services[index(Protocol::udp)] = true;
        block.services[index(Protocol::tcp)] = contains(tcp, check);
        if (const auto* question = question_in(check)) {
            block.transports[index(question->transport)] = true;
            if (question->transport == Protocol::udp && !question->tls && !contains(tcp, check)) {
                const PlannedCheck twin = over_other_transport(check);
                if (contains(tcp, twin) && !contains(of[index(Protocol::udp)], twin)) {
                    block.services = block.transports = {true, true};
                    done.push_back(twin);
                }
            }
        }
        out.push_back(std::move(block));
    }
    for (const PlannedCheck& check : tcp) {
        if (contains(done, check) || contains(of[index(Protocol::udp)], check)) continue;
        PlannedCheck block = check;
        block.services[index(Protocol::tcp)] = true;
        if (const auto* question = question_in(check))
            block.transports[index(question->transport)] = true;
        out.push_back(std::move(block));
    }
    // One question over two transports is one block, whose transport no longer says which.
    for (PlannedCheck& block : out)
        if (auto* question = std::get_if<core::DnsCheck>(&block.check.what))
            if (block.transports[0] && block.transports[1]) question->transport = Protocol::udp;
    return out;
}

/// What makes services of one cluster alike, but for address and protocol.
Service shell_of(const Service& service) {
    Service shell = service;
    shell.key.address = {};
    shell.key.protocol = Protocol::udp;
    for (core::RealServer& server : shell.real_servers) {
        server.name.clear();
        server.checks.clear();
    }
    return shell;
}

/// One service IP with a port: the services of one or both protocols.
struct Unit {
    IpAddress address;
    PerProtocol<const Service*> services = {};
    PerProtocol<const ServicePlaces*> places = {};
    Service shell;
    std::vector<std::vector<PlannedCheck>> checks;  ///< of each server
};

class Planner {
public:
    Planner(const core::Configuration& configuration, const Places& places)
        : configuration_(configuration), places_(places) {}

    Plan plan();

private:
    void make_units();
    void read_checks(Unit& unit);
    void place(const Unit& unit);
    void add_places(const Unit& unit, PlannedCluster& cluster) const;
    void fold_families();

    const core::Configuration& configuration_;
    const Places& places_;
    std::vector<Unit> units_;
    std::vector<const Unit*> first_of_;  ///< of each cluster
    Plan plan_;
};

void Planner::make_units() {
    std::unordered_map<Endpoint, std::size_t> known;
    for (std::size_t i = 0; i < configuration_.services.size(); ++i) {
        const Service& service = configuration_.services[i];
        if (!service.cluster.empty()) continue;
        Service shell = shell_of(service);
        const std::size_t protocol = index(service.key.protocol);
        const auto twin = known.find(service.key.endpoint());
        if (twin != known.end() && units_[twin->second].shell == shell) {
            units_[twin->second].services[protocol] = &service;
            units_[twin->second].places[protocol] = &places_.services[i];
            continue;
        }
        known[service.key.endpoint()] = units_.size();
        Unit& unit = units_.emplace_back();
        unit.address = service.key.address;
        unit.services[protocol] = &service;
        unit.places[protocol] = &places_.services[i];
        unit.shell = std::move(shell);
    }
    for (Unit& unit : units_)
        read_checks(unit);
}

void Planner::read_checks(Unit& unit) {
    for (std::size_t i = 0; i < unit.shell.real_servers.size(); ++i) {
        PerProtocol<std::vector<PlannedCheck>> of;
        for (const Protocol protocol : {Protocol::udp, Protocol::tcp}) {
            const Service* service = unit.services[index(protocol)];
            if (service == nullptr) continue;
            const core::RealServer& server = service->real_servers[i];
            for (const core::CheckIndex check : server.checks) {
                PlannedCheck one = planned(configuration_.checks[check], server.endpoint);
                if (std::holds_alternative<core::DigCheck>(one.check.what))
                    plan_.left.push_back(
                        {places_.checks[check],
                         fmt::format("a dig line of {} with more than 10 tries, or of more than "
                                     "1min each",
                                     server.endpoint.to_string())});
                of[index(protocol)].push_back(std::move(one));
            }
        }
        // Where there is one protocol, all checks are its.
        std::vector<PlannedCheck> joined = join(of);
        for (PlannedCheck& check : joined)
            if (unit.services[0] == nullptr || unit.services[1] == nullptr)
                check.services = {true, true};
        unit.checks.push_back(std::move(joined));
    }
}

void Planner::add_places(const Unit& unit, PlannedCluster& cluster) const {
    for (const ServicePlaces* places : unit.places) {
        if (places == nullptr) continue;
        cluster.places.push_back(places->block);
        for (std::size_t i = 0; i < cluster.servers.size(); ++i)
            cluster.servers[i].places.push_back(places->servers[i]);
    }
}

/// Into the cluster of its like, or a new one.
void Planner::place(const Unit& unit) {
    const PerProtocol<bool> protocols = {unit.services[0] != nullptr, unit.services[1] != nullptr};
    for (std::size_t i = 0; i < plan_.clusters.size(); ++i) {
        const Unit& first = *first_of_[i];
        PlannedCluster& cluster = plan_.clusters[i];
        if (cluster.protocols != protocols || first.shell != unit.shell ||
            first.checks != unit.checks)
            continue;
        cluster.service_ips.push_back(unit.address);
        add_places(unit, cluster);
        return;
    }
    first_of_.push_back(&unit);
    PlannedCluster& cluster = plan_.clusters.emplace_back();
    cluster.like = unit.shell;
    cluster.service_ips.push_back(unit.address);
    cluster.protocols = protocols;
    if (unit.shell.sorry_server)
        cluster.sorry_server[index(unit.address.family())] = unit.shell.sorry_server->endpoint;
    if (!unit.checks.empty())
        for (const PlannedCheck& check : unit.checks.front())
            if (std::all_of(unit.checks.begin(), unit.checks.end(),
                            [&](const auto& checks) { return contains(checks, check); }))
                cluster.checks.push_back(check);
    for (std::size_t i = 0; i < unit.shell.real_servers.size(); ++i) {
        const core::RealServer& real = unit.shell.real_servers[i];
        PlannedServer& server = cluster.servers.emplace_back();
        const IpAddress& address = real.endpoint.address;
        server.address[index(address.family())] = address;
        server.port = real.endpoint.port;
        server.weight = real.weight;
        server.inhibit_on_failure = real.inhibit_on_failure;
        server.thresholds = real.thresholds;
        server.notify_up = real.notify_up;
        server.notify_down = real.notify_down;
        for (auto* command : {&server.notify_up, &server.notify_down})
            if (*command) fill_in((*command)->arguments, address);
        for (const PlannedCheck& check : unit.checks[i])
            if (!contains(cluster.checks, check)) server.checks.push_back(check);
    }
    add_places(unit, cluster);
}

// ---- both families --------------------------------------------------------------

/// 203.0.113.11 and 2001:db8::11, or 2001:db8::b.
bool belong_together(const IpAddress& v4, const IpAddress& v6) {
    const unsigned last = v4.bytes()[3];
    const unsigned group = v6.bytes()[14] * 256U + v6.bytes()[15];
    return group == last || fmt::format("{:x}", group) == fmt::format("{}", last);
}

bool alike_but_for_family(const PlannedServer& a, const PlannedServer& b) {
    return a.address[0] && b.address[1] && belong_together(*a.address[0], *b.address[1]) &&
           a.port == b.port && a.weight == b.weight &&
           a.inhibit_on_failure == b.inhibit_on_failure && a.thresholds == b.thresholds &&
           a.notify_up == b.notify_up && a.notify_down == b.notify_down && a.checks.empty() &&
           b.checks.empty();
}

/// A target of one family does not tell which source is whose.
bool asks_elsewhere(const PlannedCheck& check) {
    return check.check.target.address != IpAddress();
}

PlannedCheck without_source(PlannedCheck check) {
    check.source = {};
    return check;
}

bool foldable(const PlannedCluster& v4, const PlannedCluster& v6) {
    const auto policies = [](const PlannedCluster& cluster) {
        Service service = cluster.like;
        service.real_servers.clear();
        service.group.clear();
        if (service.sorry_server) service.sorry_server->endpoint.address = {};
        return service;
    };
    return v4.protocols == v6.protocols && policies(v4) == policies(v6) &&
           std::none_of(v4.checks.begin(), v4.checks.end(), asks_elsewhere) &&
           std::equal(v4.servers.begin(), v4.servers.end(), v6.servers.begin(), v6.servers.end(),
                      alike_but_for_family) &&
           std::equal(v4.checks.begin(), v4.checks.end(), v6.checks.begin(), v6.checks.end(),
                      [](const PlannedCheck& a, const PlannedCheck& b) {
                          return without_source(a) == without_source(b);
                      });
}

template <typename T>
void take_family(PerFamily<std::optional<T>>& into, const PerFamily<std::optional<T>>& from) {
    for (std::size_t family = 0; family < into.size(); ++family)
        if (from[family]) into[family] = from[family];
}

void fold(PlannedCluster& into, const PlannedCluster& from) {
    into.service_ips.insert(into.service_ips.end(), from.service_ips.begin(),
                            from.service_ips.end());
    into.places.insert(into.places.end(), from.places.begin(), from.places.end());
    take_family(into.sorry_server, from.sorry_server);
    for (std::size_t i = 0; i < into.checks.size(); ++i)
        take_family(into.checks[i].source, from.checks[i].source);
    for (std::size_t i = 0; i < into.servers.size(); ++i) {
        PlannedServer& server = into.servers[i];
        take_family(server.address, from.servers[i].address);
        server.places.insert(server.places.end(), from.servers[i].places.begin(),
                             from.servers[i].places.end());
    }
}

void Planner::fold_families() {
    auto& clusters = plan_.clusters;
    for (std::size_t v4 = 0; v4 < clusters.size(); ++v4) {
        if (!clusters[v4].service_ips.front().is_v4()) continue;
        const auto v6 = std::find_if(clusters.begin(), clusters.end(), [&](const auto& other) {
            return other.service_ips.front().is_v6() && foldable(clusters[v4], other);
        });
        if (v6 == clusters.end()) continue;
        const PlannedCluster from = std::move(*v6);
        if (v6 < clusters.begin() + static_cast<std::ptrdiff_t>(v4)) --v4;
        clusters.erase(v6);
        fold(clusters[v4], from);
    }
}

Plan Planner::plan() {
    make_units();
    for (const Unit& unit : units_)
        place(unit);
    fold_families();
    return std::move(plan_);
}

}  // namespace

Plan plan_clusters(const core::Configuration& configuration, const Places& places) {
    return Planner(configuration, places).plan();
}

}  // namespace dnsdirector::config
