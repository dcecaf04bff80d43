// SPDX-License-Identifier: Apache-2.0
//
// A machine and a journal in memory, which can be killed at any step.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "realserver/up.h"

namespace dnsdirector::realserver::fakes {

/// Thrown where a kill -9 would end the program.
struct Killed {};

/// Counts what has an effect, and kills at the chosen step: before it has its effect (even
/// steps), or after (odd ones).
class Steps {
public:
    int kill_at = -1;
    int count = 0;

    template <typename Effect>
    void take(Effect effect) {
        if (count++ == kill_at) throw Killed{};
        effect();
        if (count++ == kill_at) throw Killed{};
    }
};

inline IpAddress address(const char* text) {
    return IpAddress::parse(text).value();
}

class FakeMachine final : public Machine {
public:
    Actual state;
    Steps* steps = nullptr;
    std::string refused_setting;  ///< a path that the kernel lets nobody set
    std::vector<std::string> log;

    Result<Actual> read(const Look& look) override {
        last_look = look;
        return state;
    }
    Result<void> set(const std::string& path, const std::string& value) override {
        if (path == refused_setting) return fail("cannot set {}", path);
        if (!state.settings.contains(path)) return fail("there is no {}", path);
        step([&] { state.settings[path] = value; });
        log.push_back(path + "=" + value);
        return {};
    }
    Result<bool> add_address(const HeldAddress& held) override {
        if (state.holds(held)) return false;
        step([&] { state.addresses.push_back(held); });
        log.push_back("add " + held.address.to_string());
        return true;
    }
    Result<void> remove_address(const HeldAddress& held) override {
        step([&] { std::erase(state.addresses, held); });
        log.push_back("remove " + held.address.to_string());
        return {};
    }
    Result<void> add_tunnel(const netlink::TunnelDevice& device) override {
        step([&] {
            state.tunnels.push_back(device);
            netlink::Link link;
            link.index = 100 + static_cast<int>(state.links.size());
            link.name = device.name;
            link.kind = device.local.is_v4() ? "ipip" : "ip6tnl";
            link.up = true;
            state.links.push_back(link);
            for (const char* name : {"rp_filter", "arp_ignore", "arp_announce"})
                state.settings[path_of("ipv4", device.name, name)] =
                    state.settings[path_of("ipv4", "default", name)];
        });
        log.push_back("tunnel " + device.name);
        return {};
    }
    Result<void> mend_tunnel(const netlink::TunnelDevice& device) override {
        step([&] {
            for (netlink::TunnelDevice& each : state.tunnels)
                if (each.name == device.name) each = device;
        });
        return {};
    }
    Result<void> remove_tunnel(const std::string& name) override {
        step([&] {
            std::erase_if(state.tunnels, [&](const auto& each) { return each.name == name; });
            std::erase_if(state.links, [&](const auto& each) { return each.name == name; });
            for (const char* setting : {"rp_filter", "arp_ignore", "arp_announce"})
                state.settings.erase(path_of("ipv4", name, setting));
        });
        log.push_back("no tunnel " + name);
        return {};
    }
    Result<std::string> replace_table(const std::string& ruleset) override {
        step([&] { state.table = "listed: " + ruleset; });
        log.emplace_back("table");
        return *state.table;
    }
    Result<void> remove_table() override {
        step([&] { state.table.reset(); });
        log.emplace_back("no table");
        return {};
    }

    Look last_look;

private:
    template <typename Effect>
    void step(Effect effect) {
        if (steps != nullptr)
            steps->take(effect);
        else
            effect();
    }
};

class FakeStore final : public JournalStore {
public:
    Journal kept;
    Steps* steps = nullptr;

    Result<Journal> load() override { return kept; }
    Result<void> save(const Journal& journal) override {
        const auto keep = [&] { kept = journal; };
        if (steps != nullptr)
            steps->take(keep);
        else
            keep();
        return {};
    }
};

/// A machine with eth0 (203.0.113.11, the way to everybody) and lo, with Debian's settings unless
/// they are changed.
inline Actual plain_machine() {
    Actual actual;
    const auto add_link = [&](const char* name, bool loopback) {
        netlink::Link link;
        link.index = static_cast<int>(actual.links.size()) + 1;
        link.name = name;
        link.up = true;
        link.loopback = loopback;
        link.mtu = loopback ? 65536 : 1500;
        actual.links.push_back(link);
    };
    add_link("lo", true);
    add_link("eth0", false);
    for (const char* interface : {"all", "default", "lo", "eth0"}) {
        actual.settings[path_of("ipv4", interface, "arp_ignore")] = "0";
        actual.settings[path_of("ipv4", interface, "arp_announce")] = "0";
        actual.settings[path_of("ipv4", interface, "rp_filter")] =
            std::string(interface) == "all" ? "0" : "2";
        actual.settings[path_of("ipv6", interface, "disable_ipv6")] = "0";
    }
    actual.addresses = {{"lo", address("127.0.0.1")},
                        {"lo", address("::1")},
                        {"eth0", address("203.0.113.11")},
                        {"eth0", address("2001:db8:1::11")}};
    actual.ways[any_client()] = 2;
    return actual;
}

/// One more interface, with or without an IPv4 address.
inline int add_interface(Actual& actual, const std::string& name, const char* v4 = nullptr,
                         const std::string& kind = "vlan") {
    netlink::Link link;
    link.index = static_cast<int>(actual.links.size()) + 1;
    link.name = name;
    link.kind = kind;
    link.up = true;
    link.mtu = 1500;
    actual.links.push_back(link);
    for (const char* setting : {"arp_ignore", "arp_announce", "rp_filter"})
        actual.settings[path_of("ipv4", name, setting)] =
            actual.settings[path_of("ipv4", "default", setting)];
    actual.settings[path_of("ipv6", name, "disable_ipv6")] = "0";
    if (v4 != nullptr) actual.addresses.push_back({name, address(v4)});
    return link.index;
}

inline Order plain_order() {
    Order order;
    order.machine.service_ips = {address("192.0.2.53"), address("2001:db8::53")};
    return order;
}

inline core::DnsProcess process(const char* name, const char* input, const char* listen) {
    return {name, input, {{address(listen), 53}}, {}};
}

/// What a run has said.
struct Said {
    std::vector<std::string> changes, notes, failures;

    Report report() {
        return {[this](const std::string& line) { changes.push_back(line); },
                [this](const std::string& line) { notes.push_back(line); },
                [this](const std::string& line) { failures.push_back(line); }};
    }
};

}  // namespace dnsdirector::realserver::fakes
