// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/plane.h"

#include <spdlog/spdlog.h>

#include <chrono>

namespace dnsdirector::dataplane::xdp {

TimePoint time_now() {
    return TimePoint{std::chrono::duration_cast<Nanoseconds>(
        std::chrono::steady_clock::now().time_since_epoch())};
}

// ---- what is forwarded --------------------------------------------------------

Result<core::Forwarding> Plane::read() {
    check_links();
    check_pins();
    return services_.read();
}

Result<Counters> Plane::counters() {
    Counters counters;
    if (auto done = services_.count(counters); !done) return tl::unexpected(done.error());
    static constexpr const char* names[] = {
#define REASON_NAME(name, verdict, text) #name,
        FOR_EACH_REASON(REASON_NAME)
#undef REASON_NAME
    };
    const auto sums = sum_per_cpu(maps_->fd(MapId::reasons), abi::REASON_COUNT, 1);
    if (!sums) return tl::unexpected(sums.error());
    for (std::size_t i = 0; i < abi::REASON_COUNT; ++i)
        counters.drops[names[i]] = (*sums)[i];
    // By name: another layout's list may have been longer.
    for (const auto& [name, packets] : maps_->base().counts().drops)
        counters.drops[name] += packets;
    auto flows = flows_.count();
    if (!flows) return tl::unexpected(flows.error());
    counters.flows = *flows;
    return counters;
}

void Plane::track(std::span<const TrackedServer> servers) {
    const TimePoint now = time_now();
    std::set<Target> targets;
    std::vector<IpAddress> all;
    std::vector<std::pair<core::ServiceKey, Endpoint>> members;
    for (const TrackedServer& each : servers) {
        if (targets.emplace(each.server.address, each.method).second)
            all.push_back(each.server.address);
        members.emplace_back(each.service, each.server);
    }
    services_.track(members, now);
    hops_.track(targets, other_directors_, now);
    tracked_ = true;
    guard();
    // Tables that were adopted may hold MACs that are not right any more.
    if (auto done = services_.refresh(all, now); !done) spdlog::error("{}", done.error().message);
    attach_wanted();
}

// ---- events -------------------------------------------------------------------

void Plane::listen() {
    monitor_->on_link = [this](const netlink::Link& link, bool gone) { link_changed(link, gone); };
    monitor_->on_neighbour = [this](const netlink::Neighbour& neighbour) {
        hops_.on_neighbour(neighbour, time_now());
    };
    monitor_->on_address = [this](const netlink::InterfaceAddress& address, bool) {
        hops_.on_address(address.address, time_now());
    };
    monitor_->on_route = [this] { hops_.on_route(time_now()); };
    monitor_->on_overflow = [this] { reload_network(); };
}

void Plane::on_readable() {
    if (detached_) return;
    monitor_->on_readable();
    if (too_big_) too_big_->on_readable(time_now());
    hand_on_changes();
}

std::optional<TimePoint> Plane::deadline() const {
    std::optional<TimePoint> first;
    if (detached_) return first;
    for (const auto& each :
         {services_.deadline(), hops_.deadline(), monitor_->deadline(), retry_at_,
          too_big_ ? too_big_->deadline() : std::nullopt,
          maps_->remembers_flows() ? std::optional{flows_.deadline()} : std::nullopt})
        if (each && (!first || *each < *first)) first = each;
    return first;
}

void Plane::on_deadline(TimePoint now) {
    if (detached_) return;
    services_.on_deadline(now);
    if (maps_->remembers_flows())
        if (const auto idle = flows_.on_deadline(now)) services_.forget_moves(*idle);
    if (const auto at = monitor_->deadline(); at && *at <= now) monitor_->on_deadline(now);
    if (const auto at = hops_.deadline(); at && *at <= now) hops_.on_deadline(now);
    if (too_big_) too_big_->on_deadline(now);
    if (retry_at_ && *retry_at_ <= now) {
        retry_at_.reset();
        attach_wanted();
    }
    hand_on_changes();
}

/// Whose frames stay here: known before a table leads to them.
void Plane::guard() {
    const auto insiders = hops_.take_insiders();
    if (!insiders) return;
    if (auto done = insiders_.set(*insiders); !done) spdlog::error("{}", done.error().message);
}

/// Tables first, then the engine: what it decides builds on them.
void Plane::hand_on_changes() {
    const std::vector<IpAddress> changed = hops_.take_changed();
    guard();
    if (tracked_ && wanted_.empty() && hops_.ports() != seen_ports_) attach_wanted();
    if (changed.empty()) return;
    if (auto done = services_.refresh(changed, time_now()); !done)
        spdlog::error("{}", done.error().message);
    if (on_reachability_changed) on_reachability_changed(changed);
}

void Plane::reload_network() {
    const TimePoint now = time_now();
    if (auto loaded = hops_.load(); !loaded) spdlog::error("{}", loaded.error().message);
    hops_.on_route(now);
    check_links();
}

}  // namespace dnsdirector::dataplane::xdp
