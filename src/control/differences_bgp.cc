// SPDX-License-Identifier: Apache-2.0
#include "control/differences_bgp.h"

#include <fmt/format.h>

#include <functional>
#include <map>

#include "base/time.h"

namespace dnsdirector::control {
namespace {

using Lines = std::vector<std::string>;

template <typename T>
struct Setting {
    std::string_view name;
    std::string (*value)(const T&);
};

std::string on_off(bool value) {
    return value ? "on" : "off";
}

std::string text_of(const std::optional<IpAddress>& address) {
    return address ? address->to_string() : "automatic";
}

std::string text_of(const std::optional<core::Bfd>& bfd) {
    return bfd ? fmt::format("{} {}", to_text(bfd->interval), bfd->multiplier) : "off";
}

const Setting<core::Bgp> bgp_settings[] = {
    {"daemon", [](const core::Bgp& bgp) { return std::string(to_string(bgp.daemon)); }},
    {"local_as", [](const core::Bgp& bgp) { return std::to_string(bgp.local_as); }},
    {"router_id", [](const core::Bgp& bgp) { return bgp.router_id.to_string(); }},
    {"ip_forwarding", [](const core::Bgp& bgp) { return on_off(bgp.ip_forwarding); }},
    {"draining_time", [](const core::Bgp& bgp) { return to_text(bgp.draining_time); }},
};

using Neighbor = core::BgpNeighbor;
const Setting<Neighbor> neighbor_settings[] = {
    {"remote_as", [](const Neighbor& n) { return std::to_string(n.remote_as); }},
    {"description", [](const Neighbor& n) { return n.description; }},
    {"multihop", [](const Neighbor& n) { return std::to_string(n.multihop); }},
    {"ttl_security", [](const Neighbor& n) { return on_off(n.ttl_security); }},
    {"source", [](const Neighbor& n) { return text_of(n.source); }},
    {"hold_time", [](const Neighbor& n) { return to_text(n.hold_time); }},
    {"keepalive", [](const Neighbor& n) { return to_text(n.keepalive); }},
    {"connect_retry", [](const Neighbor& n) { return to_text(n.connect_retry); }},
    {"bfd", [](const Neighbor& n) { return text_of(n.bfd); }},
    {"graceful_restart", [](const Neighbor& n) { return on_off(n.graceful_restart); }},
    {"accept_default", [](const Neighbor& n) { return on_off(n.accept_default); }},
    {"soft_reconfiguration", [](const Neighbor& n) { return on_off(n.soft_reconfiguration); }},
    {"next_hop IPv4", [](const Neighbor& n) { return text_of(n.next_hop[0]); }},
    {"next_hop IPv6", [](const Neighbor& n) { return text_of(n.next_hop[1]); }},
};

using Announcement = core::BgpAnnouncement;
template <core::RouteState state>
std::string med_of(const Announcement& announcement) {
    return std::to_string(announcement.states[static_cast<std::size_t>(state)].med);
}
template <core::RouteState state>
std::string communities_of(const Announcement& announcement) {
    return announcement.states[static_cast<std::size_t>(state)].communities.to_string();
}

std::string needs_of(const Announcement& announcement) {
    const auto& [udp, tcp] = announcement.policy.needs;
    return udp && tcp ? "udp tcp" : udp ? "udp" : "tcp";
}

const Setting<Announcement> announcement_settings[] = {
    {"needs", needs_of},
    {"low_water", [](const Announcement& a) { return fmt::format("{}%", a.policy.low_water); }},
    {"high_water", [](const Announcement& a) { return fmt::format("{}%", a.policy.high_water); }},
    {"min_interval", [](const Announcement& a) { return to_text(a.policy.min_interval); }},
    {"local_preference", [](const Announcement& a) { return std::to_string(a.local_preference); }},
    {"med", med_of<core::RouteState::announced>},
    {"degraded_med", med_of<core::RouteState::degraded>},
    {"draining_med", med_of<core::RouteState::draining>},
    {"community", communities_of<core::RouteState::announced>},
    {"communities when degraded", communities_of<core::RouteState::degraded>},
    {"communities when draining", communities_of<core::RouteState::draining>},
};

template <typename T, std::size_t size>
void compare(std::string_view what, const T& was, const T& is, const Setting<T> (&settings)[size],
             Lines& lines) {
    for (const Setting<T>& setting : settings)
        if (const std::string before = setting.value(was), after = setting.value(is);
            before != after)
            lines.push_back(fmt::format("{}: {} '{}' -> '{}'", what, setting.name, before, after));
}

/// What a list gained, lost, and holds in another way; `kind` names one of it.
template <typename T, std::size_t size>
void compare_lists(std::string_view kind, const std::vector<T>& was, const std::vector<T>& is,
                   IpAddress T::* key, const Setting<T> (&settings)[size], Lines& lines,
                   const std::function<void(const std::string&, const T&, const T&)>& more) {
    std::map<IpAddress, const T*> old;
    for (const T& each : was)
        old.emplace(each.*key, &each);
    for (const T& each : is) {
        const std::string name = fmt::format("bgp: {} {}", kind, (each.*key).to_string());
        const auto found = old.find(each.*key);
        if (found == old.end()) {
            lines.push_back(fmt::format("bgp: add {} {}", kind, (each.*key).to_string()));
            continue;
        }
        compare(name, *found->second, each, settings, lines);
        more(name, *found->second, each);
        old.erase(found);
    }
    for (const auto& [address, each] : old)
        lines.push_back(fmt::format("bgp: remove {} {}", kind, address.to_string()));
}

}  // namespace

std::vector<std::string> differences_of_bgp(const std::optional<core::Bgp>& present,
                                            const std::optional<core::Bgp>& next) {
    if (!present && !next) return {};
    if (!present) return {fmt::format("bgp: add with {} neighbors", next->neighbors.size())};
    if (!next) return {"bgp: remove"};
    Lines lines;
    compare("bgp", *present, *next, bgp_settings, lines);
    compare_lists<Neighbor>("neighbor", present->neighbors, next->neighbors, &Neighbor::address,
                            neighbor_settings, lines,
                            [&](const std::string& name, const Neighbor& was, const Neighbor& is) {
                                if (was.password != is.password)
                                    lines.push_back(name + ": another password");
                            });
    compare_lists<Announcement>(
        "announce", present->announcements, next->announcements, &Announcement::service_ip,
        announcement_settings, lines,
        [](const std::string&, const Announcement&, const Announcement&) {});
    return lines;
}

}  // namespace dnsdirector::control
