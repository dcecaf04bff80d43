// SPDX-License-Identifier: Apache-2.0
#include "control/engine.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "control/engine_lookup.h"

namespace dnsdirector::control {
namespace {

constexpr Seconds retry_after_error{1};

/// Nobody has work, but somebody may as soon as it was asked: a reload (or a
/// start with another file) that replaced every server. What the kernel
/// forwards to until then is better than nothing, and than the sorry server.
bool waits_for_verdicts(const core::Service& service, const core::ServiceDecision& decision) {
    return !has_work(decision.forwarding, service.sorry_server) &&
           std::any_of(decision.servers.begin(), decision.servers.end(),
                       [](const core::ServerDecision& server) {
                           return server.health == core::Health::unknown && !server.drained &&
                                  server.configured_weight > 0;
                       });
}

}  // namespace

Engine::Engine(dataplane::DataPlane& plane, probe::Prober& prober, std::function<Now()> clock)
    : plane_(plane), prober_(prober), clock_(std::move(clock)) {
    prober_.on_verdict = [this](probe::CheckId id, core::Verdict verdict) {
        on_verdict(id, std::move(verdict));
    };
    plane_.on_reachability_changed = [this](std::span<const IpAddress> servers) {
        on_reachability(servers);
    };
}

// ---- configuration ------------------------------------------------------------

Result<void> Engine::configure(core::Configuration next) {
    // What the kernel holds decides how new checks start, so it is read first:
    // at the start this adopts what a predecessor left behind.
    plane_.expect(next);
    if (auto actual = plane_.read())
        actual_ = std::move(*actual);
    else
        failed(actual.error());

    const Members known_out = servers_known_out();
    const auto leaving = leaving_servers(next);
    std::map<core::ServiceKey, ServiceRuntime> before;
    for (std::size_t i = 0; i < services_.size(); ++i)
        before.emplace(configuration_.services[i].key, std::move(services_[i]));

    std::set<probe::CheckId> kept;
    for (const CheckRuntime& check : checks_)
        kept.insert(check.id);
    adopt_checks(next, known_out);
    const core::Configuration previous = std::exchange(configuration_, std::move(next));

    wakeups_.clear();
    services_.assign(configuration_.services.size(), {});
    for (std::size_t i = 0; i < services_.size(); ++i) {
        core::ServiceMemory& memory = services_[i].decision.memory;
        if (const auto old = before.find(configuration_.services[i].key); old != before.end())
            memory = std::move(old->second.decision.memory);
        else
            memory = memory_of_predecessor(configuration_.services[i], known_out);
    }
    index_services();
    if (on_configured) on_configured();

    std::vector<dataplane::TrackedServer> tracked;
    for (const core::Service& service : configuration_.services) {
        for (const core::RealServer& server : service.real_servers)
            tracked.push_back(
                {service.key, server.endpoint, server.method.value_or(service.method)});
        if (const auto& sorry = service.sorry_server)
            tracked.push_back(
                {service.key, sorry->endpoint, sorry->method.value_or(service.method)});
        // Servers that leave may have to bridge the time until the new ones are judged.
        if (const core::ServiceForwarding* actual = find(actual_, service.key))
            for (const core::Destination& destination : actual->destinations)
                tracked.push_back({service.key, destination.server, destination.method});
    }
    std::sort(tracked.begin(), tracked.end());
    tracked.erase(std::unique(tracked.begin(), tracked.end()), tracked.end());
    plane_.track(tracked);

    forget_the_gone();
    auto decided = decide_all();
    follow_checks(kept);
    if (decided && on_notice)
        for (const auto& [index, notice] : leaving)
            on_notice(previous.services[index], notice);
    return decided;
}

void Engine::index_services() {
    services_of_server_.clear();
    for (ServiceIndex index = 0; index < configuration_.services.size(); ++index) {
        const core::Service& service = configuration_.services[index];
        const auto add = [&](const Endpoint& server) {
            auto& services = services_of_server_[server.address];
            if (services.empty() || services.back() != index) services.push_back(index);
        };
        for (const core::RealServer& server : service.real_servers)
            add(server.endpoint);
        if (service.sorry_server) add(service.sorry_server->endpoint);
    }
}

/// Tells the prober which checks came and went. New ones last, when the engine
/// is whole: their verdicts may come at once.
void Engine::follow_checks(const std::set<probe::CheckId>& kept) {
    for (const probe::CheckId id : kept)
        if (!check_of_id_.contains(id)) prober_.remove(id);
    for (core::CheckIndex i = 0; i < checks_.size(); ++i) {
        const CheckRuntime& check = checks_[i];
        if (kept.contains(check.id)) continue;
        const bool at_once = check.state.health == core::Health::unknown;
        prober_.add(check.id, configuration_.checks[i], at_once);
    }
}

void Engine::set_overrides(core::Overrides overrides) {
    overrides_ = std::move(overrides);
    (void)decide_all();  // an error was reported, and is tried again
}

// ---- inputs that change by themselves ---------------------------------------

void Engine::on_verdict(probe::CheckId id, core::Verdict verdict) {
    const auto found = check_of_id_.find(id);
    if (found == check_of_id_.end()) return;
    CheckRuntime& check = checks_[found->second];
    const TimePoint at = verdict.at;
    chronicle_.add(id, verdict);
    const core::Check& value = configuration_.checks[found->second];
    const core::Step step = core::advance(check.state, value, std::move(verdict));
    if (step.hurry) prober_.hurry(id);
    if (step.retry) prober_.retry(id, value.timing.retry_after);
    if (!step.changed) return;
    dirty_.insert(check.services.begin(), check.services.end());
    if (!oldest_verdict_) oldest_verdict_ = at;
}

void Engine::on_reachability(std::span<const IpAddress> servers) {
    for (const IpAddress& server : servers)
        if (const auto found = services_of_server_.find(server); found != services_of_server_.end())
            dirty_.insert(found->second.begin(), found->second.end());
}

void Engine::flush() {
    if (dirty_.empty()) return;
    const std::vector<ServiceIndex> services(dirty_.begin(), dirty_.end());
    dirty_.clear();
    (void)decide(services);
    if (const auto since = std::exchange(oldest_verdict_, std::nullopt)) {
        timings_.last_verdict_to_table = clock_().monotonic - *since;
        timings_.worst_verdict_to_table =
            std::max(timings_.worst_verdict_to_table, timings_.last_verdict_to_table);
    }
}

std::optional<TimePoint> Engine::deadline() const {
    if (!dirty_.empty()) return TimePoint{};  // long ago: at once
    std::optional<TimePoint> earliest = retry_at_;
    if (!wakeups_.empty() && (!earliest || wakeups_.begin()->first < *earliest))
        earliest = wakeups_.begin()->first;
    return earliest;
}

void Engine::tick() {
    flush();
    const TimePoint now = clock_().monotonic;
    if (retry_at_ && *retry_at_ <= now) {
        retry_at_.reset();
        // An error is reported through on_error, and asks for another try.
        if (repair() && on_decided) on_decided(all_services());
    }
    std::vector<ServiceIndex> due;
    for (const auto& [at, index] : wakeups_) {
        if (at > now) break;
        due.push_back(index);
    }
    (void)decide(due);
}

void Engine::wake(ServiceIndex index, std::optional<TimePoint> before,
                  std::optional<TimePoint> after) {
    if (before == after) return;
    if (before) wakeups_.erase({*before, index});
    if (after) wakeups_.emplace(*after, index);
}

// ---- decide → diff → apply ----------------------------------------------------

std::vector<Engine::ServiceIndex> Engine::all_services() const {
    std::vector<ServiceIndex> all(services_.size());
    std::iota(all.begin(), all.end(), 0U);
    return all;
}

Result<void> Engine::decide_all() {
    dirty_.clear();
    oldest_verdict_.reset();
    auto decided = decide(all_services());
    // Services that are not in the configuration any more.
    std::vector<core::Change> changes;
    std::set<core::ServiceKey> wished;
    for (const core::Service& service : configuration_.services)
        wished.insert(service.key);
    for (const auto& [key, service] : actual_)
        if (!wished.contains(key)) changes.emplace_back(core::RemoveService{key});
    auto removed = apply(changes);
    return decided ? removed : decided;
}

Result<void> Engine::decide(std::span<const ServiceIndex> services) {
    if (services.empty()) return {};
    const Now now = clock_();
    std::vector<core::Change> changes;
    std::vector<core::ServiceDecision> before;
    before.reserve(services.size());
    for (const ServiceIndex index : services)
        before.push_back(decide_one(index, now, changes));
    const Written written = to_be_written(changes);
    auto applied = apply(changes);
    if (on_decided) on_decided(services);
    // People are told after the kernel was, also of what it refused: that is
    // reported as an error and tried again until it holds.
    for (std::size_t i = 0; i < services.size(); ++i) {
        remember(services[i], before[i], written, applied.has_value(), now);
        report(services[i], before[i]);
    }
    return applied;
}

core::ServiceDecision Engine::decide_one(ServiceIndex index, const Now& now,
                                         std::vector<core::Change>& changes) {
    ServiceRuntime& runtime = services_[index];
    const core::Service& service = configuration_.services[index];
    const std::function<const core::CheckState&(core::CheckIndex)> check_state =
        [this](core::CheckIndex check) -> const core::CheckState& { return checks_[check].state; };
    const std::function<std::string(const Endpoint&, core::ForwardingMethod)> unreachable =
        [this](const Endpoint& server, core::ForwardingMethod method) {
            return plane_.unreachable_reason(server, method);
        };

    core::ServiceDecision before = std::move(runtime.decision);
    runtime.decision = core::decide({.service = service,
                                     .check_state = check_state,
                                     .overrides = overrides_,
                                     .unreachable_reason = unreachable,
                                     .memory = before.memory,
                                     .now = now.monotonic,
                                     .wall_now = now.wall});
    const core::ServiceForwarding* actual = find(actual_, service.key);
    bridge(service, runtime.decision);
    const std::vector<core::Change> own = core::diff(actual, &runtime.decision.forwarding);
    changes.insert(changes.end(), own.begin(), own.end());
    wake(index, before.next_change, runtime.decision.next_change);
    return before;
}

/// Nobody has work, but somebody may as soon as it was asked: a reload (or a
/// start with another file) that replaced every server. Until then the kernel
/// goes on with the old ones; not with one that the operator drained, or that
/// is known to be down.
void Engine::bridge(const core::Service& service, core::ServiceDecision& decision) const {
    const core::ServiceForwarding* actual = find(actual_, service.key);
    if (actual == nullptr || !waits_for_verdicts(service, decision)) return;
    const auto is_sorry_server = [&](const core::Destination& destination) {
        return service.sorry_server && service.sorry_server->endpoint == destination.server;
    };
    std::vector<core::Destination> kept;
    for (const core::Destination& old : actual->destinations) {
        if (old.weight > core::max_weight * core::slow_start_steps) continue;  // damaged
        const auto configured = std::find_if(
            service.real_servers.begin(), service.real_servers.end(),
            [&](const core::RealServer& server) { return server.endpoint == old.server; });
        if (configured != service.real_servers.end()) continue;  // the decision says all
        if (!is_sorry_server(old)) kept.push_back(old);
    }
    if (kept.empty()) return;
    auto& destinations = decision.forwarding.destinations;
    if (decision.sorry && decision.sorry->in_use) {
        decision.sorry = core::SorryDecision{};
        std::erase_if(destinations, is_sorry_server);
    }
    destinations.insert(destinations.end(), kept.begin(), kept.end());
    std::sort(destinations.begin(), destinations.end());
}

void Engine::report(ServiceIndex index, const core::ServiceDecision& before) {
    const core::Service& service = configuration_.services[index];
    const core::ServiceDecision& after = services_[index].decision;
    if (on_notice)
        for (const core::Notice& notice : core::notices(before.memory, after.memory))
            on_notice(service, notice);
    const bool sorry_was_used = before.sorry && before.sorry->in_use;
    const bool sorry_is_used = after.sorry && after.sorry->in_use;
    if (on_service_changed && !before.servers.empty() &&
        (before.quorum.met != after.quorum.met || sorry_was_used != sorry_is_used))
        on_service_changed(service, after);
    if (!on_server_changed) return;
    for (std::size_t i = 0; i < after.servers.size() && i < before.servers.size(); ++i) {
        const core::ServerDecision& old = before.servers[i];
        const core::ServerDecision& now = after.servers[i];
        if (old.state != now.state || old.held != now.held || old.reachable != now.reachable)
            on_server_changed(service, service.real_servers[i], old, now);
    }
}

Result<void> Engine::apply(const std::vector<core::Change>& changes) {
    if (changes.empty()) return {};
    if (auto applied = plane_.apply(changes); !applied) {
        failed(applied.error());
        if (auto actual = plane_.read()) actual_ = std::move(*actual);
        return applied;
    }
    for (const core::Change& change : changes)
        core::apply(actual_, change);
    return {};
}

void Engine::failed(const Error& error) {
    retry_at_ = clock_().monotonic + retry_after_error;
    if (on_error) on_error(error);
}

Result<std::vector<std::string>> Engine::repair() {
    auto actual = plane_.read();
    if (!actual) {
        failed(actual.error());
        return tl::unexpected(actual.error());
    }
    actual_ = std::move(*actual);
    core::Forwarding desired;
    for (const ServiceRuntime& service : services_)
        desired.emplace(service.decision.forwarding.key, service.decision.forwarding);
    const std::vector<core::Change> changes = core::diff(actual_, desired);
    std::vector<std::string> lines;
    lines.reserve(changes.size());
    for (const core::Change& change : changes)
        lines.push_back(core::describe(change, actual_));
    const Written written = to_be_written(changes);
    auto applied = apply(changes);
    remember_repair(written, applied.has_value());
    if (!applied) return tl::unexpected(applied.error());
    return lines;
}

}  // namespace dnsdirector::control
