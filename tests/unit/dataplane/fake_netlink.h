// SPDX-License-Identifier: Apache-2.0
//
// A kernel's links, routes and neighbours as a test wants them: for what this
// machine's kernel has no devices for, and for wirings that nobody should build.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "netlink/netlink.h"

namespace dnsdirector::dataplane::test {

class FakeNetlink final : public netlink::Socket {
public:
    static netlink::Link link(int index, const char* name, const netlink::Mac& mac) {
        netlink::Link link;
        link.index = index;
        link.name = name;
        link.mac = mac;
        link.mtu = 1500;
        link.up = link.running = true;
        return link;
    }
    static netlink::Link vlan(int index, const char* name, const netlink::Mac& mac, int lower,
                              std::uint16_t id, std::uint16_t protocol = 0x8100) {
        netlink::Link made = link(index, name, mac);
        made.kind = "vlan";
        made.lower = lower;
        made.vlan_id = id;
        made.vlan_protocol = protocol;
        return made;
    }

    void on_link(const IpAddress& address, int interface) {
        routes[address] = {.type = netlink::Route::Type::unicast,
                           .out_interface = interface,
                           .gateway = {},
                           .preferred_source = own_source(address)};
    }
    void behind(const IpAddress& address, int interface, const IpAddress& gateway) {
        on_link(address, interface);
        routes[address].gateway = gateway;
    }
    void local(const IpAddress& address) {
        routes[address] = {.type = netlink::Route::Type::local, .out_interface = 1};
    }
    void neighbour(const IpAddress& address, int interface, const netlink::Mac& mac) {
        table.push_back({.interface = interface, .address = address, .mac = mac});
    }
    static IpAddress own_source(const IpAddress& like) {
        return *IpAddress::parse(like.is_v4() ? "203.0.113.1" : "2001:db8:1::1");
    }

    std::vector<netlink::Link> all_links;
    std::map<IpAddress, netlink::Route> routes;
    std::vector<netlink::Neighbour> table;
    std::multiset<std::pair<int, IpAddress>> asked;  ///< resolved and not released

    // ---- netlink::Socket ----
    Result<std::vector<netlink::Link>> links() override { return all_links; }
    Result<std::optional<netlink::Link>> link(const std::string& name) override {
        for (const netlink::Link& each : all_links)
            if (each.name == name) return each;
        return std::nullopt;
    }
    Result<std::optional<netlink::Link>> link(int index) override {
        for (const netlink::Link& each : all_links)
            if (each.index == index) return each;
        return std::nullopt;
    }
    Result<netlink::Route> route_to(const IpAddress& destination) override {
        const auto found = routes.find(destination);
        if (found == routes.end()) return fail("no route to {}", destination.to_string());
        return found->second;
    }
    Result<std::vector<netlink::Neighbour>> neighbours() override { return table; }
    Result<void> resolve(int interface, const IpAddress& address) override {
        asked.emplace(interface, address);
        return {};
    }
    Result<void> release(int interface, const IpAddress& address) override {
        if (const auto found = asked.find({interface, address}); found != asked.end())
            asked.erase(found);
        return {};
    }
    Result<std::vector<netlink::InterfaceAddress>> addresses() override {
        return std::vector<netlink::InterfaceAddress>{};
    }
    Result<bool> add_address(int, const IpAddress&) override { return false; }
    Result<bool> remove_address(int, const IpAddress&) override { return false; }
};

}  // namespace dnsdirector::dataplane::test
