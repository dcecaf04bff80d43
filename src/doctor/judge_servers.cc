// SPDX-License-Identifier: Apache-2.0
//
// The ways to the real servers. Ten thousand servers with one trouble are one line.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

using core::ForwardingMethod;
using netlink::Route;

/// By address: how it is reached. A server in several services may be reached in several ways.
std::map<IpAddress, std::set<ForwardingMethod>> methods_of(
    const core::Configuration& configuration) {
    std::map<IpAddress, std::set<ForwardingMethod>> methods;
    for (const core::Service& service : configuration.services)
        for (const core::RealServer& server : service.real_servers)
            methods[server.endpoint.address].insert(server.method.value_or(service.method));
    return methods;
}

/// Servers with the same trouble.
class Groups {
public:
    void add(const std::string& trouble, const std::string& mend, const IpAddress& server) {
        groups_[{trouble, mend}].push_back(server.to_string());
    }
    template <typename Say>
    void say(const Say& say) const {
        for (const auto& [key, servers] : groups_)
            say(few_of(servers), key.first, key.second);
    }
    [[nodiscard]] bool empty() const { return groups_.empty(); }

private:
    std::map<std::pair<std::string, std::string>, std::vector<std::string>> groups_;
};

std::string count_of(std::size_t servers) {
    return fmt::format("{} server{}", servers, servers == 1 ? "" : "s");
}

void route(Scene& scene) {
    Groups groups;
    std::size_t fine = 0;
    for (const auto& [address, way] : scene.machine().ways) {
        if (!way.route)
            groups.add("no route leads there", "ip route add, or an address in its network",
                       address);
        else if (way.route->type == Route::Type::other)
            groups.add("the route leads nowhere (blackhole, unreachable or prohibit)",
                       "ip route get " + address.to_string(), address);
        else
            ++fine;
    }
    groups.say([&](const std::string& servers, const std::string& text, const std::string& mend) {
        scene.fail("route", servers, text, mend);
    });
    if (fine != 0) scene.ok("route", "", count_of(fine) + " reached by a route");
}

void gateway(Scene& scene) {
    Groups groups;
    std::size_t fine = 0;
    const auto methods = methods_of(scene.configuration());
    for (const auto& [address, way] : scene.machine().ways) {
        if (!way.route || way.route->type != Route::Type::unicast) continue;
        const auto method = methods.find(address);
        const bool direct =
            method != methods.end() && method->second.contains(ForwardingMethod::dr);
        if (way.route->gateway && direct)
            groups.add(fmt::format("behind gateway {}: direct routing (lb_kind DR) needs it in a "
                                   "network of this machine",
                                   way.route->gateway->to_string()),
                       scene.xdp()
                           ? "lb_kind TUN, or an address in the server's network; dataplane "
                             "ipvs has TUN and NAT"
                           : "lb_kind TUN or NAT, or an address in the server's network",
                       address);
        else
            ++fine;
    }
    groups.say([&](const std::string& servers, const std::string& text, const std::string& mend) {
        scene.fail("gateway", servers, text, mend);
    });
    if (groups.empty() && fine != 0)
        scene.ok("gateway", "", count_of(fine) + " reached as the method needs it");
}

/// Whether the kernel would send to it now: valid states of linux/neighbour.h.
void neighbours(Scene& scene) {
    Groups silent;
    std::vector<std::string> not_asked;
    std::size_t resolved = 0;
    for (const auto& [address, way] : scene.machine().ways) {
        if (!way.route || way.route->type != Route::Type::unicast || way.route->gateway) continue;
        const Interface* interface = scene.machine().interface(way.route->out_interface);
        const std::string by = interface != nullptr ? interface->link.name : "?";
        if (way.neighbour && way.neighbour->mac) {
            ++resolved;
        } else if (way.neighbour && way.neighbour->failed) {
            silent.add(
                fmt::format("no {} answer on {}", address.is_v4() ? "ARP" : "ND", by),
                fmt::format("arping or ping it by {}: its cable, VLAN, address, or a firewall", by),
                address);
        } else {
            not_asked.push_back(address.to_string());
        }
    }
    silent.say([&](const std::string& servers, const std::string& text, const std::string& mend) {
        scene.fail("neighbour", servers, text, mend);
    });
    if (!not_asked.empty())
        scene.unknown("neighbour", few_of(not_asked),
                      "nobody has asked for its MAC address yet, and asking would change the "
                      "neighbour table",
                      "ping -c1 " + not_asked.front());
    if (resolved != 0) scene.ok("neighbour", "", count_of(resolved) + " with a known MAC address");
}

/// Servers behind an interface that the program is not attached to.
void egress(Scene& scene) {
    if (scene.configuration().director.interfaces.empty()) return;
    for (const int index : scene.server_interfaces()) {
        const Interface* interface = scene.machine().interface(index);
        if (interface == nullptr || interface->link.loopback) continue;
        const bool attached = std::ranges::count(scene.attached(), interface) != 0;
        const bool takes =
            interface->xdp_features && (*interface->xdp_features & netlink::xdp_transmit) != 0;
        const bool generic = scene.configuration().director.xdp_mode == core::XdpMode::generic;
        if (attached || takes || generic)
            scene.ok("egress", interface->link.name, "sends to servers");
        else
            scene.warn("egress", interface->link.name,
                       "leads to servers and is not among the director's interfaces: many drivers "
                       "send for XDP only where a program is attached",
                       "interface " + interface->link.name + " in the director block, too");
    }
}

constexpr Judge judges[] = {
    {"route", "a route to each server", Judge::a_forwarding_plane, route},
    {"gateway", "no gateway before servers of direct routing", Judge::a_forwarding_plane, gateway},
    {"neighbour", "each server's MAC address", Judge::an_xdp_plane, neighbours},
    {"egress", "the program is attached where servers are reached", Judge::an_xdp_plane, egress},
};

}  // namespace

std::span<const Judge> server_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
