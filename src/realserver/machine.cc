// SPDX-License-Identifier: Apache-2.0
#include "realserver/machine.h"

#include <utility>

#include "netlink/quiet_addresses.h"
#include "realserver/nft.h"
#include "realserver/settings.h"
#include "realserver/translation.h"

namespace dnsdirector::realserver {
namespace {

constexpr const char* settings_v4[] = {"arp_ignore", "arp_announce", "rp_filter"};
constexpr const char* settings_v6[] = {"disable_ipv6"};

class LiveMachine final : public Machine {
public:
    LiveMachine(std::unique_ptr<netlink::Socket> socket,
                std::unique_ptr<netlink::QuietAddresses> addresses,
                std::unique_ptr<netlink::TunnelDevices> tunnels)
        : socket_(std::move(socket)),
          addresses_(std::move(addresses)),
          tunnels_(std::move(tunnels)) {}

    Result<Actual> read(const Look& look) override;
    Result<void> set(const std::string& path, const std::string& value) override {
        return write_setting(proc_sys_net, path, value);
    }
    Result<bool> add_address(const HeldAddress& address) override;
    Result<void> remove_address(const HeldAddress& address) override;
    Result<void> add_tunnel(const netlink::TunnelDevice& device) override {
        return tunnels_->add(device);
    }
    Result<void> mend_tunnel(const netlink::TunnelDevice& device) override {
        return tunnels_->mend(device);
    }
    Result<void> remove_tunnel(const std::string& name) override {
        const auto removed = tunnels_->remove(name);
        if (!removed) return tl::unexpected(removed.error());
        return {};
    }
    Result<std::string> replace_table(const std::string& ruleset) override;
    Result<void> remove_table() override { return realserver::remove_table(); }

private:
    Result<int> index_of(const std::string& interface);
    static void read_settings(const Look& look, Actual& actual);

    std::unique_ptr<netlink::Socket> socket_;
    std::unique_ptr<netlink::QuietAddresses> addresses_;
    std::unique_ptr<netlink::TunnelDevices> tunnels_;
};

void LiveMachine::read_settings(const Look& look, Actual& actual) {
    std::set<std::string> paths = look.settings;
    const auto add = [&](const std::string& interface) {
        for (const char* name : settings_v4)
            paths.insert(path_of("ipv4", interface, name));
        for (const char* name : settings_v6)
            paths.insert(path_of("ipv6", interface, name));
    };
    add("all");
    add("default");
    for (const netlink::Link& link : actual.links)
        add(link.name);
    for (const std::string& path : paths)
        if (auto value = read_setting(proc_sys_net, path))
            actual.settings.emplace(path, std::move(*value));
}

Result<Actual> LiveMachine::read(const Look& look) {
    Actual actual;
    auto links = socket_->links();
    if (!links) return tl::unexpected(links.error());
    actual.links = std::move(*links);
    const auto addresses = socket_->addresses();
    if (!addresses) return tl::unexpected(addresses.error());
    for (const netlink::InterfaceAddress& each : *addresses)
        for (const netlink::Link& link : actual.links)
            if (link.index == each.interface) actual.addresses.push_back({link.name, each.address});
    auto tunnels = tunnels_->list();
    if (!tunnels) return tl::unexpected(tunnels.error());
    actual.tunnels = std::move(*tunnels);
    if (!look.table_is_known) {
        auto table = read_table();
        if (table)
            actual.table = std::move(*table);
        else if (look.table)  // without nft there is no table of ours either
            return tl::unexpected(table.error());
    }
    for (const IpAddress& client : look.clients)
        if (const auto route = socket_->route_to(client))
            actual.ways.emplace(client, route->out_interface);
    read_settings(look, actual);
    return actual;
}

Result<int> LiveMachine::index_of(const std::string& interface) {
    const auto link = socket_->link(interface);
    if (!link) return tl::unexpected(link.error());
    if (!*link) return fail("interface {} does not exist any more", interface);
    return (*link)->index;
}

Result<bool> LiveMachine::add_address(const HeldAddress& address) {
    const auto index = index_of(address.interface);
    if (!index) return tl::unexpected(index.error());
    return addresses_->add(*index, address.address);
}

Result<void> LiveMachine::remove_address(const HeldAddress& address) {
    const auto index = index_of(address.interface);
    if (!index) return tl::unexpected(index.error());
    const auto removed = socket_->remove_address(*index, address.address);
    if (!removed) return tl::unexpected(removed.error());
    return {};
}

Result<std::string> LiveMachine::replace_table(const std::string& ruleset) {
    if (const auto replaced = realserver::replace_table(ruleset); !replaced)
        return tl::unexpected(replaced.error());
    auto table = read_table();
    if (!table) return tl::unexpected(table.error());
    if (!*table) return fail("nft took the rules, and does not list table inet {}", table_name);
    return std::move(**table);
}

}  // namespace

Result<std::unique_ptr<Machine>> open_machine() {
    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    auto addresses = netlink::QuietAddresses::open();
    if (!addresses) return tl::unexpected(addresses.error());
    auto tunnels = netlink::TunnelDevices::open();
    if (!tunnels) return tl::unexpected(tunnels.error());
    return std::make_unique<LiveMachine>(std::move(*socket), std::move(*addresses),
                                         std::move(*tunnels));
}

}  // namespace dnsdirector::realserver
