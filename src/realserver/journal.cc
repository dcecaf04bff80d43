// SPDX-License-Identifier: Apache-2.0
#include "realserver/journal.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace dnsdirector::realserver {
namespace {

using Json = nlohmann::ordered_json;

constexpr int format_version = 1;

IpAddress address_in(const Json& json) {
    const auto text = json.get<std::string>();
    const auto address = IpAddress::parse(text);
    if (!address) throw std::invalid_argument(text + " is no address");
    return *address;
}

Journal journal_in(const Json& root) {
    Journal journal;
    for (const Json& each : root.at("settings"))
        journal.settings.push_back(
            {each.at("path"), each.at("before"), each.at("ours").get<std::vector<std::string>>()});
    for (const Json& each : root.at("addresses"))
        journal.addresses.push_back({each.at("interface"), address_in(each.at("address"))});
    for (const Json& each : root.at("tunnels"))
        journal.tunnels.push_back({each.at("name"), address_in(each.at("local")),
                                   each.at("mtu").get<std::uint32_t>(), true});
    if (root.contains("table"))
        journal.table = OwnTable{root.at("table").at("ruleset"), root.at("table").at("listed")};
    return journal;
}

}  // namespace

bool ChangedSetting::is_ours(const std::string& value) const {
    return std::ranges::find(ours, value) != ours.end();
}

bool Journal::empty() const {
    return settings.empty() && addresses.empty() && tunnels.empty() && !table;
}

const ChangedSetting* Journal::setting(const std::string& path) const {
    const auto found = std::ranges::find(settings, path, &ChangedSetting::path);
    return found == settings.end() ? nullptr : &*found;
}

bool Journal::has(const HeldAddress& address) const {
    return std::ranges::find(addresses, address) != addresses.end();
}

const netlink::TunnelDevice* Journal::tunnel(const std::string& name) const {
    const auto found = std::ranges::find(tunnels, name, &netlink::TunnelDevice::name);
    return found == tunnels.end() ? nullptr : &*found;
}

Actual without_us(Actual actual, const Journal& journal) {
    for (const ChangedSetting& changed : journal.settings)
        if (const auto found = actual.settings.find(changed.path);
            found != actual.settings.end() && changed.is_ours(found->second))
            found->second = changed.before;
    std::erase_if(actual.addresses, [&](const HeldAddress& each) { return journal.has(each); });
    std::vector<std::string> devices;
    std::erase_if(actual.tunnels, [&](const netlink::TunnelDevice& each) {
        const netlink::TunnelDevice* own = journal.tunnel(each.name);
        if (own == nullptr || own->local != each.local) return false;
        devices.push_back(each.name);
        return true;
    });
    std::erase_if(actual.links, [&](const netlink::Link& each) {
        return std::ranges::find(devices, each.name) != devices.end();
    });
    actual.table.reset();
    return actual;
}

std::string to_json(const Journal& journal, const Place& place) {
    Json root = {{"version", format_version},
                 {"boot", place.boot},
                 {"network_namespace", place.network_namespace},
                 {"settings", Json::array()},
                 {"addresses", Json::array()},
                 {"tunnels", Json::array()}};
    for (const ChangedSetting& each : journal.settings)
        root["settings"].push_back(
            {{"path", each.path}, {"before", each.before}, {"ours", each.ours}});
    for (const HeldAddress& each : journal.addresses)
        root["addresses"].push_back(
            {{"interface", each.interface}, {"address", each.address.to_string()}});
    for (const netlink::TunnelDevice& each : journal.tunnels)
        root["tunnels"].push_back(
            {{"name", each.name}, {"local", each.local.to_string()}, {"mtu", each.mtu}});
    if (journal.table)
        root["table"] = {{"ruleset", journal.table->ruleset}, {"listed", journal.table->listed}};
    return root.dump(1) + "\n";
}

Result<Journal> from_json(const std::string& text, const Place& place) {
    try {
        const Json root = Json::parse(text);
        if (root.at("version") != format_version)
            return fail("it is of version {}, and this program knows version {}",
                        root.at("version").dump(), format_version);
        if (root.at("boot") != place.boot) return Journal{};
        if (root.at("network_namespace") != place.network_namespace)
            return fail(
                "it speaks of another network namespace; give each one a --run-dir of its own, or "
                "remove the file if that namespace is gone");
        return journal_in(root);
    } catch (const std::exception& error) {
        return fail("it is no journal ({})", error.what());
    }
}

}  // namespace dnsdirector::realserver
