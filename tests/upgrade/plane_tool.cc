// SPDX-License-Identifier: Apache-2.0
//
// usage: plane_tool [--flows MOST] PIN_DIR INTERFACE… [< FORWARDING]
//        plane_tool --stop PIN_DIR INTERFACE…
//
// Starts the XDP plane as a director does, makes it forward what standard input
// says (nothing said: what it found), prints what it forwards and counts, and ends
// as if it was killed. With --stop it ends cleanly. It is built of today's sources,
// and again of the same with another layout.
#include "dataplane/xdp/xdp.h"
#include "unit/support/wait.h"
#include "upgrade/forwarding_text.h"

namespace dnsdirector::upgrade {
namespace {

std::vector<core::Change> changes_for(const std::vector<Service>& services) {
    std::vector<core::Change> changes;
    for (const Service& service : services) {
        changes.emplace_back(
            core::AddService{service.key, service.scheduler, core::ForwardingMethod::dr});
        for (const Server& server : service.servers)
            changes.emplace_back(
                core::AddDestination{service.key, {server.endpoint, server.weight, server.method}});
        for (const Server& server : service.servers)
            if (!server.forwarded)
                changes.emplace_back(core::RemoveDestination{service.key, server.endpoint});
    }
    return changes;
}

void forward(dataplane::DataPlane& plane, const std::vector<Service>& services) {
    std::vector<dataplane::TrackedServer> servers;
    for (const Service& service : services)
        for (const Server& server : service.servers)
            servers.push_back({service.key, server.endpoint, server.method});
    plane.track(servers);
    for (const dataplane::TrackedServer& each : servers)
        if (!support::drive(
                plane, [&] { return plane.unreachable_reason(each.server, each.method).empty(); }))
            die(plane.unreachable_reason(each.server, each.method));
    if (const auto applied = plane.apply(changes_for(services)); !applied)
        die(applied.error().message);
}

void print(dataplane::DataPlane& plane) {
    const auto forwarding = plane.read();
    if (!forwarding) die(forwarding.error().message);
    for (const auto& [key, service] : *forwarding)
        for (const core::Destination& destination : service.destinations)
            fmt::print("weight {} {} {} {}{}\n", key.to_string(), destination.server.to_string(),
                       core::to_string(service.scheduler), destination.weight,
                       destination.method == core::ForwardingMethod::tun ? " tun" : "");
    const auto counters = plane.counters();
    if (!counters) die(counters.error().message);
    for (const auto& [key, count] : counters->services)
        fmt::print("service {} {} {}\n", key.to_string(), count.packets, count.bytes);
    for (const auto& [member, count] : counters->servers)
        fmt::print("server {} {} {} {}\n", member.first.to_string(), member.second.to_string(),
                   count.packets, count.bytes);
    for (const auto& [reason, packets] : counters->drops)
        if (packets != 0) fmt::print("drop {} {}\n", reason, packets);
}

int run(std::vector<std::string> words) {
    const bool stop = !words.empty() && words.front() == "--stop";
    if (stop) words.erase(words.begin());
    core::Limits limits{.services = 64, .real_servers = 256, .slots = 65536};
    if (words.size() > 2 && words.front() == "--flows") {
        limits.flows = static_cast<std::uint32_t>(std::stoul(words[1]));
        words.erase(words.begin(), words.begin() + 2);
    }
    if (words.size() < 2) die("usage: plane_tool [--stop] PIN_DIR INTERFACE... [< FORWARDING]");
    core::DirectorSettings settings;
    settings.interfaces.assign(words.begin() + 1, words.end());
    settings.xdp_mode = core::XdpMode::generic;
    settings.limits = limits;
    auto made = dataplane::make_xdp(settings, words.front());
    if (!made) die(made.error().message);
    // Never destroyed: it ends as if it was killed.
    dataplane::DataPlane& plane = *made->release();
    if (stop) {
        const auto detached = plane.detach();
        if (!detached) die(detached.error().message);
        return 0;
    }
    if (const auto services = read_forwarding(std::cin); !services.empty())
        forward(plane, services);
    print(plane);
    return 0;
}

}  // namespace
}  // namespace dnsdirector::upgrade

int main(int count, char** arguments) {
    dnsdirector::upgrade::end(dnsdirector::upgrade::run({arguments + 1, arguments + count}));
}
