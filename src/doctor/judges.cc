// SPDX-License-Identifier: Apache-2.0
#include "doctor/judges.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace dnsdirector::doctor {
namespace {

const core::Configuration no_file;

bool is_ethernet(const netlink::Link& link) {
    return !link.loopback && link.mac != netlink::Mac{};
}

bool concerns(const Judge& judge, const Scene& scene) {
    switch (judge.needs) {
        case Judge::an_xdp_plane: return scene.xdp();
        case Judge::an_ipvs_plane: return scene.ipvs();
        case Judge::a_forwarding_plane: return scene.xdp() || scene.ipvs();
        case Judge::anything: break;
    }
    return true;
}

}  // namespace

Scene::Scene(const core::Configuration* configuration, const Machine& machine)
    : configuration_(configuration != nullptr ? configuration : &no_file),
      machine_(machine),
      has_file_(configuration != nullptr) {
    find_interfaces();
}

void Scene::find_interfaces() {
    for (const auto& [address, way] : machine_.ways)
        if (way.route && way.route->type == netlink::Route::Type::unicast)
            if (const Interface* port = port_of(machine_.interface(way.route->out_interface)))
                server_interfaces_.insert(port->link.index);
    const auto& named = configuration_->director.interfaces;
    std::set<int> wanted;
    for (const std::string& name : named)
        if (const Interface* port = port_of(machine_.interface(name)))
            wanted.insert(port->link.index);
    for (const Interface& interface : machine_.interfaces) {
        const netlink::Link& link = interface.link;
        const bool here =
            !named.empty() ? wanted.contains(link.index)
            : has_file_    ? server_interfaces_.contains(link.index)
                           : is_ethernet(link) && link.up && link.master == 0 && link.vlan_id == 0;
        if (here) attached_.push_back(&interface);
    }
}

/// A VLAN device's packets pass the program on the device below it.
const Interface* Scene::port_of(const Interface* interface) const {
    constexpr int deepest = 8;
    for (int depth = 0; depth < deepest && interface != nullptr; ++depth) {
        if (interface->link.vlan_id == 0) break;
        const Interface* below = machine_.interface(interface->link.lower);
        if (below == nullptr) break;
        interface = below;
    }
    return interface;
}

void Scene::ok(std::string_view check, std::string about, std::string text) {
    findings_.push_back({Level::ok, std::string{check}, std::move(about), std::move(text), ""});
}
void Scene::unknown(std::string_view check, std::string about, std::string text, std::string mend) {
    findings_.push_back(
        {Level::unknown, std::string{check}, std::move(about), std::move(text), std::move(mend)});
}
void Scene::warn(std::string_view check, std::string about, std::string text, std::string mend) {
    findings_.push_back(
        {Level::warn, std::string{check}, std::move(about), std::move(text), std::move(mend)});
}
void Scene::fail(std::string_view check, std::string about, std::string text, std::string mend) {
    findings_.push_back(
        {Level::fail, std::string{check}, std::move(about), std::move(text), std::move(mend)});
}

Findings judge(const core::Configuration* configuration, const Machine& machine) {
    Scene scene{configuration, machine};
    for (const auto& judges : {machine_judges(), place_judges(), interface_judges(),
                               network_judges(), server_judges(), announcement_judges()})
        for (const Judge& each : judges)
            if (concerns(each, scene)) each.look(scene);
    return scene.take();
}

std::string few_of(const std::vector<std::string>& names) {
    constexpr std::size_t few = 3;
    if (names.size() <= few + 1) return fmt::format("{}", fmt::join(names, ", "));
    return fmt::format("{} and {} more", fmt::join(names.begin(), names.begin() + few, ", "),
                       names.size() - few);
}

}  // namespace dnsdirector::doctor
