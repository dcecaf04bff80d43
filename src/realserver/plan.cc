// SPDX-License-Identifier: Apache-2.0
#include "realserver/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

namespace dnsdirector::realserver {
namespace {

class Planner {
public:
    Planner(const Wishes& wishes, const Actual& actual, const Journal& journal)
        : wishes_(wishes), actual_(actual), journal_(journal) {}

    std::vector<Change> plan() {
        remove_addresses();
        add_tunnels();
        set_settings();
        replace_table();
        add_addresses();
        remove_table();
        restore_settings();
        remove_tunnels();
        return std::move(changes_);
    }

private:
    void remove_addresses();
    void add_addresses();
    void add_tunnels();
    void remove_tunnels();
    void set_settings();
    void restore_settings();
    void replace_table();
    void remove_table();

    template <typename Kind>
    void add(Kind change) {
        changes_.emplace_back(std::move(change));
    }
    [[nodiscard]] const netlink::TunnelDevice* there(const netlink::TunnelDevice& own) const {
        const auto found =
            std::ranges::find_if(actual_.tunnels, [&](const netlink::TunnelDevice& each) {
                return each.name == own.name && each.local == own.local;
            });
        return found == actual_.tunnels.end() ? nullptr : &*found;
    }

    const Wishes& wishes_;
    const Actual& actual_;
    const Journal& journal_;
    std::vector<Change> changes_;
};

void Planner::remove_addresses() {
    for (const HeldAddress& own : journal_.addresses) {
        if (std::ranges::find(wishes_.addresses, own) != wishes_.addresses.end()) continue;
        if (actual_.holds(own))
            add(RemoveAddress{own});
        else
            add(Forget{own, fmt::format("{} was gone from {} already", own.address.to_string(),
                                        own.interface)});
    }
}

void Planner::add_addresses() {
    for (const HeldAddress& wished : wishes_.addresses)
        if (!actual_.holds(wished)) add(AddAddress{wished});
}

void Planner::add_tunnels() {
    for (const netlink::TunnelDevice& wished : wishes_.tunnels) {
        const netlink::TunnelDevice* found = there(wished);
        if (found == nullptr)
            add(AddTunnel{wished});
        else if (*found != wished)
            add(MendTunnel{wished});
    }
}

void Planner::remove_tunnels() {
    for (const netlink::TunnelDevice& own : journal_.tunnels) {
        if (std::ranges::any_of(wishes_.tunnels, [&](const netlink::TunnelDevice& wished) {
                return wished.name == own.name && wished.local == own.local;
            }))
            continue;
        if (there(own) != nullptr)
            add(RemoveTunnel{own.name});
        else
            add(Forget{own, fmt::format("the tunnel device {} was gone already", own.name)});
    }
}

void Planner::set_settings() {
    for (const auto& [path, value] : wishes_.settings) {
        const auto found = actual_.settings.find(path);
        if (found != actual_.settings.end()) {
            if (found->second != value) add(SetSetting{path, found->second, value});
            continue;
        }
        // Of a tunnel device that is yet to be made: what it begins with is not known to be ours
        // to restore, and goes with it.
        add(SetSetting{path, "", value});
    }
}

void Planner::restore_settings() {
    // The last one first.
    for (const ChangedSetting& changed : journal_.settings | std::views::reverse) {
        if (std::ranges::any_of(wishes_.settings,
                                [&](const auto& wished) { return wished.first == changed.path; }))
            continue;
        const auto found = actual_.settings.find(changed.path);
        const std::string name = sysctl_name(changed.path);
        if (found == actual_.settings.end())
            add(Forget{changed.path, fmt::format("{} is gone with its interface", name)});
        else if (found->second == changed.before)
            add(Forget{changed.path, ""});
        else if (changed.is_ours(found->second))
            add(RestoreSetting{changed.path, found->second, changed.before});
        else
            add(Forget{changed.path,
                       fmt::format("left {} at {}, which somebody else has set meanwhile (it was "
                                   "{} before)",
                                   name, found->second, changed.before)});
    }
}

void Planner::replace_table() {
    if (wishes_.ruleset.empty()) return;
    if (journal_.table && journal_.table->ruleset == wishes_.ruleset && actual_.table &&
        *actual_.table == journal_.table->listed)
        return;
    add(ReplaceTable{wishes_.ruleset, actual_.table.has_value()});
}

void Planner::remove_table() {
    if (!wishes_.ruleset.empty()) return;
    // Of this name it is ours, whatever the journal says.
    if (actual_.table)
        add(RemoveTable{});
    else if (journal_.table)
        add(Forget{*journal_.table, "the nftables table was gone already"});
}

}  // namespace

std::vector<Change> plan(const Wishes& wishes, const Actual& actual, const Journal& journal) {
    return Planner(wishes, actual, journal).plan();
}

}  // namespace dnsdirector::realserver
