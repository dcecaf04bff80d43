// SPDX-License-Identifier: Apache-2.0
//
// What a machine must have, or must not have, before it can be made a real server.
#include <fmt/format.h>

#include <algorithm>

#include "realserver/wishes.h"

namespace dnsdirector::realserver {
namespace {

using Lines = std::vector<std::string>;

std::string with_length(const IpAddress& address) {
    return fmt::format("{}/{}", address.to_string(), address.host_prefix_length());
}

/// "eth1.105" is made by ip-link(8); of other names nobody knows what they should be.
std::string how_to_make(const std::string& interface) {
    const auto dot = interface.rfind('.');
    if (dot == std::string::npos || dot == 0) return "`ip link` shows what there is";
    return fmt::format("ip link add link {} name {} type vlan id {}", interface.substr(0, dot),
                       interface, interface.substr(dot + 1));
}

void judge_holder(const Order& order, const Actual& untouched, Lines& refusals) {
    const std::string& name = order.machine.interface;
    const netlink::Link* holder = untouched.link(name);
    if (holder == nullptr) {
        refusals.push_back(fmt::format(
            "interface {}, which should hold the service IPs, does not exist; write `interface "
            "lo`, or make it: ip link add {} type dummy",
            name, name));
        return;
    }
    if (!has_no_neighbours(*holder, untouched))
        refusals.push_back(
            fmt::format("interface {}: packets come in on it, so that it would answer ARP and ND "
                        "for the service IPs; write `interface lo`, or a dummy device",
                        name));
    if (!holder->up)
        refusals.push_back(fmt::format(
            "interface {} is down, and its addresses do not count; ip link set dev {} up", name,
            name));
    if (std::ranges::none_of(order.machine.service_ips, &IpAddress::is_v6)) return;
    const std::string path = path_of("ipv6", name, "disable_ipv6");
    const auto disabled = untouched.number(path);
    if (!disabled)
        refusals.emplace_back(
            "IPv6 is off in this kernel, and there are service IPs of IPv6; start it without "
            "ipv6.disable=1, or leave them out");
    else if (*disabled != 0)
        refusals.push_back(
            fmt::format("IPv6 is off on {}: it can't hold service IPs of IPv6; "
                        "sysctl -w {}=0",
                        name, sysctl_name(path)));
}

/// A service IP on an interface that is asked for its addresses.
void judge_strays(const Order& order, const Actual& untouched, Lines& refusals) {
    for (const HeldAddress& held : untouched.addresses) {
        const auto& all = order.machine.service_ips;
        if (std::ranges::find(all, held.address) == all.end()) continue;
        const netlink::Link* link = untouched.link(held.interface);
        if (held.interface == order.machine.interface || link == nullptr ||
            has_no_neighbours(*link, untouched))
            continue;
        refusals.push_back(fmt::format(
            "{} is an address of {}, too, which answers {} for it and takes it from the director; "
            "ip address del {} dev {}",
            held.address.to_string(), held.interface, held.address.is_v4() ? "ARP" : "ND",
            with_length(held.address), held.interface));
    }
}

void judge_input(const core::DnsProcess& process, const Order& order, const Actual& untouched,
                 Wishes& wishes) {
    if (std::ranges::find(wishes.tunnels, process.input, &netlink::TunnelDevice::name) !=
        wishes.tunnels.end())
        return;  // ours, made before anything needs it
    const netlink::Link* input = untouched.link(process.input);
    if (input == nullptr) {
        wishes.refusals.push_back(fmt::format("process {}: the interface {} does not exist; {}",
                                              process.name, process.input,
                                              how_to_make(process.input)));
        return;
    }
    const auto master = std::ranges::find(untouched.links, input->master, &netlink::Link::index);
    if (input->master != 0 && input->port_kind != "vrf" && master != untouched.links.end())
        wishes.refusals.push_back(
            fmt::format("process {}: {} is a port of {}, by which its packets come in; write "
                        "`input {}`",
                        process.name, process.input, master->name, master->name));
    if (!input->up)
        wishes.notes.push_back(fmt::format("process {}: {} is down; ip link set dev {} up",
                                           process.name, process.input, process.input));
    const std::string path = path_of("ipv6", process.input, "disable_ipv6");
    if (std::ranges::any_of(order.machine.service_ips, &IpAddress::is_v6) &&
        untouched.number(path).value_or(0) != 0)
        wishes.notes.push_back(fmt::format(
            "process {}: IPv6 is off on {}, so that nothing comes in for the service IPs of IPv6; "
            "sysctl -w {}=0",
            process.name, process.input, sysctl_name(path)));
}

bool is_local(const IpAddress& address, const Actual& untouched) {
    return std::ranges::find(untouched.addresses, address, &HeldAddress::address) !=
           untouched.addresses.end();
}

}  // namespace

void refuse_unfit(const Order& order, const Actual& untouched, Wishes& wishes) {
    judge_holder(order, untouched, wishes.refusals);
    judge_strays(order, untouched, wishes.refusals);
    for (const core::DnsProcess& process : order.machine.processes) {
        judge_input(process, order, untouched, wishes);
        for (const Endpoint& listen : process.listen)
            if (!is_local(listen.address, untouched))
                wishes.notes.push_back(fmt::format(
                    "process {} listens on {}, which is no address of this machine: nothing gets "
                    "there; ip address add {}/… dev {}",
                    process.name, listen.to_string(), listen.address.to_string(), process.input));
    }
    for (const IpAddress& end : order.machine.tunnel_ends)
        if (!is_local(end, untouched))
            wishes.refusals.push_back(fmt::format(
                "tunnel {}: no address of this machine, so that no tunnel can end there; write the "
                "`address` that this machine has as a real_server",
                end.to_string()));
}

}  // namespace dnsdirector::realserver
