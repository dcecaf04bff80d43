// SPDX-License-Identifier: Apache-2.0
//
// The engine: what goes on over a reload, and what a start takes over from what
// the kernel holds.
#include <algorithm>
#include <utility>

#include "control/engine.h"
#include "control/engine_lookup.h"

namespace dnsdirector::control {
namespace {

/// Gets packets, or would if it had a weight. Who is kept with weight 0 because
/// it failed is not forwarded to.
bool is_forwarded(const core::Destination* destination, const core::RealServer& server) {
    if (destination == nullptr) return false;
    return destination->weight != 0 || server.weight == 0 || !server.inhibit_on_failure;
}

/// In units of the configured weights: slow start scales what the kernel holds.
std::uint64_t weight_left(const core::Service& service, const core::Destination& destination) {
    if (destination.weight == 0 || service.slow_start == Nanoseconds{0}) return destination.weight;
    for (const core::RealServer& server : service.real_servers)
        if (server.endpoint == destination.server) return server.weight;
    return destination.weight;
}

/// A check that may say something of the weight, and has had no occasion yet.
bool may_weigh(const core::Check& check, const core::CheckState& state) {
    if (state.any_verdict || state.health != core::Health::up) return false;
    if (const auto* script = std::get_if<core::ScriptCheck>(&check.what)) return script->dynamic;
    const auto* file = std::get_if<core::FileCheck>(&check.what);
    return file != nullptr && file->weight != 0;
}

}  // namespace

/// Servers that are out for a reason: down when last decided, or (at a start)
/// known to the kernel's counters, but not forwarded to.
Engine::Members Engine::servers_known_out() const {
    Members out;
    for (std::size_t i = 0; i < services_.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        const auto& decisions = services_[i].decision.servers;
        for (std::size_t j = 0; j < decisions.size(); ++j)
            if (decisions[j].health == core::Health::down)
                out.emplace(service.key, service.real_servers[j].endpoint);
    }
    if (!services_.empty()) return out;
    if (const auto counters = plane_.counters())
        for (const auto& [member, count] : counters->servers)
            if (find(find(actual_, member.first), member.second) == nullptr) out.insert(member);
    return out;
}

/// Equal checks keep their id and state. One that asks the same, only at other
/// times, takes over the state; the rest start anew.
void Engine::adopt_checks(const core::Configuration& next, const Members& known_out) {
    using Question = std::pair<Endpoint, core::Check::What>;
    std::map<core::Check, CheckRuntime> old;
    std::map<Question, std::pair<probe::CheckId, core::CheckState>> alike;
    for (std::size_t i = 0; i < checks_.size(); ++i) {
        const core::Check& check = configuration_.checks[i];
        alike.emplace(Question{check.target, check.what},
                      std::pair{checks_[i].id, checks_[i].state});
        old.emplace(check, std::move(checks_[i]));
    }

    checks_.assign(next.checks.size(), {});
    for (ServiceIndex index = 0; index < next.services.size(); ++index)
        for (const core::RealServer& server : next.services[index].real_servers)
            for (const core::CheckIndex check : server.checks) {
                auto& services = checks_[check].services;
                if (services.empty() || services.back() != index) services.push_back(index);
            }

    const Now now = clock_();
    const std::vector<bool> forwarded = forwarded_now(next);
    check_of_id_.clear();
    for (core::CheckIndex i = 0; i < checks_.size(); ++i) {
        CheckRuntime& check = checks_[i];
        const core::Check& value = next.checks[i];
        if (const auto same = old.find(value); same != old.end()) {
            check.id = same->second.id;
            check.state = std::move(same->second.state);
        } else {
            check.id = next_id_++;
            const auto similar = alike.find({value.target, value.what});
            check.state = similar != alike.end()
                              ? similar->second.second
                              : start_state(next, i, forwarded[i], known_out, now);
            if (similar != alike.end()) chronicle_.inherit(check.id, similar->second.first);
        }
        check_of_id_.emplace(check.id, i);
    }
    adopt_weights(next);
}

core::CheckState Engine::start_state(const core::Configuration& next, core::CheckIndex check,
                                     bool forwarded, const Members& known_out,
                                     const Now& now) const {
    core::CheckState state =
        core::initial_state(next.checks[check], forwarded, now.monotonic, now.wall);
    // A server that was out must pass before it gets work again, in the
    // compatible form too.
    for (const ServiceIndex index : checks_[check].services)
        if (known_out.contains({next.services[index].key, next.checks[check].target}))
            state.untested = core::Untested::out;
    return state;
}

/// For each check, whether the kernel forwards to a server that lists it.
std::vector<bool> Engine::forwarded_now(const core::Configuration& next) const {
    std::vector<bool> forwarded(next.checks.size());
    for (const core::Service& service : next.services) {
        const core::ServiceForwarding* actual = find(actual_, service.key);
        if (actual == nullptr) continue;
        for (const core::RealServer& server : service.real_servers)
            if (is_forwarded(find(actual, server.endpoint), server))
                for (const core::CheckIndex check : server.checks)
                    forwarded[check] = true;
    }
    return forwarded;
}

/// Weights that misc_dynamic or a FILE_CHECK gave before a restart hold until
/// their next verdict. Not under slow start, which scales weights, but for 0;
/// nor for drained servers, whose 0 is the operator's.
void Engine::adopt_weights(const core::Configuration& next) {
    for (const core::Service& service : next.services) {
        const core::ServiceForwarding* actual = find(actual_, service.key);
        if (actual == nullptr) continue;
        for (const core::RealServer& server : service.real_servers) {
            const auto check = std::find_if(
                server.checks.begin(), server.checks.end(), [&](core::CheckIndex index) {
                    return may_weigh(next.checks[index], checks_[index].state);
                });
            if (check == server.checks.end()) continue;
            const core::Destination* found = find(actual, server.endpoint);
            if (found == nullptr || found->weight == server.weight ||
                found->weight > core::max_weight ||
                (found->weight != 0 && service.slow_start > Nanoseconds{0}) ||
                overrides_.drained.contains(
                    {service.cluster, server.endpoint, service.key.protocol}))
                continue;
            core::CheckState& state = checks_[*check].state;
            if (std::holds_alternative<core::ScriptCheck>(next.checks[*check].what))
                state.weight = found->weight;
            else
                state.weight_change = static_cast<std::int32_t>(found->weight) -
                                      static_cast<std::int32_t>(server.weight);
        }
    }
}

/// What can be known of a service that this process has not decided yet: while
/// the kernel forwards to its servers, the quorum was met, and nobody has to be
/// told so again.
core::ServiceMemory Engine::memory_of_predecessor(const core::Service& service,
                                                  const Members& known_out) const {
    core::ServiceMemory memory;
    const core::ServiceForwarding* actual = find(actual_, service.key);
    if (actual == nullptr) return memory;
    std::uint64_t up = 0;
    for (const core::Destination& one : actual->destinations)
        if (!service.sorry_server || service.sorry_server->endpoint != one.server)
            up += weight_left(service, one);
    const core::Quorum& quorum = service.quorum;
    memory.quorum_met =
        up != 0 && up >= quorum.required - std::min(quorum.required, quorum.hysteresis);
    if (memory.quorum_met)
        memory.quorum_told = core::Told::up;
    else if (up != 0 || service.sorry_server)
        memory.quorum_told = core::Told::down;
    const Now now = clock_();
    for (const core::RealServer& server : service.real_servers) {
        const core::Destination* found = find(actual, server.endpoint);
        const bool out = found == nullptr ? known_out.contains({service.key, server.endpoint})
                                          : !is_forwarded(found, server);
        if (!out) continue;
        core::ServiceMemory::Seen& seen = memory.servers.emplace_back();
        seen.server = server.endpoint;
        seen.since = now.monotonic;
        seen.wall_since = now.wall;
        seen.told = core::Told::down;
        seen.cold = true;
    }
    std::sort(memory.servers.begin(), memory.servers.end(),
              [](const auto& left, const auto& right) { return left.server < right.server; });
    return memory;
}

/// Who is not in the next configuration any more, and was told last of being up.
std::vector<std::pair<Engine::ServiceIndex, core::Notice>> Engine::leaving_servers(
    const core::Configuration& next) const {
    std::map<core::ServiceKey, const core::Service*> staying;
    for (const core::Service& service : next.services)
        staying.emplace(service.key, &service);
    std::vector<std::pair<ServiceIndex, core::Notice>> leaving;
    for (ServiceIndex i = 0; i < services_.size(); ++i) {
        const core::Service& service = configuration_.services[i];
        const auto found = staying.find(service.key);
        std::set<Endpoint> servers;
        if (found != staying.end())
            for (const core::RealServer& server : found->second->real_servers)
                servers.insert(server.endpoint);
        for (const core::Notice& notice : core::farewell(services_[i].decision.memory)) {
            const bool stays =
                notice.server ? servers.contains(*notice.server) : found != staying.end();
            if (!stays && core::command_for(service, notice) != nullptr)
                leaving.emplace_back(i, notice);
        }
    }
    return leaving;
}

void Engine::say_farewell() const {
    if (!on_notice) return;
    for (std::size_t i = 0; i < services_.size(); ++i)
        if (configuration_.services[i].omega)
            for (const core::Notice& notice : core::farewell(services_[i].decision.memory))
                on_notice(configuration_.services[i], notice);
}

}  // namespace dnsdirector::control
