// SPDX-License-Identifier: Apache-2.0
#include "netlink/refusals.h"

#include <net/if.h>

#include <cerrno>

namespace dnsdirector::netlink {
namespace {

std::string interface_name(int index) {
    char name[IF_NAMESIZE];
    return if_indextoname(static_cast<unsigned>(index), name) != nullptr
               ? name
               : fmt::format("number {}", index);
}

constexpr const char* needs_net_admin =
    "this takes CAP_NET_ADMIN; run the director as root or by its systemd unit";

}  // namespace

Error no_route(const IpAddress& destination, const Refusal& refusal) {
    const std::string text = "no route to " + destination.to_string();
    switch (refusal.error) {
        case ENETUNREACH: return {text + ": no route covers it, nor is there a default route"};
        case EHOSTUNREACH: return {text + ": its route says unreachable"};
        case EINVAL: return {text + ": its route says blackhole, or the address cannot be reached"};
        case EACCES: return {text + ": its route says prohibit"};
        default: return refusal.as_error(text);
    }
}

Error cannot_resolve(int interface, const IpAddress& address, const Refusal& refusal) {
    const std::string text = fmt::format("cannot resolve neighbour {} on interface {}",
                                         address.to_string(), interface_name(interface));
    const char* family = address.is_v4() ? "ipv4" : "ipv6";
    switch (refusal.error) {
        case ENOBUFS:
            return {
                fmt::format("{}: neighbour table full: raise net.{}.neigh.default.gc_thresh3 "
                            "(and gc_thresh2) above the number of neighbours on this machine",
                            text, family)};
        case EPERM: return {fmt::format("{}: {}", text, needs_net_admin)};
        case ENODEV: return {text + ": there is no such interface any more"};
        default: return refusal.as_error(text);
    }
}

Error cannot_change_address(const char* verb, int interface, const IpAddress& address,
                            const Refusal& refusal) {
    const std::string name = interface_name(interface);
    const std::string text = fmt::format("cannot {} address {}/{} on interface {}", verb,
                                         address.to_string(), address.host_prefix_length(), name);
    switch (refusal.error) {
        case EPERM: return {fmt::format("{}: {}", text, needs_net_admin)};
        case ENODEV: return {text + ": there is no such interface any more"};
        case EACCES:
            if (address.is_v6())
                return {
                    fmt::format("{}: IPv6 is switched off there; set "
                                "net.ipv6.conf.{}.disable_ipv6 to 0",
                                text, name)};
            [[fallthrough]];
        default: return refusal.as_error(text);
    }
}

Error cannot_change_route(const char* verb, const IpAddress& address, int interface,
                          const Refusal& refusal) {
    const std::string text =
        fmt::format("cannot {} the route {}/{} over {}", verb, address.to_string(),
                    address.host_prefix_length(), interface_name(interface));
    switch (refusal.error) {
        case EPERM: return {fmt::format("{}: {}", text, needs_net_admin)};
        case ENODEV: return {text + ": there is no such interface any more"};
        case ENETDOWN: return {text + ": the interface is down"};
        default: return refusal.as_error(text);
    }
}

}  // namespace dnsdirector::netlink
