// SPDX-License-Identifier: Apache-2.0
//
// The settings of the kernel's network, and IPVS.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/prefix.h"
#include "dataplane/ipvs/surroundings.h"
#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

/// The larger of `all` and the interface's own counts (Documentation/networking/ip-sysctl.rst).
struct Effective {
    long value = 0;
    std::string where;  ///< "all" or the interface
};
std::optional<Effective> effective(const Scene& scene, const std::string& interface,
                                   const std::string& name) {
    const auto all = scene.machine().setting("ipv4/conf/all/" + name);
    const auto own = scene.machine().setting("ipv4/conf/" + interface + "/" + name);
    if (!all || !own) return std::nullopt;
    return *all > *own ? Effective{*all, "all"} : Effective{*own, interface};
}

/// sysctl(8) takes names with dots (eth1.105) between slashes.
std::string sysctl(const std::string& where, const std::string& name, int value) {
    return where.find('.') == std::string::npos
               ? fmt::format("sysctl -w net.ipv4.conf.{}.{}={}", where, name, value)
               : fmt::format("sysctl -w net/ipv4/conf/{}/{}={}", where, name, value);
}

/// Where clients' packets arrive: those that lead to servers are named for XDP's sake, too.
std::vector<const Interface*> arrivals(const Scene& scene) {
    std::vector<const Interface*> front;
    for (const Interface* each : scene.attached())
        if (!scene.server_interfaces().contains(each->link.index)) front.push_back(each);
    return front.empty() ? scene.attached() : front;
}

void reverse_path(Scene& scene) {
    constexpr long strict = 1;
    for (const Interface* each : arrivals(scene)) {
        const std::string& name = each->link.name;
        const auto filter = effective(scene, name, "rp_filter");
        if (!filter) {
            scene.unknown("reverse-path", name, "rp_filter cannot be read",
                          "sysctl net.ipv4.conf.all.rp_filter");
            continue;
        }
        const auto& way_back = scene.machine().default_route;
        if (filter->value != strict || way_back == each->link.index) {
            scene.ok("reverse-path", name,
                     filter->value == strict ? "strict, and the way back is the same interface"
                                             : "not strict");
            continue;
        }
        const Interface* other = way_back ? scene.machine().interface(*way_back) : nullptr;
        const std::string text = fmt::format(
            "rp_filter is strict, and {}: the kernel drops, in silence, clients' packets that {}",
            other != nullptr ? "the way back to clients is by " + other->link.name
                             : "there is no default route back to clients",
            scene.ipvs() ? "IPVS should forward" : "the program leaves to it (no server up, ICMP)");
        const std::string mend = sysctl(filter->where, "rp_filter", 2);
        if (scene.ipvs())
            scene.fail("reverse-path", name, text, mend);
        else
            scene.warn("reverse-path", name, text, mend);
    }
}

/// The interface in whose network a service IP lies, so that neighbours ask for it there.
const Interface* network_of(const Scene& scene, const IpAddress& address) {
    for (const netlink::InterfaceAddress& network : scene.machine().addresses)
        if (network.prefix_length != network.address.host_prefix_length() &&
            network.prefix_length != 0 &&
            core::Prefix{network.address, network.prefix_length}.contains(address))
            if (const Interface* found = scene.machine().interface(network.interface);
                found != nullptr && !found->link.loopback)
                return found;
    return nullptr;
}

void arp_for(Scene& scene, const IpAddress& address, const Interface& asked_on) {
    const std::string& name = asked_on.link.name;
    const std::string about = address.to_string();
    const auto ignore = effective(scene, name, "arp_ignore");
    const bool held_there = scene.configuration().director.service_interface == name;
    constexpr long never = 8;
    if (!ignore)
        return scene.unknown("arp", about, "arp_ignore cannot be read",
                             "sysctl net.ipv4.conf.all.arp_ignore");
    if (ignore->value >= never || (ignore->value != 0 && !held_there))
        return scene.fail(
            "arp", about,
            fmt::format("is in the network of {}, and arp_ignore={} there keeps this "
                        "machine from answering for it (that is the setting of real "
                        "servers)",
                        name, ignore->value),
            sysctl(ignore->where, "arp_ignore", 0) + ", or service_interface " + name);
    scene.ok("arp", about, "is answered for on " + name);
}

void nd_for(Scene& scene, const IpAddress& address, const Interface& asked_on) {
    const std::string& name = asked_on.link.name;
    const std::string& holder = scene.configuration().director.service_interface;
    if (holder == name) return scene.ok("arp", address.to_string(), "is answered for on " + name);
    scene.fail(
        "arp", address.to_string(),
        fmt::format("is in the network of {}, and held by {}: the kernel answers ND only for "
                    "addresses of the interface that is asked",
                    name, holder),
        "service_interface " + name + " in the director block, or a route to it in the router");
}

void arp(Scene& scene) {
    std::set<IpAddress> service_ips;
    for (const core::Service& service : scene.configuration().services)
        if (service.key.fwmark == 0) service_ips.insert(service.key.address);
    std::vector<std::string> routed;
    for (const IpAddress& address : service_ips) {
        const Interface* asked_on = network_of(scene, address);
        if (asked_on == nullptr)
            routed.push_back(address.to_string());
        else if (address.is_v4())
            arp_for(scene, address, *asked_on);
        else
            nd_for(scene, address, *asked_on);
    }
    if (!routed.empty())
        scene.ok("arp", few_of(routed),
                 "in no network of this machine: the router needs a route there by this machine's "
                 "own address");
}

void service_interface(Scene& scene) {
    const std::string& name = scene.configuration().director.service_interface;
    const Interface* found = scene.machine().interface(name);
    if (found == nullptr)
        return scene.fail("service-interface", name, "does not exist: nobody holds the service IPs",
                          "service_interface lo in the director block");
    if (!found->link.up)
        return scene.fail("service-interface", name, "is down: its addresses do not count",
                          "ip link set dev " + name + " up");
    scene.ok("service-interface", name, "is up");
}

/// Servers that need an entry of their own, of one family.
std::size_t neighbours_of(const Scene& scene, Family family) {
    return static_cast<std::size_t>(
        std::ranges::count_if(scene.machine().ways, [&](const auto& entry) {
            const auto& [address, way] = entry;
            return address.family() == family && way.route &&
                   way.route->type == netlink::Route::Type::unicast && !way.route->gateway;
        }));
}

void table_size(Scene& scene, const char* family, const netlink::NeighbourTable& table,
                std::size_t servers) {
    // Others' entries, those of routers and of who else talks to this machine, go on.
    constexpr std::uint64_t for_others = 256;
    constexpr std::uint64_t least = 1024;
    const std::uint64_t wanted = servers + for_others;
    const auto sizes = fmt::format("{} servers, {} entries now, room for {}", servers,
                                   table.entries, table.hard_limit);
    if (table.hard_limit >= wanted && table.hard_limit > table.entries)
        return scene.ok("neighbour-table", family, sizes);
    const std::uint64_t enough = std::max<std::uint64_t>(4 * least, 2 * wanted);
    // It is the first network namespace's to set, for all of them.
    scene.fail(
        "neighbour-table", family, sizes + ": servers beyond that are not reached",
        fmt::format("sysctl -w net.{0}.neigh.default.gc_thresh3={1} "
                    "net.{0}.neigh.default.gc_thresh2={2}",
                    family == std::string_view{"IPv4"} ? "ipv4" : "ipv6", enough, enough / 2));
}

void neighbour_table(Scene& scene) {
    const auto& tables = scene.machine().neighbour_tables;
    if (!tables)
        return scene.unknown("neighbour-table", "", "its size cannot be read", "ip ntable show");
    table_size(scene, "IPv4", tables->arp, neighbours_of(scene, Family::ipv4));
    table_size(scene, "IPv6", tables->nd, neighbours_of(scene, Family::ipv6));
}

// ---- IPVS -----------------------------------------------------------------------

void ipvs_module(Scene& scene) {
    const IpvsModules& modules = scene.machine().ipvs;
    if (modules.loaded) return scene.ok("ipvs-module", "", "the kernel has IPVS");
    const auto available = modules.available("ip_vs");
    if (available && !*available)
        return scene.fail(
            "ipvs-module", "", "this kernel has no IPVS, and no module ip_vs",
            "a kernel with CONFIG_IP_VS (apt install linux-image-amd64), or dataplane "
            "xdp");
    if (available)
        return scene.ok("ipvs-module", "", "the module ip_vs is there, and loaded when asked for");
    scene.fail("ipvs-module", "", "IPVS is not loaded, and where its module is cannot be told",
               "modprobe ip_vs; echo ip_vs > /etc/modules-load.d/ipvs.conf");
}

void ipvs_scheduler(Scene& scene) {
    std::set<std::string> wanted;
    for (const core::Service& service : scene.configuration().services)
        wanted.insert(fmt::format("ip_vs_{}", core::to_string(service.scheduler)));
    for (const std::string& module : wanted) {
        const auto available = scene.machine().ipvs.available(module);
        if (!available)
            scene.unknown("ipvs-scheduler", module, "whether the kernel has it cannot be told",
                          "modprobe " + module);
        else if (*available)
            scene.ok("ipvs-scheduler", module, "is there");
        else
            scene.fail("ipvs-scheduler", module, "this kernel does not have the scheduler's module",
                       "another lb_algo, or a kernel with it");
    }
}

/// The plane's own rules; the mend stands behind the last semicolon.
void ipvs_settings(Scene& scene) {
    const auto findings =
        dataplane::ipvs::judge_surroundings(scene.configuration(), scene.machine().setting);
    for (const std::string& finding : findings) {
        const std::size_t at = finding.rfind("; ");
        scene.warn("ipvs-settings", "", finding.substr(0, at),
                   at == std::string::npos ? "" : finding.substr(at + 2));
    }
    if (findings.empty()) scene.ok("ipvs-settings", "", "fit the configuration");
}

constexpr Judge judges[] = {
    {"service-interface", "what holds the service IPs is there", Judge::a_forwarding_plane,
     service_interface},
    {"arp", "this machine answers for service IPs in its networks", Judge::a_forwarding_plane, arp},
    {"reverse-path", "no strict reverse-path filter where the way back is another",
     Judge::a_forwarding_plane, reverse_path},
    {"neighbour-table", "room for all servers", Judge::a_forwarding_plane, neighbour_table},
    {"ipvs-module", "the kernel has IPVS", Judge::an_ipvs_plane, ipvs_module},
    {"ipvs-scheduler", "and the schedulers", Judge::an_ipvs_plane, ipvs_scheduler},
    {"ipvs-settings", "sysctls by which flows follow a change of servers; ip_forward for NAT",
     Judge::an_ipvs_plane, ipvs_settings},
};

}  // namespace

std::span<const Judge> network_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
