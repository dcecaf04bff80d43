// SPDX-License-Identifier: Apache-2.0
#include "core/bgp.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace dnsdirector::core {
namespace {

template <typename T>
void add_sorted(std::vector<T>& into, const std::vector<T>& others) {
    into.insert(into.end(), others.begin(), others.end());
    std::sort(into.begin(), into.end());
    into.erase(std::unique(into.begin(), into.end()), into.end());
}

/// Parts of a line, those that say something.
class Parts {
public:
    template <typename... Args>
    void add_if(bool says, fmt::format_string<Args...> format, Args&&... args) {
        if (says) parts_.push_back(fmt::format(format, std::forward<Args>(args)...));
    }
    [[nodiscard]] std::string text() const { return fmt::format("{}", fmt::join(parts_, ", ")); }

private:
    std::vector<std::string> parts_;
};

std::string text_of(const BgpNeighbor& neighbor) {
    const auto& [address, remote_as, description, password, multihop, ttl_security, source,
                 hold_time, keepalive, connect_retry, bfd, graceful_restart, accept_default,
                 soft_reconfiguration, next_hop] = neighbor;
    const BgpNeighbor standard;
    const Bfd detection = bfd.value_or(Bfd{});
    const auto& [interval, multiplier] = detection;
    Parts parts;
    parts.add_if(true, "remote_as {}", remote_as);
    parts.add_if(!description.empty(), "description \"{}\"", description);
    parts.add_if(!password.empty(), "password \"{}\"", password);
    parts.add_if(multihop != 1, "multihop {}", multihop);
    parts.add_if(ttl_security, "ttl_security");
    parts.add_if(source.has_value(), "source {}", source.value_or(IpAddress{}).to_string());
    parts.add_if(hold_time != standard.hold_time, "hold_time {}", to_text(hold_time));
    parts.add_if(keepalive != standard.keepalive, "keepalive {}", to_text(keepalive));
    parts.add_if(connect_retry != standard.connect_retry, "connect_retry {}",
                 to_text(connect_retry));
    parts.add_if(bfd.has_value(), "bfd {} x {}", to_text(interval), multiplier);
    parts.add_if(graceful_restart, "graceful_restart");
    parts.add_if(accept_default, "accept_default");
    parts.add_if(!soft_reconfiguration, "soft_reconfiguration off");
    for (const auto& hop : next_hop)
        parts.add_if(hop.has_value(), "next_hop {}", hop.value_or(IpAddress{}).to_string());
    return fmt::format("  neighbor {}: {}", address.to_string(), parts.text());
}

std::string text_of(const BgpAnnouncement& announcement) {
    const auto& [service_ip, policy, local_preference, states] = announcement;
    const auto& [needs, low_water, high_water, min_interval] = policy;
    Parts parts;
    parts.add_if(needs != AnnouncementPolicy{}.needs, "needs {}", needs[0] ? "udp" : "tcp");
    parts.add_if(low_water != 0, "low_water {}%", low_water);
    parts.add_if(high_water != low_water, "high_water {}%", high_water);
    parts.add_if(min_interval != AnnouncementPolicy{}.min_interval, "min_interval {}",
                 to_text(min_interval));
    parts.add_if(local_preference != default_local_preference, "local_preference {}",
                 local_preference);
    for (const RouteState state : route_states) {
        const auto& [med, communities] = states[static_cast<std::size_t>(state)];
        parts.add_if(true, "{} med {}{}{}", to_string(state), med,
                     communities.empty() ? "" : " community ", communities.to_string());
    }
    return fmt::format("  announce {}: {}", service_ip.to_string(), parts.text());
}

}  // namespace

std::string_view to_string(RouteState state) {
    switch (state) {
        case RouteState::announced: return "announced";
        case RouteState::degraded: return "degraded";
        case RouteState::draining: return "draining";
    }
    return "";
}

std::string_view to_string(RoutingDaemon daemon) {
    switch (daemon) {
        case RoutingDaemon::bird: return "bird";
        case RoutingDaemon::existing_bird: return "existing bird";
        case RoutingDaemon::existing_frr: return "existing frr";
    }
    return "";
}

std::string Community::to_string() const {
    return fmt::format("{}:{}", as, value);
}

std::string LargeCommunity::to_string() const {
    return fmt::format("{}:{}:{}", global, local1, local2);
}

void Communities::add(const Communities& others) {
    add_sorted(standard, others.standard);
    add_sorted(large, others.large);
}

std::string Communities::to_string() const {
    std::vector<std::string> words;
    words.reserve(standard.size() + large.size());
    for (const Community& each : standard)
        words.push_back(each.to_string());
    for (const LargeCommunity& each : large)
        words.push_back(each.to_string());
    return fmt::format("{}", fmt::join(words, " "));
}

// A member that is added does not compile here until it has its words.
std::vector<std::string> full_text(const Bgp& bgp) {
    const auto& [daemon, local_as, router_id, ip_forwarding, draining_time, neighbors,
                 announcements] = bgp;
    Parts parts;
    parts.add_if(daemon != RoutingDaemon::bird, "daemon {}", to_string(daemon));
    parts.add_if(true, "local_as {}", local_as);
    parts.add_if(true, "router_id {}", router_id.to_string());
    parts.add_if(ip_forwarding, "ip_forwarding");
    parts.add_if(draining_time != Bgp{}.draining_time, "draining_time {}", to_text(draining_time));
    std::vector<std::string> lines = {"bgp: " + parts.text()};
    lines.reserve(1 + neighbors.size() + announcements.size());
    for (const BgpNeighbor& neighbor : neighbors)
        lines.push_back(text_of(neighbor));
    for (const BgpAnnouncement& announcement : announcements)
        lines.push_back(text_of(announcement));
    return lines;
}

}  // namespace dnsdirector::core
