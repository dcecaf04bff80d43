// SPDX-License-Identifier: Apache-2.0
//
// What a change is called, and what the journal says of it.
#include <fmt/format.h>

#include <algorithm>

#include "base/overloaded.h"
#include "realserver/plan.h"
#include "realserver/translation.h"

namespace dnsdirector::realserver {
namespace {

std::string text_of(const HeldAddress& held) {
    return fmt::format("{}/{}", held.address.to_string(), held.address.host_prefix_length());
}

std::string text_of(const netlink::TunnelDevice& device) {
    return fmt::format("{} ({}, local {}, MTU {})", device.name,
                       device.local.is_v4() ? "ipip" : "ip6tnl", device.local.to_string(),
                       device.mtu);
}

ChangedSetting& entry_of(Journal& journal, const SetSetting& change) {
    const auto found = std::ranges::find(journal.settings, change.path, &ChangedSetting::path);
    if (found == journal.settings.end())
        return journal.settings.emplace_back(ChangedSetting{change.path, change.from, {}});
    // What is there now is not ours: somebody has set it meanwhile, and gets that back.
    if (!found->is_ours(change.from)) *found = {change.path, change.from, {}};
    return *found;
}

template <typename Values, typename Value>
void add_once(Values& values, const Value& value) {
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
}

void remember(Journal& journal, const netlink::TunnelDevice& device) {
    std::erase_if(journal.tunnels, [&](const auto& each) { return each.name == device.name; });
    journal.tunnels.push_back(device);
}

void forget_setting(Journal& journal, const std::string& path) {
    std::erase_if(journal.settings, [&](const auto& each) { return each.path == path; });
}

void forget_tunnel(Journal& journal, const std::string& name) {
    std::erase_if(journal.tunnels, [&](const auto& each) { return each.name == name; });
}

}  // namespace

std::string to_string(const Change& change, Tense tense) {
    const bool done = tense == Tense::done;
    return std::visit(
        Overloaded{
            [&](const AddAddress& each) {
                return fmt::format("{} {} to {}", done ? "added" : "add", text_of(each.held),
                                   each.held.interface);
            },
            [&](const RemoveAddress& each) {
                return fmt::format("{} {} from {}", done ? "removed" : "remove", text_of(each.held),
                                   each.held.interface);
            },
            [&](const SetSetting& each) {
                return fmt::format("set {} to {}{}", sysctl_name(each.path), each.to,
                                   each.from.empty() ? "" : " (was " + each.from + ")");
            },
            [&](const RestoreSetting& each) {
                return fmt::format("{} {} to {} (was {})", done ? "restored" : "restore",
                                   sysctl_name(each.path), each.to, each.from);
            },
            [&](const AddTunnel& each) {
                return fmt::format("{} tunnel device {}", done ? "made" : "make",
                                   text_of(each.device));
            },
            [&](const MendTunnel& each) {
                return fmt::format("set tunnel device {} up with MTU {}", each.device.name,
                                   each.device.mtu);
            },
            [&](const RemoveTunnel& each) {
                return fmt::format("{} tunnel device {}", done ? "removed" : "remove", each.name);
            },
            [&](const ReplaceTable& each) {
                const char* verb =
                    each.is_there ? (done ? "replaced" : "replace") : (done ? "made" : "make");
                return fmt::format("{} nftables table inet {}", verb, table_name);
            },
            [&](const RemoveTable&) {
                return fmt::format("{} nftables table inet {}", done ? "removed" : "remove",
                                   table_name);
            },
            [](const Forget& each) { return each.why; },
        },
        change);
}

void write_before(const Change& change, Journal& journal) {
    std::visit(Overloaded{
                   [&](const AddAddress& each) { add_once(journal.addresses, each.held); },
                   [&](const SetSetting& each) {
                       if (!each.from.empty()) add_once(entry_of(journal, each).ours, each.to);
                   },
                   [&](const AddTunnel& each) { remember(journal, each.device); },
                   [&](const MendTunnel& each) { remember(journal, each.device); },
                   [&](const ReplaceTable&) { journal.table = OwnTable{}; },
                   [](const auto&) {},
               },
               change);
}

void write_after(const Change& change, Journal& journal) {
    std::visit(
        Overloaded{
            [&](const RemoveAddress& each) { std::erase(journal.addresses, each.held); },
            [&](const RestoreSetting& each) { forget_setting(journal, each.path); },
            [&](const RemoveTunnel& each) { forget_tunnel(journal, each.name); },
            [&](const RemoveTable&) { journal.table.reset(); },
            [&](const Forget& each) {
                std::visit(
                    Overloaded{
                        [&](const std::string& path) { forget_setting(journal, path); },
                        [&](const HeldAddress& held) { std::erase(journal.addresses, held); },
                        [&](const netlink::TunnelDevice& device) {
                            forget_tunnel(journal, device.name);
                        },
                        [&](const OwnTable&) { journal.table.reset(); },
                    },
                    each.what);
            },
            [](const auto&) {},
        },
        change);
}

}  // namespace dnsdirector::realserver
