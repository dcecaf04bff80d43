// SPDX-License-Identifier: Apache-2.0
#include "core/announcement.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/deciding.h"

namespace dnsdirector::core {
namespace {

/// A state and the reason for it.
struct Wish {
    AnnouncementState state = AnnouncementState::announced;
    std::string reason;
};

bool needed(const AnnouncementInput& input, const AnnouncedService& each) {
    const auto wanted = [&](const AnnouncedService& service) {
        return input.policy.needs[static_cast<std::size_t>(service.service->key.protocol)];
    };
    return wanted(each) || std::none_of(input.services.begin(), input.services.end(), wanted);
}

/// A server that would get work, were it well, and of which nobody knows; nothing if all are
/// known.
std::optional<std::string> not_judged(const AnnouncementInput& input) {
    for (const AnnouncedService& each : input.services) {
        if (!needed(input, each)) continue;
        const auto& servers = each.decision->servers;
        for (std::size_t i = 0; i < servers.size(); ++i)
            if (servers[i].health == Health::unknown && !servers[i].drained &&
                servers[i].configured_weight > 0)
                return fmt::format("{} of {} was not judged yet",
                                   each.service->real_servers[i].name,
                                   each.service->key.to_string());
    }
    return std::nullopt;
}

std::optional<std::string> without_quorum(const AnnouncementInput& input) {
    for (const AnnouncedService& each : input.services)
        if (needed(input, each) && !each.decision->quorum.met)
            return fmt::format("{}: quorum not met, {}", each.service->key.to_string(),
                               shortfall(each.decision->quorum));
    return std::nullopt;
}

/// Below the share of the weight that the policy wants: low_water, and from there up to
/// high_water.
std::optional<std::string> few_servers(const AnnouncementInput& input, bool announced_now) {
    const auto& [needs, low, high, min_interval] = input.policy;
    for (const AnnouncedService& each : input.services) {
        if (!needed(input, each)) continue;
        std::uint64_t all = 0;
        for (const RealServer& server : each.service->real_servers)
            all += server.weight;
        const std::uint64_t up = each.decision->quorum.up;
        const bool below_low = up * 100 < all * low;
        if (below_low || (!announced_now && up * 100 < all * high))
            return fmt::format("{}: {} of the weight {} is up, less than {}_water {}%",
                               each.service->key.to_string(), up, all, below_low ? "low" : "high",
                               below_low ? low : high);
    }
    return std::nullopt;
}

/// What the servers' health asks for.
Wish wish_of_health(const AnnouncementInput& input) {
    const AnnouncementState kept = input.before.by_health;
    if (input.services.empty())
        return {AnnouncementState::withdrawn, "no service has this address"};
    if (const auto who = not_judged(input)) {
        if (kept == AnnouncementState::withdrawn) return {kept, *who};
        return {kept, fmt::format("as before, since {}", *who)};
    }
    if (auto lack = without_quorum(input)) return {AnnouncementState::withdrawn, std::move(*lack)};
    if (auto few = few_servers(input, kept == AnnouncementState::announced))
        return {AnnouncementState::degraded, std::move(*few)};
    return {};
}

/// The moment before which the better state does not come; nothing when it may.
std::optional<TimePoint> damped_until(const AnnouncementInput& input, AnnouncementState wished) {
    const AnnouncementDecision& before = input.before;
    if (!before.changed_by_health || wished >= before.by_health) return std::nullopt;
    const TimePoint earliest = *before.changed_by_health + input.policy.min_interval;
    return input.now < earliest ? std::optional(earliest) : std::nullopt;
}

/// Health, with the damping of what gets better.
Wish judge_health(const AnnouncementInput& input, AnnouncementDecision& decision) {
    Wish wish = wish_of_health(input);
    const AnnouncementState kept = input.before.by_health;
    if (input.forwarding_refused && wish.state < kept) {
        wish = {kept, fmt::format("well enough to be {}, which waits for the data plane to take "
                                  "what was decided; the log says why it does not",
                                  to_string(wish.state))};
    } else if (const auto until = damped_until(input, wish.state)) {
        decision.next_change = until;
        wish = {kept, fmt::format("well enough to be {} again, which waits for min_interval, {}",
                                  to_string(wish.state), to_text(input.policy.min_interval))};
    }
    // The first judgement is no change; what was adopted is one's own earlier judgement.
    if (wish.state != kept && (input.before.decided || wish.state > kept))
        decision.changed_by_health = input.now;
    decision.by_health = wish.state;
    return wish;
}

/// `drain --all` and a stop: draining first, so that routers move the traffic while
/// everything still works.
Wish judge_leaving(const AnnouncementInput& input, AnnouncementDecision& decision) {
    constexpr std::string_view why[] = {"", "this director is drained by the operator",
                                        "this director stops"};
    const std::string reason{why[static_cast<std::size_t>(input.leaving)]};
    const bool was_told = route_of(input.before.state).has_value();
    if (!decision.draining_since)
        decision.draining_since = was_told ? input.now : input.now - input.draining_time;
    const TimePoint end = *decision.draining_since + input.draining_time;
    if (input.now >= end) return {AnnouncementState::withdrawn, reason};
    decision.next_change = end;
    return {AnnouncementState::draining, reason};
}

}  // namespace

std::string_view to_string(AnnouncementState state) {
    if (const auto route = route_of(state)) return to_string(*route);
    return "withdrawn";
}

std::optional<RouteState> route_of(AnnouncementState state) {
    switch (state) {
        case AnnouncementState::announced: return RouteState::announced;
        case AnnouncementState::degraded: return RouteState::degraded;
        case AnnouncementState::draining: return RouteState::draining;
        case AnnouncementState::withdrawn: break;
    }
    return std::nullopt;
}

AnnouncementDecision decide(const AnnouncementInput& input) {
    AnnouncementDecision decision = input.before;
    decision.next_change.reset();
    Wish wish = judge_health(input, decision);
    if (input.leaving == Leaving::no)
        decision.draining_since.reset();
    else if (wish.state != AnnouncementState::withdrawn)
        wish = judge_leaving(input, decision);
    if (input.withdrawn_by_operator)
        wish = {AnnouncementState::withdrawn,
                fmt::format("withdrawn by the operator; `dnsdirector announce {}` takes it back",
                            input.service_ip.to_string())};
    if (!decision.decided || wish.state != decision.state) {
        if (decision.decided || wish.state != decision.state) ++decision.transitions;
        decision.since = input.now;
        decision.wall_since = input.wall_now;
    }
    decision.state = wish.state;
    decision.reason = std::move(wish.reason);
    decision.decided = true;
    return decision;
}

AnnouncementDecision adopted(AnnouncementState state, TimePoint now, WallTime wall_now) {
    AnnouncementDecision decision;
    decision.state = state;
    decision.reason = "as a predecessor left it";
    decision.since = now;
    decision.wall_since = wall_now;
    // One that was draining was well.
    decision.by_health =
        state == AnnouncementState::draining ? AnnouncementState::announced : state;
    return decision;
}

std::map<IpAddress, AnnouncementState> states_of(const std::set<AnnouncedRoute>& routes) {
    std::map<IpAddress, AnnouncementState> states;
    for (const RouteState state : route_states)
        for (const auto& [service_ip, metric] : routes)
            if (metric == metric_of(state))
                states.emplace(service_ip, static_cast<AnnouncementState>(state));
    return states;
}

std::vector<RouteChange> diff(const std::set<AnnouncedRoute>& actual,
                              const std::map<IpAddress, RouteState>& desired) {
    std::vector<RouteChange> changes;
    for (const auto& [service_ip, state] : desired)
        if (const AnnouncedRoute route{service_ip, metric_of(state)}; !actual.contains(route))
            changes.push_back({true, route});
    for (const AnnouncedRoute& route : actual) {
        const auto wished = desired.find(route.first);
        if (wished == desired.end() || metric_of(wished->second) != route.second)
            changes.push_back({false, route});
    }
    return changes;
}

}  // namespace dnsdirector::core
