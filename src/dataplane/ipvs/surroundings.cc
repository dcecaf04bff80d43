// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/surroundings.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace dnsdirector::dataplane::ipvs {
namespace {

using core::Configuration;
using core::ForwardingMethod;
using core::Service;

template <typename Test>
bool any_service(const Configuration& configuration, Test test) {
    return std::any_of(configuration.services.begin(), configuration.services.end(), test);
}

bool reaches_by(const Service& service, ForwardingMethod method) {
    if (service.method == method) return true;
    return std::any_of(service.real_servers.begin(), service.real_servers.end(),
                       [&](const core::RealServer& server) { return server.method == method; });
}

/// Flows that the kernel remembers: all but UDP packet by packet.
bool keeps_flows(const Service& service) {
    return !service.ipvs.one_packet;
}

bool persists(const Service& service) {
    return service.ipvs.persistence_timeout != 0;
}

template <Family family>
bool translates(const Service& service) {
    return service.key.address.family() == family && reaches_by(service, ForwardingMethod::nat);
}

bool anything(const Service& /*service*/) {
    return true;
}

struct Rule {
    const char* setting;
    long wanted;
    bool (*concerns)(const Service&);
    const char* consequence;
};

constexpr Rule rules[] = {
    {"ipv4/vs/expire_nodest_conn", 1, keeps_flows,
     "the flows of a server that was removed are dropped in silence until they time out, instead "
     "of going to another server"},
    {"ipv4/vs/expire_quiescent_template", 1, persists,
     "persistence keeps sending a client's new connections to a server with weight 0, so that "
     "it never drains"},
    {"ipv4/vs/conntrack", 0, anything,
     "every packet of a service passes connection tracking, too, which costs much and drops when "
     "its table is full; leave it on only for firewall rules that need it"},
    {"ipv4/ip_forward", 1, translates<Family::ipv4>,
     "lb_kind NAT: the servers' replies come through this machine, which does not pass them on"},
    {"ipv6/conf/all/forwarding", 1, translates<Family::ipv6>,
     "lb_kind NAT: the servers' replies come through this machine, which does not pass them on"},
};

std::string dotted(std::string path) {
    std::replace(path.begin(), path.end(), '/', '.');
    return "net." + path;
}

}  // namespace

std::optional<long> read_setting(const std::string& path) {
    std::ifstream file{"/proc/sys/net/" + path};
    long value = 0;
    if (!(file >> value)) return std::nullopt;
    return value;
}

std::vector<std::string> judge_surroundings(const Configuration& configuration,
                                            const ReadSetting& read) {
    std::vector<std::string> findings;
    for (const Rule& rule : rules) {
        if (!any_service(configuration, rule.concerns)) continue;
        const auto value = read(rule.setting);
        if (!value || (*value != 0) == (rule.wanted != 0)) continue;
        const std::string name = dotted(rule.setting);
        findings.push_back(fmt::format("{0} is {1}: {2}; sysctl -w {0}={3}", name, *value,
                                       rule.consequence, rule.wanted));
    }
    return findings;
}

}  // namespace dnsdirector::dataplane::ipvs
