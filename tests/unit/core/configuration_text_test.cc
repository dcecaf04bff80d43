// SPDX-License-Identifier: Apache-2.0
#include "core/configuration_text.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace dnsdirector::core {
namespace {

Configuration example() {
    Configuration configuration;
    configuration.director.interfaces = {"eth0"};
    Check check;
    check.target = *Endpoint::parse("203.0.113.11:53");
    check.what = TcpCheck{};
    Check other = check;
    other.what = PingCheck{};
    configuration.checks = {check, other};
    Service service;
    service.key = {*IpAddress::parse("192.0.2.53"), 53, Protocol::udp};
    service.cluster = "resolvers";
    service.quorum = {2, 1};
    service.quorum_up = Command{{"/bin/up", "a b"}, "nobody"};
    service.real_servers = {{"ns1", check.target, 2, {0, 1}, {{0, 2, 1}}}};
    configuration.services = {service};
    return configuration;
}

Configuration with_bgp() {
    Configuration configuration;
    BgpNeighbor neighbor;
    neighbor.address = *IpAddress::parse("198.51.100.253");
    neighbor.remote_as = 64513;
    BgpAnnouncement announcement;
    announcement.service_ip = *IpAddress::parse("192.0.2.53");
    Bgp bgp;
    bgp.local_as = 64512;
    bgp.router_id = *IpAddress::parse("198.51.100.1");
    bgp.neighbors = {neighbor};
    bgp.announcements = {announcement};
    configuration.bgp = bgp;
    return configuration;
}

TEST(ConfigurationText, SaysEverythingThatIsNotADefault) {
    EXPECT_EQ(
        full_text(example()),
        "director: interfaces 'eth0'\n"
        "service 192.0.2.53:53/udp: cluster 'resolvers', wrr dr, quorum 2, hysteresis 1, "
        "on_all_down hold\n"
        "  quorum_up '/bin/up' 'a b' as 'nobody'\n"
        "  real_server 'ns1' 203.0.113.11:53: weight 2\n"
        "    at least 1 of 2\n"
        "      check tcp, source any port 0, interface '', mark 0 to 203.0.113.11:53, every 1s, "
        "timeout 500ms, tries 2, limit 0s, rise 2, fall 2, retry after 0s, warmup 0s, out until "
        "tested\n"
        "      check ping, source any port 0, interface '', mark 0 to 203.0.113.11:53, every 1s, "
        "timeout 500ms, tries 2, limit 0s, rise 2, fall 2, retry after 0s, warmup 0s, out until "
        "tested\n");
}

TEST(ConfigurationText, DiffersWhereverTheConfigurationDoes) {
    using Change = std::function<void(Configuration&)>;
    const Change changes[] = {
        [](Configuration&) {},
        [](Configuration& c) { c.director.dataplane = DataPlaneKind::none; },
        [](Configuration& c) { c.director.interfaces = {"eth0", "eth1"}; },
        [](Configuration& c) { c.director.interfaces = {"eth0' 'eth1"}; },
        [](Configuration& c) { c.director.xdp_mode = XdpMode::native; },
        [](Configuration& c) { c.director.service_interface = "dummy0"; },
        [](Configuration& c) { c.director.presence = PresenceMode::when_active; },
        [](Configuration& c) { c.director.script_user = "nobody"; },
        [](Configuration& c) { c.director.drain_time = Seconds{1}; },
        [](Configuration& c) { c.director.http_listen = Endpoint::parse("127.0.0.1:9153"); },
        [](Configuration& c) { c.director.limits.services = 1; },
        [](Configuration& c) { c.director.limits.real_servers = 1; },
        [](Configuration& c) { c.director.limits.slots = 1; },
        [](Configuration& c) { c.director.limits.flows = 1; },
        [](Configuration& c) { c.services[0].key.port = 54; },
        [](Configuration& c) { c.services[0].cluster = ""; },
        [](Configuration& c) { c.services[0].group = "g"; },
        [](Configuration& c) { c.services[0].scheduler = Scheduler::rr; },
        [](Configuration& c) { c.services[0].method = ForwardingMethod::nat; },
        [](Configuration& c) { c.services[0].quorum.required = 3; },
        [](Configuration& c) { c.services[0].quorum.hysteresis = 0; },
        [](Configuration& c) { c.services[0].on_all_down = OnAllDown::empty; },
        [](Configuration& c) { c.services[0].max_out_percent = 50; },
        [](Configuration& c) { c.services[0].slow_start = Seconds{60}; },
        [](Configuration& c) { c.services[0].real_servers.clear(); },
        [](Configuration& c) {
            c.services[0].sorry_server = SorryServer{*Endpoint::parse("203.0.113.9:53"), false};
        },
        [](Configuration& c) {
            c.services[0].sorry_server = SorryServer{*Endpoint::parse("203.0.113.9:53"), true};
        },
        [](Configuration& c) { c.services[0].other_hash = true; },
        [](Configuration& c) { c.services[0].quorum_up->user = ""; },
        [](Configuration& c) { c.services[0].quorum_up->arguments = {"/bin/up", "a", "b"}; },
        [](Configuration& c) { c.services[0].quorum_up->arguments = {"/bin/up", "a' 'b"}; },
        [](Configuration& c) { c.services[0].quorum_down = Command{{"/bin/down"}, ""}; },
        [](Configuration& c) { c.services[0].omega = true; },
        [](Configuration& c) { c.services[0].to_all.notify = true; },
        [](Configuration& c) { c.services[0].to_all.update = true; },
        [](Configuration& c) { c.services[0].to_all = {.notify = true, .answers = 1, .from = {}}; },
        [](Configuration& c) { c.services[0].to_all = {.notify = true, .from = {{{}, 8}}}; },
        [](Configuration& c) { c.services[0].key.fwmark = 7; },
        [](Configuration& c) { c.services[0].ipvs.one_packet = true; },
        [](Configuration& c) { c.services[0].ipvs.fallback = true; },
        [](Configuration& c) { c.services[0].ipvs.persistence_timeout = 60; },
        [](Configuration& c) { c.services[0].ipvs.persistence_prefix = 24; },
        [](Configuration& c) {
            c.services[0].sorry_server = {*Endpoint::parse("203.0.113.9:53"), false,
                                          ForwardingMethod::tun};
        },
        [](Configuration& c) { c.services[0].real_servers[0].method = ForwardingMethod::dr; },
        [](Configuration& c) { c.services[0].real_servers[0].thresholds.upper = 9; },
        [](Configuration& c) { c.services[0].real_servers[0].thresholds.lower = 9; },
        [](Configuration& c) { c.services.push_back(c.services[0]); },
        [](Configuration& c) { c.services[0].real_servers[0].name = "ns2"; },
        [](Configuration& c) { c.services[0].real_servers[0].endpoint.port = 5353; },
        [](Configuration& c) { c.services[0].real_servers[0].weight = 0; },
        [](Configuration& c) { c.services[0].real_servers[0].checks = {1, 0}; },
        [](Configuration& c) { c.services[0].real_servers[0].some_of = {}; },
        [](Configuration& c) { c.services[0].real_servers[0].some_of = {{0, 1, 1}}; },
        [](Configuration& c) { c.services[0].real_servers[0].some_of = {{0, 1, 1}, {1, 1, 1}}; },
        [](Configuration& c) { c.services[0].real_servers[0].some_of = {{1, 1, 1}}; },
        [](Configuration& c) { c.services[0].real_servers[0].some_of[0].required = 2; },
        [](Configuration& c) { c.services[0].real_servers[0].inhibit_on_failure = true; },
        [](Configuration& c) { c.services[0].real_servers[0].notify_up = Command{{"/bin/x"}, ""}; },
        [](Configuration& c) {
            c.services[0].real_servers[0].notify_down = Command{{"/bin/x"}, ""};
        },
        [](Configuration& c) { c.checks[0].timing.every = Seconds{2}; },
        [](Configuration& c) { c.checks.push_back(c.checks[0]); },
    };
    std::set<std::string> texts;
    std::size_t tried = 0;
    for (const Change& change : changes) {
        Configuration changed = example();
        change(changed);
        EXPECT_TRUE(texts.insert(full_text(changed)).second) << "change " << tried;
        ++tried;
    }
}

TEST(ConfigurationText, DiffersWhereverTheBgpBlockDoes) {
    EXPECT_EQ(full_text(with_bgp()),
              "bgp: local_as 64512, router_id 198.51.100.1\n"
              "  neighbor 198.51.100.253: remote_as 64513\n"
              "  announce 192.0.2.53: announced med 0, degraded med 0, draining med 0\n");
    const auto address = [](const char* text) { return *IpAddress::parse(text); };
    using Change = std::function<void(Bgp&, BgpNeighbor&, BgpAnnouncement&)>;
    const Change changes[] = {
        [](Bgp&, BgpNeighbor&, BgpAnnouncement&) {},
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.daemon = RoutingDaemon::existing_bird; },
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.daemon = RoutingDaemon::existing_frr; },
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.local_as = 1; },
        [&](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.router_id = address("192.0.2.1"); },
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.ip_forwarding = true; },
        [&](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.address = address("192.0.2.1"); },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.remote_as = 1; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.description = "x"; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.password = "x"; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.multihop = 2; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.ttl_security = true; },
        [&](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.source = address("192.0.2.1"); },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.hold_time = Seconds{4}; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.keepalive = Seconds{4}; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.connect_retry = Seconds{4}; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.bfd = Bfd{Seconds{1}, 3}; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.bfd = Bfd{Seconds{1}, 4}; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.graceful_restart = true; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.accept_default = true; },
        [](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.soft_reconfiguration = false; },
        [&](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.next_hop[0] = address("192.0.2.1"); },
        [&](Bgp&, BgpNeighbor& n, BgpAnnouncement&) { n.next_hop[1] = address("2001:db8::1"); },
        [](Bgp& b, BgpNeighbor& n, BgpAnnouncement&) { b.neighbors.push_back(n); },
        [&](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.service_ip = address("192.0.2.1"); },
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement&) { b.draining_time = Seconds{4}; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.local_preference = 1; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.policy.needs = {true, false}; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.policy.needs = {false, true}; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.policy.low_water = 1; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.policy.high_water = 1; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.policy.min_interval = Seconds{4}; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.states[0].med = 1; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.states[2].med = 1; },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) {
            a.states[1].communities.standard = {{1, 2}, {3, 4}};
        },
        [](Bgp&, BgpNeighbor&, BgpAnnouncement& a) { a.states[1].communities.large = {{1, 2, 3}}; },
        [](Bgp& b, BgpNeighbor&, BgpAnnouncement& a) { b.announcements.push_back(a); },
    };
    std::set<std::string> texts;
    for (const Change& change : changes) {
        Configuration changed = with_bgp();
        BgpNeighbor neighbor = changed.bgp->neighbors[0];
        BgpAnnouncement announcement = changed.bgp->announcements[0];
        change(*changed.bgp, neighbor, announcement);
        changed.bgp->neighbors[0] = neighbor;
        changed.bgp->announcements[0] = announcement;
        EXPECT_TRUE(texts.insert(full_text(changed)).second) << "change " << texts.size();
    }
}

TEST(ConfigurationText, DoesNotDependOnTheNumbersOfChecks) {
    Configuration renumbered = example();
    std::swap(renumbered.checks[0], renumbered.checks[1]);
    renumbered.services[0].real_servers[0].checks = {1, 0};
    EXPECT_EQ(full_text(renumbered), full_text(example()));
}

}  // namespace
}  // namespace dnsdirector::core
