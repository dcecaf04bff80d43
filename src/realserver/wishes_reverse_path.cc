// SPDX-License-Identifier: Apache-2.0
//
// That the kernel takes clients' packets although it answers by another way (rp_filter,
// RFC 3704), by the rules of __fib_validate_source() (net/ipv4/fib_frontend.c). The effective
// value is the larger of `all` and the interface's own:
//
// - The way back is by the interface that a packet came in on: any value takes it.
// - Else 1 (strict) drops it; 2 (loose) takes it where the interface has an IPv4 address of its
//   own, and drops it where it has none, as tunnels and some VLANs; 0 takes it.
//
// accept_local has no part in it: it lets packets in whose *source* is an address of this
// machine. Clients' packets have the client's; of the service IPs' own no question can come from
// outside that this machine could answer outwards. IPv6 has no such filter but by nftables.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "realserver/wishes.h"

namespace dnsdirector::realserver {
namespace {

constexpr long strict = 1;
constexpr long loose = 2;
constexpr long unknown = -1;

/// A device that packets come in on, and who sends them.
struct Arrival {
    std::string interface;
    std::vector<IpAddress> clients;
};

bool has_own_v4(const std::string& interface, const Actual& untouched) {
    return std::ranges::any_of(untouched.addresses, [&](const HeldAddress& held) {
        return held.interface == interface && held.address.is_v4();
    });
}

/// A bridge with containers or virtual machines of this host behind it and nothing else.
bool is_of_guests(const netlink::Link& link, const Actual& untouched) {
    return link.kind == "bridge" &&
           std::ranges::all_of(untouched.links, [&](const netlink::Link& other) {
               return other.master != link.index || other.kind == "veth" || other.kind == "tun";
           });
}

/// Where nothing says by which interface the director reaches this machine, each that could be.
std::vector<std::string> possible_inputs(const Order& order, const Actual& untouched) {
    std::vector<std::string> named;
    for (const HeldAddress& held : untouched.addresses)
        if (std::ranges::find(order.real_servers, held.address) != order.real_servers.end())
            named.push_back(held.interface);
    if (!named.empty()) return named;
    for (const netlink::Link& link : untouched.links)
        if (link.up && !has_no_neighbours(link, untouched) && !is_of_guests(link, untouched) &&
            has_own_v4(link.name, untouched))
            named.push_back(link.name);
    return named;
}

std::vector<Arrival> arrivals_of(const Order& order, const Actual& untouched,
                                 const Wishes& wishes) {
    const core::RealServerMachine& machine = order.machine;
    std::vector<Arrival> arrivals;
    const auto add = [&](const std::string& interface, const std::vector<core::Prefix>& from) {
        std::vector<IpAddress> clients = clients_among(from);
        if (clients.empty()) clients.push_back(any_client());
        arrivals.push_back({interface, std::move(clients)});
    };
    const bool serves_v4 = std::ranges::any_of(machine.service_ips, &IpAddress::is_v4);
    if (serves_v4) {
        for (const core::DnsProcess& process : machine.processes)
            add(process.input, process.from);
        if (machine.processes.empty() && machine.tunnel_ends.empty())
            for (const std::string& interface : possible_inputs(order, untouched))
                add(interface, {});
        for (const netlink::TunnelDevice& tunnel : wishes.tunnels)
            if (tunnel.local.is_v4()) add(tunnel.name, {});
        for (const netlink::TunnelDevice& tunnel : untouched.tunnels)
            if (std::ranges::find(machine.tunnel_ends, tunnel.local) != machine.tunnel_ends.end() &&
                tunnel.local.is_v4())
                add(tunnel.name, {});
    }
    // The outer packets, where the file says who sends them.
    if (clients_among(machine.tunnel_from).empty()) return arrivals;
    for (const HeldAddress& held : untouched.addresses)
        if (held.address.is_v4() &&
            std::ranges::find(machine.tunnel_ends, held.address) != machine.tunnel_ends.end())
            add(held.interface, machine.tunnel_from);
    return arrivals;
}

/// Whether a reply to somebody of them goes by another way than they came. To whom there is no
/// way at all nobody can reply, and no filter is to blame.
bool answers_elsewhere(const Arrival& arrival, const Actual& untouched) {
    const netlink::Link* link = untouched.link(arrival.interface);
    return std::ranges::any_of(arrival.clients, [&](const IpAddress& client) {
        const auto way = untouched.ways.find(client);
        return way != untouched.ways.end() && (link == nullptr || way->second != link->index);
    });
}

struct Filter {
    long own = 0;     ///< the interface's value, or `unknown`
    long wished = 0;  ///< the effective one
};

class ReversePath {
public:
    ReversePath(const Actual& untouched, Wishes& wishes) : untouched_(untouched), wishes_(wishes) {
        all_ = number("all").value_or(0);
        for (const netlink::Link& link : untouched.links)
            if (!link.loopback)
                if (const auto own = number(link.name))
                    filters_[link.name] = {*own, std::max(all_, *own)};
    }

    void open_for(const Arrival& arrival) {
        if (!answers_elsewhere(arrival, untouched_)) return;
        // Our own device, yet to be made: whatever it begins with, the value is ours.
        if (std::ranges::find(wishes_.tunnels, arrival.interface, &netlink::TunnelDevice::name) !=
            wishes_.tunnels.end())
            filters_.try_emplace(arrival.interface, Filter{unknown, 0});
        const auto found = filters_.find(arrival.interface);
        if (found == filters_.end()) return;  // has no IPv4
        Filter& filter = found->second;
        if (!has_own_v4(arrival.interface, untouched_))
            filter.wished = 0;
        else if (filter.wished == strict)
            filter.wished = loose;
    }

    void wish() {
        const bool any_off =
            std::ranges::any_of(filters_, [](const auto& each) { return each.second.wished == 0; });
        if (all_ == 0 || !any_off) {
            for (const auto& [interface, filter] : filters_)
                if (filter.own == unknown || std::max(all_, filter.own) != filter.wished)
                    set(interface, filter.wished);
            return;
        }
        // `all` allows no interface to be without the filter: each other one gets for its own
        // what it had by `all`, first.
        for (const bool off : {false, true}) {
            for (const auto& [interface, filter] : filters_)
                if ((filter.wished == 0) == off && filter.own != filter.wished)
                    set(interface, filter.wished);
            if (!off) set("all", 0);
        }
    }

private:
    [[nodiscard]] std::optional<long> number(const std::string& interface) const {
        return untouched_.number(path_of("ipv4", interface, "rp_filter"));
    }
    void set(const std::string& interface, long value) {
        wishes_.settings.emplace_back(path_of("ipv4", interface, "rp_filter"),
                                      std::to_string(value));
    }

    const Actual& untouched_;
    Wishes& wishes_;
    long all_ = 0;
    std::map<std::string, Filter> filters_;
};

}  // namespace

void wish_reverse_path(const Order& order, const Actual& untouched, Wishes& wishes) {
    ReversePath filter(untouched, wishes);
    for (const Arrival& arrival : arrivals_of(order, untouched, wishes))
        filter.open_for(arrival);
    filter.wish();
}

}  // namespace dnsdirector::realserver
