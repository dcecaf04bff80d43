// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/differences.h"
#include "control/overrides_store.h"
#include "control/running_director.h"

namespace dnsdirector::control {

Snapshot RunningDirector::snapshot() {
    Snapshot snapshot;
    snapshot.version = options_.version;
    snapshot.at = wall_now();
    snapshot.started_at = started_at_;
    snapshot.config_path = options_.config_path;
    snapshot.loaded_at = loaded_at_;
    snapshot.generation = generation_;
    snapshot.last_error = last_error_;
    snapshot.kind = engine_.configuration().director.dataplane;
    snapshot.interfaces = parts_.plane->interfaces();
    snapshot.plane_warnings = parts_.plane->warnings();
    snapshot.services = engine_.services();
    snapshot.announcements = announcer_.announcements();
    if (const announce::DaemonState* state = parts_.sessions->state()) snapshot.bgp = *state;
    snapshot.all_drained = engine_.overrides().all_drained;
    snapshot.stopping = stopping_;
    snapshot.checks = parts_.prober->statistics();
    snapshot.hooks = parts_.hooks->statistics();
    snapshot.memory = {forecast_.tables, parts_.plane->memory(), forecast_.resident(),
                       resident_memory()};
    snapshot.last_verdict_to_table = engine_.timings().last_verdict_to_table;
    snapshot.worst_verdict_to_table = engine_.timings().worst_verdict_to_table;
    if (parts_.keeper) snapshot.real_server = parts_.keeper->state();
    if (const auto counters = parts_.plane->counters())
        rates_.fill(snapshot, *counters, monotonic_now());
    else
        snapshot.counters_error = counters.error().message;
    return snapshot;
}

Result<std::vector<std::string>> RunningDirector::reload(config::Loaded loaded) {
    const auto refuse = [this](std::string reason) {
        last_error_ = reason;
        spdlog::error("reload refused, the configuration in force stays: {}", reason);
        return tl::unexpected(Error{std::move(reason)});
    };
    if (!loaded.ok()) {
        for (const config::Message& message : loaded.messages)
            spdlog::error("{}", message.to_string());
        const auto first = std::find_if(
            loaded.messages.begin(), loaded.messages.end(),
            [](const auto& message) { return message.severity == config::Severity::error; });
        return refuse(first == loaded.messages.end() ? "unreadable" : first->to_string());
    }
    auto view = view_of(std::move(*loaded.configuration), options_.role, options_.config_path);
    if (!view) return refuse(view.error().message);
    core::Configuration& next = view->configuration;
    if (std::string reason = needs_restart(engine_.configuration().director, next.director);
        !reason.empty())
        return refuse(std::move(reason));
    if (auto able = parts_.plane->check(next); !able) return refuse(able.error().message);
    if (next.bgp)
        if (auto ready = parts_.routes->ready(); !ready) return refuse(ready.error().message);

    std::vector<std::string> lines = differences(engine_.configuration(), next);
    core::Configuration before = engine_.configuration();
    const auto order_before = order_;
    if (view->order) {
        const auto done = make_real_server(*view->order);
        if (!done) return refuse(done.error().message);
        lines.insert(lines.end(), done->begin(), done->end());
    }
    if (auto done = put_in_force(std::move(next)); !done) {
        if (order_before) (void)make_real_server(*order_before);
        if (auto back = engine_.configure(std::move(before)); !back)
            spdlog::error("{}", back.error().message);
        return refuse(done.error().message);
    }
    spdlog::info("configuration {} in force, {} changes", generation_, lines.size());
    for (const std::string& line : lines)
        spdlog::info("  {}", line);
    return lines;
}

Result<std::vector<std::string>> RunningDirector::plan(const config::Loaded& loaded) {
    const auto view = view_of(*loaded.configuration, options_.role, options_.config_path);
    if (!view) return tl::unexpected(view.error());
    const core::Configuration& next = view->configuration;
    if (std::string reason = needs_restart(engine_.configuration().director, next.director);
        !reason.empty())
        return tl::unexpected(Error{std::move(reason)});
    std::vector<std::string> lines = differences(engine_.configuration(), next);
    if (view->order) {
        if (std::string line = change_of_withdrawal(*order_, *view->order); !line.empty())
            lines.push_back(std::move(line));
        const auto changes = parts_.keeper->plan(*view->order);
        if (!changes) return tl::unexpected(changes.error());
        lines.insert(lines.end(), changes->begin(), changes->end());
    }
    return lines;
}

Result<Drained> RunningDirector::drain(const Target& target, bool drained) {
    core::Overrides overrides = engine_.overrides();
    Drained result{find_matches(engine_.configuration(), target), {}};
    // A drain may outlive its server's place in the file.
    if (!drained)
        for (const core::DrainKey& key : overrides.drained)
            if (matches(target, key.cluster, key.protocol, "", key.server) &&
                std::none_of(result.matches.begin(), result.matches.end(),
                             [&](const TargetMatch& match) { return match.key == key; }))
                result.matches.push_back({key, {}, key.server.to_string()});
    if (result.matches.empty()) return tl::unexpected(Error{unknown_target(target)});
    for (const TargetMatch& match : result.matches) {
        if (drained)
            overrides.drained.insert(match.key);
        else
            overrides.drained.erase(match.key);
    }
    if (auto done = override_with(std::move(overrides)); !done) return tl::unexpected(done.error());
    for (const ServiceSnapshot& service : engine_.services())
        if (drained && std::none_of(service.servers.begin(), service.servers.end(),
                                    [](const ServerSnapshot& server) {
                                        return server.decision.effective_weight > 0;
                                    }))
            result.warnings.push_back(fmt::format("{} has no server left: its queries are refused",
                                                  service.key.to_string()));
    return result;
}

Result<Drained> RunningDirector::drain_all(bool drained) {
    core::Overrides overrides = engine_.overrides();
    overrides.all_drained = drained;
    if (auto done = override_with(std::move(overrides)); !done) return tl::unexpected(done.error());
    return Drained{};
}

Result<std::string> RunningDirector::withdraw(const IpAddress& service_ip, bool withdrawn) {
    core::Overrides overrides = engine_.overrides();
    // A withdrawal may outlive the service IP's place in the file.
    const bool known = announcer_.find(service_ip) != nullptr;
    if (!known && (withdrawn || !overrides.withdrawn.contains(service_ip)))
        return fail("{} is no service IP of this director; `dnsdirector status` lists them",
                    service_ip.to_string());
    if (withdrawn)
        overrides.withdrawn.insert(service_ip);
    else
        overrides.withdrawn.erase(service_ip);
    if (auto done = override_with(std::move(overrides)); !done) return tl::unexpected(done.error());
    const core::AnnouncementDecision* decision = announcer_.find(service_ip);
    if (decision == nullptr)
        return fmt::format("{}: no service IP of this director any more", service_ip.to_string());
    return fmt::format("{}/{} is {}{}{}", service_ip.to_string(), service_ip.host_prefix_length(),
                       core::to_string(decision->state), decision->reason.empty() ? "" : ": ",
                       decision->reason);
}

Result<Standings> RunningDirector::why(const Target& target) {
    Standings standings{engine_.standings(target), engine_.service_standings(target)};
    if (standings.servers.empty() && standings.services.empty())
        return tl::unexpected(Error{unknown_to_why(target)});
    for (ServiceStanding& each : standings.services)
        if (announcer_.told(each.service.key.address))
            each.announcement = *announcer_.find(each.service.key.address);
    return standings;
}

/// Saved first: what the operator was told stays true over a crash.
Result<void> RunningDirector::override_with(core::Overrides overrides) {
    if (auto saved = save_overrides(run_dir_.file("overrides.json"), overrides); !saved)
        return saved;
    engine_.set_overrides(std::move(overrides));
    return {};
}

}  // namespace dnsdirector::control
