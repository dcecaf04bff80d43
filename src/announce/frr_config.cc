// SPDX-License-Identifier: Apache-2.0
#include "announce/frr_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "announce/bgp_groups.h"

namespace dnsdirector::announce {
namespace {

using Statements = std::vector<FrrStatement>;

/// FRR's own names; it shows a community that has one by it (bgpd/bgp_community.c).
struct NamedCommunity {
    core::Community community;
    std::string_view name;
};
constexpr std::array named_communities = {
    NamedCommunity{{0, 0}, "internet"},
    NamedCommunity{{65535, 0}, "graceful-shutdown"},
    NamedCommunity{{65535, 1}, "accept-own"},
    NamedCommunity{{65535, 2}, "route-filter-translated-v4"},
    NamedCommunity{{65535, 3}, "route-filter-v4"},
    NamedCommunity{{65535, 4}, "route-filter-translated-v6"},
    NamedCommunity{{65535, 5}, "route-filter-v6"},
    NamedCommunity{{65535, 6}, "llgr-stale"},
    NamedCommunity{{65535, 7}, "no-llgr"},
    NamedCommunity{{65535, 8}, "accept-own-nexthop"},
    NamedCommunity{{65535, 666}, "blackhole"},
    NamedCommunity{{65535, 65281}, "no-export"},
    NamedCommunity{{65535, 65282}, "no-advertise"},
    NamedCommunity{{65535, 65283}, "local-AS"},
    NamedCommunity{{65535, 65284}, "no-peer"},
};

std::string text_of(const core::Community& community) {
    const auto* named = std::ranges::find(named_communities, community, &NamedCommunity::community);
    return named == named_communities.end() ? community.to_string() : std::string(named->name);
}

template <typename... Args>
FrrStatement command(fmt::format_string<Args...> format, Args&&... args) {
    return {fmt::format(format, std::forward<Args>(args)...)};
}

/// A command that FRR does not show where the value is its own default.
FrrStatement unless_default(FrrStatement statement, bool is_default) {
    statement.silent = is_default;
    return statement;
}

std::int64_t seconds(Nanoseconds time) {
    return std::chrono::duration_cast<Seconds>(time).count();
}

std::string_view ip_word(Family family) {
    return family == Family::ipv4 ? "ip" : "ipv6";
}

std::string all_service_ips(Family family) {
    return fmt::format("{}{}", frr_prefix, word_of(family));
}

std::string group_list(Family family, std::size_t group) {
    return fmt::format("{}{}-{}", frr_prefix, word_of(family), group + 1);
}

std::string out_map(const core::BgpNeighbor& neighbor, Family family) {
    return fmt::format("{}out-{}-{}", frr_prefix, word_of(family), neighbor.address.to_string());
}

std::string in_list(const core::BgpNeighbor& neighbor, Family family) {
    return fmt::format("{}{}-{}", frr_prefix, neighbor.accept_default ? "default" : "nothing",
                       word_of(family));
}

std::string profile_of(const core::Bfd& bfd) {
    return fmt::format("{}{}ms-{}", frr_prefix,
                       std::chrono::duration_cast<Milliseconds>(bfd.interval).count(),
                       bfd.multiplier);
}

// ---- what the whole of FRR is told ------------------------------------------------------

void add_general(const core::Bgp& bgp, Statements& out) {
    out.push_back(command("bgp route-map delay-timer 1"));
    // With 0 they never would (bgp_route_map_mark_update() of FRR's bgp_routemap.c).
    out.back().comment = {"Changes of the maps below count after 1 s; the default is 5 s."};
    const std::string_view no = bgp.ip_forwarding ? "" : "no ";
    out.push_back(command("{}ip forwarding", no));
    out.back().comment = {
        "Without a word about it, FRR turns IP forwarding on when it reads its configuration",
        "anew. `ip_forwarding on` in the bgp block says `ip forwarding` here."};
    out.push_back(command("{}ipv6 forwarding", no));
    for (FrrStatement* each : {&out[out.size() - 2], &out.back()})
        each->silent = bgp.ip_forwarding;
}

void add_profiles(const core::Bgp& bgp, Statements& out) {
    std::map<std::string, core::Bfd> profiles;
    for (const core::BgpNeighbor& each : bgp.neighbors)
        if (each.bfd) profiles.emplace(profile_of(*each.bfd), *each.bfd);
    if (profiles.empty()) return;
    FrrStatement block = command("bfd");
    block.end = "exit";
    block.comment = {"Needs bfdd (bfdd=yes in /etc/frr/daemons)."};
    for (const auto& [name, bfd] : profiles) {
        const auto interval = std::chrono::duration_cast<Milliseconds>(bfd.interval).count();
        FrrStatement profile = command("profile {}", name);
        profile.end = "exit";
        profile.inner = {
            unless_default(command("detect-multiplier {}", bfd.multiplier), bfd.multiplier == 3),
            unless_default(command("transmit-interval {}", interval), interval == 300),
            unless_default(command("receive-interval {}", interval), interval == 300)};
        block.inner.push_back(std::move(profile));
    }
    out.push_back(std::move(block));
}

// ---- which routes, and how they are told --------------------------------------------------

FrrStatement permit(Family family, std::string_view list, std::size_t number,
                    std::string_view prefix) {
    return command("{} prefix-list {} seq {} permit {}", ip_word(family), list, number, prefix);
}

std::string prefix_of(const IpAddress& address) {
    return fmt::format("{}/{}", address.to_string(), address.host_prefix_length());
}

void add_lists(const core::Bgp& bgp, Family family, Statements& out) {
    const std::size_t first = out.size();
    std::size_t number = 0;
    for (const core::BgpAnnouncement& each : bgp.announcements)
        if (each.service_ip.family() == family)
            out.push_back(
                permit(family, all_service_ips(family), ++number, prefix_of(each.service_ip)));
    if (number == 0)
        out.push_back(
            command("{} prefix-list {} seq 1 deny any", ip_word(family), all_service_ips(family)));
    out[first].comment = {"All that may ever be told, as exact prefixes."};
    const auto groups = groups_of(bgp, family);
    for (std::size_t group = 0; group < groups.size(); ++group) {
        number = 0;
        for (const IpAddress& each : groups[group].service_ips)
            out.push_back(permit(family, group_list(family, group), ++number, prefix_of(each)));
    }
    const auto uses = [&](bool default_route) {
        return std::any_of(bgp.neighbors.begin(), bgp.neighbors.end(), [&](const auto& each) {
            return each.carries(family) && each.accept_default == default_route;
        });
    };
    if (uses(false))
        out.push_back(command("{} prefix-list {}nothing-{} seq 1 deny any", ip_word(family),
                              frr_prefix, word_of(family)));
    if (uses(true))
        out.push_back(permit(family, fmt::format("{}default-{}", frr_prefix, word_of(family)), 1,
                             default_route(family)));
}

FrrStatement entry_of(Family family, std::size_t group, std::size_t number, core::RouteState state,
                      const BgpGroup& said) {
    const core::RouteAttributes& told = said.states[static_cast<std::size_t>(state)];
    FrrStatement entry = command("route-map {} permit {}", all_service_ips(family), number);
    entry.end = "exit";
    entry.inner = {
        command("description {}", to_string(state)),
        command("match {} address prefix-list {}", ip_word(family), group_list(family, group)),
        command("match metric {}", core::metric_of(state)),
        command("set origin igp"),
        command("set local-preference {}", said.local_preference),
        command("set metric {}", told.med),
        command("set tag {}", core::route_protocol)};
    std::string communities;
    for (const core::Community& each : told.communities.standard)
        communities += ' ' + text_of(each);
    if (!communities.empty()) entry.inner.push_back(command("set community{}", communities));
    std::string large;
    for (const core::LargeCommunity& each : told.communities.large)
        large += ' ' + each.to_string();
    if (!large.empty()) entry.inner.push_back(command("set large-community{}", large));
    return entry;
}

/// Of kernel routes, by prefix and metric.
void add_map(const core::Bgp& bgp, Family family, Statements& out) {
    const std::size_t first = out.size();
    const auto groups = groups_of(bgp, family);
    std::size_t number = 0;
    for (std::size_t group = 0; group < groups.size(); ++group)
        for (const core::RouteState state : core::route_states)
            out.push_back(entry_of(family, group, ++number, state, groups[group]));
    out[first].comment = {
        "The metric of the director's routes is their state: 1 announced, 2 degraded, 100 "
        "draining.",
        "The origin is compared before the MED, so that it must be the same at every site."};
}

void add_out_map(const core::BgpNeighbor& neighbor, Family family, Statements& out) {
    FrrStatement map = command("route-map {} permit 1", out_map(neighbor, family));
    map.end = "exit";
    map.inner = {command("match tag {}", core::route_protocol)};
    if (const auto& next_hop = neighbor.next_hop[static_cast<std::size_t>(family)])
        map.inner.push_back(family == Family::ipv4
                                ? command("set ip next-hop {}", next_hop->to_string())
                                : command("set ipv6 next-hop global {}", next_hop->to_string()));
    out.push_back(std::move(map));
}

// ---- whom ---------------------------------------------------------------------------------

void add_session(const core::Bgp& bgp, const core::BgpNeighbor& neighbor, Statements& out) {
    const std::string name = "neighbor " + neighbor.address.to_string();
    const bool internal = bgp.is_internal(neighbor);
    out.push_back(command("{} remote-as {}", name, neighbor.remote_as));
    if (!neighbor.description.empty())
        out.push_back(command("{} description {}", name, neighbor.description));
    if (neighbor.bfd) {
        out.push_back(command("{} bfd", name));
        out.push_back(command("{} bfd profile {}", name, profile_of(*neighbor.bfd)));
    }
    if (!neighbor.password.empty())
        out.push_back(command("{} password {}", name, neighbor.password));
    // FRR takes one of the two; a neighbour in our AS may be any number of hops away.
    if (neighbor.ttl_security)
        out.push_back(command("{} ttl-security hops {}", name, neighbor.multihop));
    else if (neighbor.multihop > 1 && !internal)
        out.push_back(command("{} ebgp-multihop {}", name, neighbor.multihop));
    if (neighbor.source)
        out.push_back(command("{} update-source {}", name, neighbor.source->to_string()));
    out.push_back(command("{} advertisement-interval 0", name));
    const auto hold = seconds(neighbor.hold_time);
    // FRR takes no more than a third, and shows what it took.
    const auto keepalive = std::min(seconds(neighbor.keepalive), hold / 3);
    const auto retry = seconds(neighbor.connect_retry);
    out.push_back(unless_default(command("{} timers {} {}", name, keepalive, hold),
                                 keepalive == 60 && hold == 180));
    out.push_back(unless_default(command("{} timers connect {}", name, retry), retry == 120));
    out.push_back(
        command("{} graceful-restart{}", name, neighbor.graceful_restart ? "" : "-disable"));
}

/// Within the address family. For neighbours over IPv4 FRR activates IPv4 by itself.
void add_policy(const core::BgpNeighbor& neighbor, Family family, Statements& out) {
    const std::string name = "neighbor " + neighbor.address.to_string();
    if (!neighbor.carries(family)) {
        if (family == Family::ipv4) out.push_back(command("no {} activate", name));
        return;
    }
    out.push_back(unless_default(command("{} activate", name), family == Family::ipv4));
    out.push_back(unless_default(command("{} send-community both", name), true));
    out.push_back(unless_default(command("{} send-community large", name), true));
    out.push_back(command("{} next-hop-self", name));
    if (neighbor.soft_reconfiguration)
        out.push_back(command("{} soft-reconfiguration inbound", name));
    out.push_back(command("{} prefix-list {} in", name, in_list(neighbor, family)));
    out.push_back(command("{} prefix-list {} out", name, all_service_ips(family)));
    out.push_back(command("{} route-map {} out", name, out_map(neighbor, family)));
}

FrrStatement router(const core::Bgp& bgp) {
    FrrStatement router = command("router bgp {}", bgp.local_as);
    router.end = "exit";
    router.inner.push_back(command("bgp router-id {}", bgp.router_id.to_string()));
    for (const core::BgpNeighbor& each : bgp.neighbors)
        add_session(bgp, each, router.inner);
    for (const Family family : families) {
        FrrStatement block = command("address-family {} unicast", word_of(family));
        block.end = "exit-address-family";
        if (announces(bgp, family))
            block.inner.push_back(
                command("redistribute kernel route-map {}", all_service_ips(family)));
        for (const core::BgpNeighbor& each : bgp.neighbors)
            add_policy(each, family, block.inner);
        if (!block.inner.empty()) router.inner.push_back(std::move(block));
    }
    return router;
}

// ---- text -----------------------------------------------------------------------------------

void print(const FrrStatement& statement, std::size_t depth, std::string& out) {
    const std::string margin(depth, ' ');
    if (!statement.comment.empty()) out += "!\n";
    for (const std::string& each : statement.comment)
        out += fmt::format("! {}\n", each);
    out += fmt::format("{}{}\n", margin, statement.text);
    for (const FrrStatement& each : statement.inner)
        print(each, depth + 1, out);
    if (!statement.end.empty()) out += fmt::format("{}{}\n", margin, statement.end);
}

constexpr std::string_view head =
    R"(! The part of FRR's configuration that announces dnsdirector's service IPs, as `dnsdirector bgp
! config` makes it from the bgp block. It is added to what runs by `vtysh -f FILE`, and kept by
! `write memory` in vtysh; what an older one said besides is not removed. `dnsdirector bgp check`
! says whether FRR runs it, and what else it has under these names.
!
! Only one route map can stand behind `redistribute kernel`: where FRR has one already, put the
! entries of ours before its own. Other neighbours that FRR has are not spoken of here; their own
! filters decide whether they are told of the service IPs.
!
! Where FRR runs it already, FRR says of the lines on graceful restart that they are not valid at
! this moment: they are in force.
)";

}  // namespace

std::vector<FrrStatement> frr_statements(const core::Bgp& bgp) {
    Statements out;
    add_general(bgp, out);
    add_profiles(bgp, out);
    const auto carried = [&](Family family) {
        return announces(bgp, family) ||
               std::any_of(bgp.neighbors.begin(), bgp.neighbors.end(),
                           [&](const auto& each) { return each.carries(family); });
    };
    for (const Family family : families) {
        if (!carried(family)) continue;
        add_lists(bgp, family, out);
        if (announces(bgp, family)) add_map(bgp, family, out);
        for (const core::BgpNeighbor& each : bgp.neighbors)
            if (each.carries(family)) add_out_map(each, family, out);
    }
    out.push_back(router(bgp));
    out.back().comment = {
        "Nothing is accepted of what neighbours send, unless `accept_default` "
        "asks for it."};
    return out;
}

std::string frr_config(const core::Bgp& bgp) {
    std::string out(head);
    for (const FrrStatement& each : frr_statements(bgp))
        print(each, 0, out);
    return out;
}

}  // namespace dnsdirector::announce
