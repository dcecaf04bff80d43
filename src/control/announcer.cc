// SPDX-License-Identifier: Apache-2.0
#include "control/announcer.h"

#include <algorithm>
#include <utility>

namespace dnsdirector::control {
namespace {

constexpr Seconds retry_after_error{1};

Nanoseconds draining_time(const core::Configuration& configuration) {
    return configuration.bgp ? configuration.bgp->draining_time : core::Bgp{}.draining_time;
}

}  // namespace

Announcer::Announcer(Engine& engine, std::function<Now()> clock)
    : engine_(engine), clock_(std::move(clock)) {
    engine_.on_configured = [this] { configured(); };
    engine_.on_decided = [this](std::span<const std::uint32_t> services) { decided(services); };
}

void Announcer::adopt(const std::map<IpAddress, core::AnnouncementState>& states) {
    adopted_.insert(states.begin(), states.end());
}

/// Called before the first decision about the new configuration. What it does not announce any
/// more is withdrawn here, before its forwarding ends.
void Announcer::configured() {
    const core::Configuration& configuration = engine_.configuration();
    std::map<IpAddress, ServiceIp> before = std::exchange(addresses_, {});
    address_of_service_.assign(configuration.services.size(), nullptr);
    const Now now = clock_();
    for (std::uint32_t i = 0; i < configuration.services.size(); ++i) {
        const core::ServiceKey& key = configuration.services[i].key;
        if (key.fwmark != 0) continue;  // it has no address
        const auto [place, fresh] = addresses_.try_emplace(key.address);
        place->second.services.push_back(i);
        address_of_service_[i] = &*place;
        if (!fresh) continue;
        if (const auto old = before.find(key.address); old != before.end()) {
            place->second.decision = std::move(old->second.decision);
            place->second.again = old->second.again;
        } else if (const auto left = adopted_.find(key.address); left != adopted_.end())
            place->second.decision = core::adopted(left->second, now.monotonic, now.wall);
    }
    adopted_.clear();
    if (configuration.bgp)
        for (const core::BgpAnnouncement& announcement : configuration.bgp->announcements)
            if (const auto found = addresses_.find(announcement.service_ip);
                found != addresses_.end()) {
                found->second.told = true;
                found->second.policy = announcement.policy;
            }
    find_next_change();
    hold_routes();
}

void Announcer::decided(std::span<const std::uint32_t> services) {
    std::vector<Address*> touched;
    for (const std::uint32_t index : services)
        if (Address* address = address_of_service_[index]; address != nullptr)
            touched.push_back(address);
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
    decide(touched);
}

core::Leaving Announcer::leaving() const {
    if (stopping_) return core::Leaving::stopping;
    return engine_.overrides().all_drained ? core::Leaving::drained : core::Leaving::no;
}

/// Returns the decision before.
core::AnnouncementDecision Announcer::decide_one(Address& address, const Now& now) {
    const core::Configuration& configuration = engine_.configuration();
    auto& [service_ip, each] = address;
    std::vector<core::AnnouncedService> services;
    services.reserve(each.services.size());
    for (const std::uint32_t index : each.services)
        services.push_back({&configuration.services[index], &engine_.decision(index)});
    core::AnnouncementDecision after =
        core::decide({.service_ip = service_ip,
                      .services = services,
                      .policy = each.policy,
                      .withdrawn_by_operator = engine_.overrides().withdrawn.contains(service_ip),
                      .forwarding_refused = engine_.refused(),
                      .leaving = leaving(),
                      .draining_time = draining_time(configuration),
                      .before = each.decision,
                      .now = now.monotonic,
                      .wall_now = now.wall});
    return std::exchange(each.decision, std::move(after));
}

void Announcer::decide(std::span<Address* const> addresses) {
    const Now now = clock_();
    std::vector<core::AnnouncementDecision> before;
    before.reserve(addresses.size());
    bool other_routes = false;
    bool other_times = false;
    for (Address* address : addresses) {
        before.push_back(decide_one(*address, now));
        const core::AnnouncementDecision& after = address->second.decision;
        other_routes = other_routes || before.back().state != after.state;
        other_times = other_times || before.back().next_change != after.next_change;
    }
    // Mostly a verdict changes nothing here, and that is the end.
    if (other_times) find_next_change();
    if (other_routes) hold_routes();
    if (!on_changed) return;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
        const core::AnnouncementDecision& after = addresses[i]->second.decision;
        if (before[i].state != after.state || !before[i].decided)
            on_changed(addresses[i]->first, before[i], after);
    }
}

void Announcer::find_next_change() {
    const auto keep_earlier = [](std::optional<TimePoint>& earliest,
                                 const std::optional<TimePoint>& other) {
        if (other && (!earliest || *other < *earliest)) earliest = other;
    };
    next_change_.reset();
    again_until_.reset();
    for (const auto& [service_ip, each] : addresses_) {
        keep_earlier(next_change_, each.decision.next_change);
        keep_earlier(again_until_, each.again.until);
    }
}

void Announcer::hold_routes() {
    if (!hold) return;
    retry_at_.reset();
    if (!hold(routes())) retry_at_ = clock_().monotonic + retry_after_error;
}

std::map<IpAddress, core::RouteState> Announcer::routes() const {
    std::map<IpAddress, core::RouteState> wished;
    for (const auto& [service_ip, each] : addresses_) {
        if (!each.told) continue;
        if (const auto state = core::route_of(each.decision.state))
            wished.emplace(service_ip, *state);
        else if (each.again.until)
            wished.emplace(service_ip, core::RouteState::draining);
    }
    return wished;
}

bool Announcer::withdraw_again(const IpAddress& service_ip) {
    const auto found = addresses_.find(service_ip);
    if (found == addresses_.end() || !found->second.told) return false;
    const core::AnnouncementDecision& decision = found->second.decision;
    if (!decision.decided || core::route_of(decision.state)) return false;
    ServiceIp::Again& again = found->second.again;
    const TimePoint now = clock_().monotonic;
    if (again.of_transition != decision.transitions) again = {decision.transitions, 0, {}, {}};
    if (again.times == most_again || (again.times > 0 && now < again.last + again_after))
        return false;
    again.times += 1;
    again.last = now;
    again.until = now + again_for;
    find_next_change();
    hold_routes();
    return true;
}

std::map<IpAddress, core::AnnouncementState> Announcer::states() const {
    std::map<IpAddress, core::AnnouncementState> states;
    for (const auto& [service_ip, each] : addresses_)
        states.emplace(service_ip, each.decision.state);
    return states;
}

bool Announcer::silent() const {
    const bool vrrp = engine_.configuration().director.presence == core::PresenceMode::when_active;
    return std::none_of(addresses_.begin(), addresses_.end(), [&](const Address& address) {
        return (address.second.told || vrrp) && core::route_of(address.second.decision.state);
    });
}

void Announcer::leave() {
    stopping_ = true;
    std::vector<Address*> all;
    all.reserve(addresses_.size());
    for (Address& address : addresses_)
        all.push_back(&address);
    decide(all);
}

std::optional<TimePoint> Announcer::deadline() const {
    std::optional<TimePoint> earliest;
    for (const auto& each : {retry_at_, next_change_, again_until_})
        if (each && (!earliest || *each < *earliest)) earliest = each;
    return earliest;
}

void Announcer::tick() {
    const TimePoint now = clock_().monotonic;
    if (again_until_ && *again_until_ <= now) {
        for (auto& [service_ip, each] : addresses_)
            if (each.again.until && *each.again.until <= now) each.again.until.reset();
        find_next_change();
        hold_routes();
    }
    if (retry_at_ && *retry_at_ <= now) hold_routes();
    if (!next_change_ || *next_change_ > now) return;
    std::vector<Address*> due;
    for (Address& address : addresses_)
        if (const auto next = address.second.decision.next_change; next && *next <= now)
            due.push_back(&address);
    decide(due);
}

const core::AnnouncementDecision* Announcer::find(const IpAddress& service_ip) const {
    const auto found = addresses_.find(service_ip);
    return found == addresses_.end() ? nullptr : &found->second.decision;
}

std::vector<AnnouncementSnapshot> Announcer::announcements() const {
    std::vector<AnnouncementSnapshot> list;
    list.reserve(addresses_.size());
    for (const auto& [service_ip, each] : addresses_)
        list.push_back({service_ip, each.told, each.decision, std::nullopt});
    const auto& bgp = engine_.configuration().bgp;
    if (!bgp) return list;
    std::map<IpAddress, const core::BgpAnnouncement*> announcements;
    for (const core::BgpAnnouncement& announcement : bgp->announcements)
        announcements.emplace(announcement.service_ip, &announcement);
    for (AnnouncementSnapshot& each : list) {
        const auto route = core::route_of(each.decision.state);
        const auto found = announcements.find(each.service_ip);
        if (route && found != announcements.end())
            each.attributes = found->second->states[static_cast<std::size_t>(*route)];
    }
    return list;
}

}  // namespace dnsdirector::control
