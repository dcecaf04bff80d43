// SPDX-License-Identifier: Apache-2.0
#include "config/ipvs_options.h"

#include <algorithm>
#include <bit>

#include "config/values.h"

namespace dnsdirector::config {
namespace {

// IP_VS_SVC_PERSISTENT_TIMEOUT of linux/ip_vs.h, as keepalived takes it where a
// service needs persistence and says no time.
constexpr std::uint32_t standard_timeout = 360;

struct Granularity {
    Family family;
    std::uint8_t prefix;
};

/// A netmask is IPv4's, a number IPv6's, as in keepalived.conf(5).
Result<Granularity> read_granularity(const std::string& text) {
    if (text.find('.') == std::string::npos) {
        const auto length = parse_number(text, 1, 128);
        if (!length)
            return fail(
                "`{}` is neither a netmask for IPv4, as 255.255.255.0, nor a prefix length "
                "for IPv6, 1 to 128",
                text);
        return Granularity{Family::ipv6, static_cast<std::uint8_t>(*length)};
    }
    const auto mask = IpAddress::parse(text);
    std::uint32_t bits = 0;
    if (mask && mask->is_v4())
        for (std::size_t i = 0; i < 4; ++i)
            bits = bits << 8U | mask->bytes()[i];
    const int ones = std::countl_one(bits);
    if (ones == 0 || std::popcount(bits) != ones)
        return fail("`{}` is no netmask, whose ones stand before its zeros, as 255.255.255.0",
                    text);
    return Granularity{Family::ipv4, static_cast<std::uint8_t>(ones)};
}

std::uint8_t prefix_for(const PersistenceDraft& persistence, Family family) {
    std::uint8_t prefix = 0;
    for (const Placed<std::string>& each : persistence.granularity)
        if (const auto read = read_granularity(each.value); read && read->family == family)
            prefix = read->prefix;
    return prefix == (family == Family::ipv4 ? 32 : 128) ? 0 : prefix;
}

std::uint32_t timeout_of(const IpvsWishes& wishes) {
    if (wishes.persistence.timeout && wishes.persistence.timeout->value != 0)
        return wishes.persistence.timeout->value;
    return wishes.all_ports || !wishes.persistence.granularity.empty() ? standard_timeout : 0;
}

void refuse(const Position& at, std::string_view keyword, Assembly& assembly) {
    assembly.diagnostics().error(
        at, "{} is nothing that the {} plane does; remove the line, or write dataplane ipvs",
        keyword, assembly.proxy() ? "proxy" : "xdp");
}

}  // namespace

void judge_persistence(const PersistenceDraft& persistence, bool native, Assembly& assembly) {
    Diagnostics& diagnostics = assembly.diagnostics();
    const bool wanted = persistence.timeout && persistence.timeout->value != 0;
    if (!assembly.ipvs() && native) {
        if (!assembly.xdp() && !assembly.proxy()) return;
        if (wanted) refuse(persistence.timeout->position, "persistence_timeout", assembly);
        for (const Placed<std::string>& each : persistence.granularity)
            refuse(each.position, "persistence_granularity", assembly);
        return;
    }
    if (!assembly.ipvs()) {
        if (wanted)
            diagnostics.finding(
                persistence.timeout->position, "persistence",
                "persistence_timeout has no effect here: the xdp plane chooses a server for each "
                "UDP query and TCP connection, which is what DNS wants (a resolver with many users "
                "behind it would stay with one server, also after that has failed); lb_algo sh "
                "keeps a client with one server",
                "remove the line");
        for (const Placed<std::string>& each : persistence.granularity)
            assembly.no_effect(each.position, "persistence_granularity", "there is no persistence");
        return;
    }
    if (wanted)
        diagnostics.finding(persistence.timeout->position, "persistence",
                            "persistence_timeout keeps each client with one server: a resolver "
                            "with many users behind it loads one server alone",
                            "DNS needs no persistence: remove the line");
    for (const Placed<std::string>& each : persistence.granularity)
        if (const auto read = read_granularity(each.value); !read)
            diagnostics.error(each.position, "persistence_granularity: {}", read.error().message);
}

bool counts_connections(core::Scheduler scheduler) {
    using core::Scheduler;
    return scheduler == Scheduler::wlc || scheduler == Scheduler::lc ||
           scheduler == Scheduler::sed || scheduler == Scheduler::nq;
}

bool one_packet_by_default(core::Scheduler scheduler, bool persists, bool translates) {
    return !persists && !translates && !counts_connections(scheduler);
}

core::IpvsOptions ipvs_options(const IpvsWishes& wishes, const core::Service& service,
                               const Assembly& assembly) {
    core::IpvsOptions options;
    if (!assembly.ipvs()) return options;
    options.persistence_timeout = timeout_of(wishes);
    if (options.persistence_timeout != 0)
        options.persistence_prefix = prefix_for(wishes.persistence, service.key.address.family());
    options.one_packet =
        service.key.protocol == Protocol::udp &&
        wishes.one_packet.value_or(one_packet_by_default(
            service.scheduler, options.persistence_timeout != 0, wishes.translates));
    options.fallback = wishes.fallback && (service.scheduler == core::Scheduler::sh ||
                                           service.scheduler == core::Scheduler::mh);
    return options;
}

core::Thresholds thresholds_of(const ThresholdsDraft& draft) {
    return {draft.upper ? draft.upper->value : 0, draft.lower ? draft.lower->value : 0};
}

void judge_thresholds(const ThresholdsDraft& draft, bool native, Assembly& assembly) {
    if (!assembly.ipvs()) {
        for (const auto& [name, written] :
             {std::pair{"uthreshold", &draft.upper}, std::pair{"lthreshold", &draft.lower}}) {
            if (!*written) continue;
            if (!native)
                assembly.no_effect((*written)->position, name,
                                   "connections are not counted on the xdp plane, so that none is "
                                   "refused for being one too many");
            else if ((assembly.xdp() || assembly.proxy()) && (*written)->value != 0)
                refuse((*written)->position, name, assembly);
        }
        return;
    }
    const core::Thresholds thresholds = thresholds_of(draft);
    if (thresholds.lower > thresholds.upper)
        assembly.diagnostics().error(draft.lower->position,
                                     "lthreshold {} must not be more than uthreshold, {}",
                                     thresholds.lower, thresholds.upper);
}

}  // namespace dnsdirector::config
