// SPDX-License-Identifier: Apache-2.0
//
// What announcing the service IPs needs: an interface that goes with the director, a routing
// daemon, and neighbours that it can reach. Only where there is a bgp block.
#include <fmt/format.h>

#include "doctor/judges.h"

namespace dnsdirector::doctor {
namespace {

void tun(Scene& scene) {
    if (!scene.configuration().bgp) return;
    const std::string& problem = scene.machine().announcing.tun_problem;
    if (problem.empty())
        return scene.ok("tun", "/dev/net/tun", "announcements can be tied to the director's life");
    scene.fail("tun", "/dev/net/tun",
               fmt::format("cannot be opened ({}), so that a director with a bgp block does not "
                           "start",
                           problem),
               "modprobe tun; run the director as root or by its systemd unit");
}

void routing_daemon(Scene& scene) {
    const auto& bgp = scene.configuration().bgp;
    if (!bgp) return;
    const Announcing& announcing = scene.machine().announcing;
    const std::string daemon{core::to_string(bgp->daemon)};
    if (announcing.daemon_answers)
        return scene.ok("routing-daemon", daemon, "runs, by " + announcing.daemon_socket);
    if (!announcing.daemon_program.empty())
        return scene.warn("routing-daemon", daemon,
                          fmt::format("does not run: there is no {}, and nobody is told of the "
                                      "service IPs",
                                      announcing.daemon_socket),
                          bgp->daemon == core::RoutingDaemon::bird
                              ? "systemctl start dnsdirector-bird"
                              : "start it (systemctl start bird, frr)");
    scene.fail(
        "routing-daemon", daemon, "is not installed: nobody is told of the service IPs",
        bgp->daemon == core::RoutingDaemon::existing_frr ? "apt install frr" : "apt install bird2");
}

void bgp_neighbour(Scene& scene, const core::BgpNeighbor& neighbor) {
    const std::string about = neighbor.address.to_string();
    const Machine& machine = scene.machine();
    if (neighbor.source && !machine.holds(*neighbor.source))
        return scene.fail(
            "bgp-neighbor", about,
            fmt::format("source {} is no address of this machine", neighbor.source->to_string()),
            "an address of this machine as its `source`");
    const auto way = machine.announcing.ways.find(neighbor.address);
    if (way == machine.announcing.ways.end()) return;
    if (!way->second.route)
        return scene.fail(
            "bgp-neighbor", about, way->second.route.error().message,
            fmt::format("ip route add {}/{} …", about, neighbor.address.host_prefix_length()));
    if (way->second.route->gateway && neighbor.multihop == 1)
        return scene.warn("bgp-neighbor", about,
                          fmt::format("is behind the gateway {}, and multihop is 1: the session "
                                      "does not come up",
                                      way->second.route->gateway->to_string()),
                          "an address of the router on a network of ours, or `multihop 2`");
    scene.ok("bgp-neighbor", about, "there is a way to it");
}

void bgp_neighbours(Scene& scene) {
    if (!scene.configuration().bgp) return;
    for (const core::BgpNeighbor& neighbor : scene.configuration().bgp->neighbors)
        bgp_neighbour(scene, neighbor);
}

constexpr Judge judges[] = {
    {"tun", "announcements can be tied to the director's life", Judge::anything, tun},
    {"routing-daemon", "BIRD or FRR is there and runs", Judge::anything, routing_daemon},
    {"bgp-neighbor", "there is a way to each neighbour", Judge::anything, bgp_neighbours},
};

}  // namespace

std::span<const Judge> announcement_judges() {
    return judges;
}

}  // namespace dnsdirector::doctor
