// SPDX-License-Identifier: Apache-2.0
#include "realserver/wishes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "realserver/withheld.h"

namespace dnsdirector::realserver {
namespace {

constexpr std::uint32_t usual_mtu = 1500;
constexpr std::uint32_t outer_header(Family family) {
    return family == Family::ipv4 ? 20 : 40;
}

/// What comes in by the interface of the tunnel's end, without the outer header.
std::uint32_t mtu_of(const IpAddress& end, const Actual& untouched) {
    std::uint32_t mtu = usual_mtu;
    for (const HeldAddress& held : untouched.addresses)
        if (held.address == end)
            if (const netlink::Link* link = untouched.link(held.interface);
                link != nullptr && !link->loopback && link->mtu != 0)
                mtu = link->mtu;
    return mtu - outer_header(end.family());
}

void wish_tunnels(const Order& order, const Actual& untouched, Wishes& wishes) {
    std::array<int, 2> count{};
    for (const IpAddress& end : order.machine.tunnel_ends) {
        const Family family = end.family();
        const int number = count[family == Family::ipv4 ? 0 : 1]++;
        const auto same = std::ranges::find(untouched.tunnels, end, &netlink::TunnelDevice::local);
        if (same != untouched.tunnels.end()) {
            // Two devices can't have the same ends; somebody else's serves as well.
            if (!same->up)
                wishes.refusals.push_back(
                    fmt::format("tunnel {}: {} takes its packets, and is down; ip link set dev {} "
                                "up, or remove it",
                                end.to_string(), same->name, same->name));
            continue;
        }
        std::string name = family == Family::ipv4 ? "dnsd4" : "dnsd6";
        if (number > 0) name += fmt::format("-{}", number + 1);
        if (untouched.link(name) != nullptr)
            wishes.refusals.push_back(fmt::format(
                "tunnel {}: there is a device {} already, of another kind or another end; ip link "
                "del dev {}, or rename it",
                end.to_string(), name, name));
        wishes.tunnels.push_back({name, end, mtu_of(end, untouched), true});
    }
}

/// One address within a prefix: not the first, which may be the network's broadcast address.
IpAddress within(const core::Prefix& prefix) {
    if (prefix.length + 1 >= prefix.address.host_prefix_length()) return prefix.address;
    auto bytes = prefix.address.bytes();
    ++bytes[prefix.address.size() - 1];
    if (prefix.address.is_v6()) return IpAddress::from_v6(bytes);
    return IpAddress::from_v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

}  // namespace

std::vector<IpAddress> clients_among(const std::vector<core::Prefix>& prefixes) {
    std::vector<IpAddress> clients;
    for (const core::Prefix& prefix : prefixes)
        if (prefix.address.is_v4()) clients.push_back(within(prefix));
    return clients;
}

std::vector<IpAddress> clients_of(const core::RealServerMachine& machine) {
    std::vector<IpAddress> clients = {any_client()};
    const auto add = [&](const std::vector<core::Prefix>& prefixes) {
        for (const IpAddress& client : clients_among(prefixes))
            clients.push_back(client);
    };
    for (const core::DnsProcess& process : machine.processes)
        add(process.from);
    add(machine.tunnel_from);
    return clients;
}

IpAddress any_client() {
    // Of the former class E: no network has a route of its own for it, so that the kernel's
    // answer is the way to everybody who is not in a nearer network.
    return IpAddress::from_v4({240, 0, 0, 1});
}

Order order_of(const core::Configuration& file) {
    Order order;
    order.machine = *file.real_server_machine;
    for (const core::Service& service : file.services)
        for (const core::RealServer& server : service.real_servers)
            order.real_servers.push_back(server.endpoint.address);
    return order;
}

Wishes wishes_of(const Order& order, const Actual& untouched) {
    Wishes wishes;
    for (const IpAddress& address : order.machine.service_ips)
        if (!order.withheld.contains(address) || !goes_when_withheld(order.machine))
            wishes.addresses.push_back({order.machine.interface, address});
    wish_tunnels(order, untouched, wishes);
    wish_quiet(order, untouched, wishes);
    wish_reverse_path(order, untouched, wishes);
    wishes.ruleset = ruleset_of(order.machine, order.withheld);
    refuse_unfit(order, untouched, wishes);
    return wishes;
}

}  // namespace dnsdirector::realserver
