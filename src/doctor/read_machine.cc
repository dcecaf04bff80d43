// SPDX-License-Identifier: Apache-2.0
//
// The machine's own state as a value. Whatever cannot be read is left out: the
// judges say what they did not see.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "dataplane/ipvs/surroundings.h"
#include "doctor/machine.h"
#include "doctor/readers.h"

namespace dnsdirector::doctor {
namespace {

std::string kernel_release() {
    utsname name{};
    return uname(&name) == 0 ? name.release : "";
}

/// The value behind a word at the start of a line, as in /proc/meminfo.
template <typename Number>
std::optional<Number> value_in(const std::string& path, const std::string& key, int base) {
    std::ifstream file{path};
    std::string line;
    while (std::getline(file, line)) {
        if (!line.starts_with(key)) continue;
        try {
            return static_cast<Number>(std::stoull(line.substr(key.size()), nullptr, base));
        } catch (const std::exception&) {
            return std::nullopt;
        }
    }
    return std::nullopt;
}

std::vector<Interface> read_interfaces(const std::vector<netlink::Link>& links) {
    const auto features = netlink::xdp_features();
    std::vector<Interface> interfaces;
    for (const netlink::Link& link : links) {
        Interface& interface = interfaces.emplace_back();
        interface.link = link;
        interface.settings = netlink::device_settings(link.name);
        if (features && *features)
            if (const auto found = (*features)->find(link.index); found != (*features)->end())
                interface.xdp_features = found->second;
        interface.interrupts = read_interrupts(link);
        if (link.xdp_program_id != 0)
            interface.program = dataplane::loaded_program(link.xdp_program_id);
    }
    return interfaces;
}

std::map<IpAddress, Way> read_ways(const core::Configuration& configuration,
                                   netlink::Socket& socket) {
    std::map<std::pair<int, IpAddress>, netlink::Neighbour> known;
    if (const auto neighbours = socket.neighbours())
        for (const netlink::Neighbour& neighbour : *neighbours)
            known[{neighbour.interface, neighbour.address}] = neighbour;
    std::map<IpAddress, Way> ways;
    for (const core::Service& service : configuration.services)
        for (const core::RealServer& server : service.real_servers) {
            const auto [at, fresh] = ways.try_emplace(server.endpoint.address);
            if (!fresh) continue;
            Way& way = at->second;
            way.route = socket.route_to(server.endpoint.address);
            if (!way.route) continue;
            const auto found = known.find({way.route->out_interface, at->first});
            if (found != known.end()) way.neighbour = found->second;
        }
    return ways;
}

/// The way that packets to the rest of the world take; of several the best.
std::optional<int> read_default_route(const std::vector<netlink::Link>& links) {
    std::ifstream file{"/proc/self/net/route"};
    std::string line;
    std::getline(file, line);
    std::string best;
    long best_metric = 0;
    while (std::getline(file, line)) {
        std::istringstream words{line};
        std::string name, destination, gateway, flags, references, use, mask;
        long metric = 0;
        words >> name >> destination >> gateway >> flags >> references >> use >> metric >> mask;
        if (!words || destination != "00000000" || mask != "00000000") continue;
        if (!best.empty() && best_metric <= metric) continue;
        best = name;
        best_metric = metric;
    }
    const auto found = std::ranges::find(links, best, &netlink::Link::name);
    if (best.empty() || found == links.end()) return std::nullopt;
    return found->index;
}

}  // namespace

const Interface* Machine::interface(int index) const {
    const auto found = std::ranges::find_if(
        interfaces, [&](const Interface& each) { return each.link.index == index; });
    return found == interfaces.end() ? nullptr : &*found;
}

const Interface* Machine::interface(const std::string& name) const {
    const auto found = std::ranges::find_if(
        interfaces, [&](const Interface& each) { return each.link.name == name; });
    return found == interfaces.end() ? nullptr : &*found;
}

bool Machine::holds(const IpAddress& address) const {
    return std::ranges::find(addresses, address, &netlink::InterfaceAddress::address) !=
           addresses.end();
}

Result<Machine> read_machine(const core::Configuration* configuration, const Places& places) {
    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    const auto links = (*socket)->links();
    if (!links) return tl::unexpected(links.error());

    Machine machine;
    machine.kernel = kernel_release();
    machine.cpus = static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    machine.capabilities = value_in<std::uint64_t>("/proc/self/status", "CapEff:", 16).value_or(0);
    if (const auto kilobytes = value_in<std::uint64_t>("/proc/meminfo", "MemAvailable:", 10))
        machine.memory_available = *kilobytes * 1024;
    machine.interfaces = read_interfaces(*links);
    machine.addresses = (*socket)->addresses().value_or(std::vector<netlink::InterfaceAddress>{});
    if (configuration != nullptr) machine.ways = read_ways(*configuration, **socket);
    if (const auto tables = netlink::neighbour_tables()) machine.neighbour_tables = *tables;
    machine.default_route = read_default_route(*links);
    if (configuration == nullptr || configuration->director.dataplane == core::DataPlaneKind::xdp)
        machine.trial = dataplane::try_xdp_program();
    machine.pin_dir = places.pin_dir;
    machine.pins = dataplane::pin_place(places.pin_dir);
    machine.run = read_run_place(places.run_dir);
    machine.run.director_answers = places.director_answers;
    machine.listening = read_listening();
    machine.setting = dataplane::ipvs::read_setting;
    if (configuration != nullptr && configuration->bgp)
        machine.announcing = read_announcing(*configuration->bgp, places.run_dir, **socket);
    machine.ipvs = read_ipvs_modules(machine.kernel);
    return machine;
}

}  // namespace dnsdirector::doctor
