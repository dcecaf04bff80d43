// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/translate.h"

#include <linux/ip_vs.h>
#include <netinet/in.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace dnsdirector::dataplane::ipvs {
namespace {

using core::ForwardingMethod;
using core::Scheduler;

constexpr Scheduler all_schedulers[] = {Scheduler::wrr, Scheduler::rr,  Scheduler::mh,
                                        Scheduler::sh,  Scheduler::wlc, Scheduler::lc,
                                        Scheduler::sed, Scheduler::nq};

constexpr std::pair<ForwardingMethod, std::uint32_t> methods[] = {
    {ForwardingMethod::dr, IP_VS_CONN_F_DROUTE},
    {ForwardingMethod::tun, IP_VS_CONN_F_TUNNEL},
    {ForwardingMethod::nat, IP_VS_CONN_F_MASQ},
};

// Of sh and of mh alike (ip_vs_sh.c, ip_vs_mh.c).
constexpr std::uint32_t flag_fallback = IP_VS_SVC_F_SCHED_SH_FALLBACK;
constexpr std::uint32_t flag_port = IP_VS_SVC_F_SCHED_SH_PORT;

constexpr bool hashes(Scheduler scheduler) {
    return scheduler == Scheduler::sh || scheduler == Scheduler::mh;
}

/// core's other_hash: sh with the port, mh without it.
constexpr bool takes_port(Scheduler scheduler, bool other_hash) {
    return hashes(scheduler) && (scheduler == Scheduler::sh) == other_hash;
}

std::uint8_t host_prefix(Family family) {
    return family == Family::ipv4 ? 32 : 128;
}

IpAddress no_address(Family family) {
    return family == Family::ipv4 ? IpAddress{} : IpAddress::from_v6({});
}

}  // namespace

netlink::IpvsServiceId id_of(const core::ServiceKey& key) {
    netlink::IpvsServiceId id;
    id.family = key.address.family();
    id.fwmark = key.fwmark;
    if (key.fwmark != 0) return id;
    id.protocol = key.protocol == Protocol::udp ? IPPROTO_UDP : IPPROTO_TCP;
    id.address = key.address;
    id.port = key.port;
    return id;
}

std::optional<core::ServiceKey> key_of(const netlink::IpvsServiceId& id) {
    if (id.fwmark != 0) return core::ServiceKey{no_address(id.family), 0, Protocol::udp, id.fwmark};
    if (id.protocol != IPPROTO_UDP && id.protocol != IPPROTO_TCP) return std::nullopt;
    return core::ServiceKey{id.address, id.port,
                            id.protocol == IPPROTO_UDP ? Protocol::udp : Protocol::tcp, 0};
}

netlink::IpvsService service_of(const core::AddService& service) {
    const core::IpvsOptions& options = service.ipvs;
    netlink::IpvsService out;
    out.id = id_of(service.key);
    out.scheduler = core::to_string(service.scheduler);
    out.timeout = options.persistence_timeout;
    out.prefix_length = host_prefix(out.id.family);
    if (options.persistence_timeout != 0) {
        out.flags |= IP_VS_SVC_F_PERSISTENT;
        if (options.persistence_prefix != 0) out.prefix_length = options.persistence_prefix;
    }
    if (options.one_packet) out.flags |= IP_VS_SVC_F_ONEPACKET;
    if (options.fallback && hashes(service.scheduler)) out.flags |= flag_fallback;
    if (takes_port(service.scheduler, service.other_hash)) out.flags |= flag_port;
    return out;
}

core::ServiceForwarding forwarding_of(const core::ServiceKey& key,
                                      const netlink::IpvsService& service) {
    core::ServiceForwarding out;
    out.key = key;
    const auto* const known =
        std::find_if(std::begin(all_schedulers), std::end(all_schedulers),
                     [&](Scheduler one) { return core::to_string(one) == service.scheduler; });
    bool wishable = known != std::end(all_schedulers) && service.persistence_engine.empty();
    if (wishable) out.scheduler = *known;

    std::uint32_t left = service.flags & ~std::uint32_t{IP_VS_SVC_F_HASHED};
    const auto take = [&](std::uint32_t flag) {
        const bool set = (left & flag) != 0;
        left &= ~flag;
        return set;
    };
    out.ipvs.one_packet = take(IP_VS_SVC_F_ONEPACKET);
    if (take(IP_VS_SVC_F_PERSISTENT)) {
        out.ipvs.persistence_timeout = service.timeout;
        wishable = wishable && service.prefix_length != 0 && service.timeout != 0;
        if (service.prefix_length != host_prefix(service.id.family))
            out.ipvs.persistence_prefix = service.prefix_length;
    }
    if (hashes(out.scheduler)) {
        out.ipvs.fallback = take(flag_fallback);
        out.other_hash = take(flag_port) == (out.scheduler == Scheduler::sh);
    }
    if (!wishable || left != 0) out.ipvs = core::unwishable_options;
    return out;
}

netlink::IpvsDestination destination_of(const core::Destination& destination) {
    netlink::IpvsDestination out;
    out.address = destination.server.address;
    out.port = destination.server.port;
    for (const auto& [method, in_kernel] : methods)
        if (method == destination.method) out.method = in_kernel;
    out.weight = static_cast<std::int32_t>(destination.weight);
    out.upper_threshold = destination.thresholds.upper;
    out.lower_threshold = destination.thresholds.lower;
    return out;
}

core::Destination destination_of(const netlink::IpvsDestination& destination) {
    core::Destination out;
    out.server = {destination.address, destination.port};
    out.weight =
        destination.weight < 0 ? unwishable : static_cast<std::uint32_t>(destination.weight);
    out.thresholds = {destination.upper_threshold, destination.lower_threshold};
    const auto* const known =
        std::find_if(std::begin(methods), std::end(methods),
                     [&](const auto& one) { return one.second == destination.method; });
    if (known != std::end(methods)) out.method = known->first;
    if (known == std::end(methods) || destination.tunnel_type != IP_VS_CONN_F_TUNNEL_TYPE_IPIP)
        out.weight = unwishable;
    return out;
}

}  // namespace dnsdirector::dataplane::ipvs
