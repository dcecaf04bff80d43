// SPDX-License-Identifier: Apache-2.0
//
// One case of verdict_bench, running: a plane, an engine, and a prober that says
// what it is told.
#pragma once

#include <poll.h>

#include <memory>
#include <unordered_map>

#include "control/engine.h"
#include "core/table_cache.h"
#include "dataplane/xdp/xdp.h"
#include "private_network.h"
#include "samples.h"
#include "sim/simulation.h"
#include "timed_plane.h"
#include "verdict_cases.h"

namespace dnsdirector::bench {

struct Measured {
    Samples own;  ///< without waiting for a processor: what a target is held against
    Samples wall;
    Samples plane;            ///< of it, in the plane; processor time
    std::size_t changes = 0;  ///< of the last verdict
};

/// One case, running: a plane, an engine, and a prober that says what it is told.
class VerdictRig {
public:
    static Result<std::unique_ptr<VerdictRig>> start(const Case& c) {
        core::Configuration configuration = configuration_of(c, PrivateNetwork::interface);
        auto plane = dataplane::make_xdp(configuration.director,
                                         std::string{PrivateNetwork::pin_dir} + "-" + c.name);
        if (!plane) return tl::unexpected(plane.error());
        auto rig = std::make_unique<VerdictRig>(std::move(*plane), std::move(configuration));
        if (auto ready = rig->fill(); !ready) return tl::unexpected(ready.error());
        return rig;
    }

    VerdictRig(std::unique_ptr<dataplane::DataPlane> plane, core::Configuration configuration)
        : configuration_(std::move(configuration)),
          plane_(std::move(plane)),
          engine_(plane_, prober_, [] {
              return control::Now{monotonic_now(), std::chrono::time_point_cast<Microseconds>(
                                                       std::chrono::system_clock::now())};
          }) {
        engine_.on_error = [this](const Error& error) { errors_.push_back(error.message); };
    }
    ~VerdictRig() { (void)plane_.detach(); }

    /// A server goes down and comes back; times go to `down` and `up`.
    Result<void> repetition(std::uint32_t victim, bool verify, Measured& down, Measured& up,
                            Samples& floor) {
        const Endpoint server = server_endpoint(victim);
        make_room(2 * slots_that_change(configuration_, server));
        give(server, core::Failure::silence, down);
        if (verify)
            if (auto right = compare(server); !right) return right;
        give(server, core::Failure::none, up);
        if (verify)
            if (auto right = compare(std::nullopt); !right) return right;
        measure_floor(server, floor);
        if (!errors_.empty()) return fail("the data plane refused a change: {}", errors_.front());
        return {};
    }

    /// Whether a repetition takes so few slots that hundreds fit in a row.
    [[nodiscard]] bool cheap() const {
        return slots_that_change(configuration_, server_endpoint(0)) <
               configuration_.director.limits.slots / 600;
    }

    /// Many servers fail at once: their verdicts come in one go.
    Result<Nanoseconds> storm(std::uint32_t first, std::uint32_t count) {
        make_room(configuration_.director.limits.slots);
        const Stopwatch watch;
        for (std::uint32_t i = 0; i < count; ++i)
            hand_over(server_endpoint(first + i), core::Failure::silence);
        engine_.tick();
        const Nanoseconds taken = watch.times().own;
        for (std::uint32_t i = 0; i < count; ++i)
            hand_over(server_endpoint(first + i), core::Failure::none);
        engine_.tick();
        if (!errors_.empty()) return fail("the data plane refused a change: {}", errors_.front());
        return taken;
    }

private:
    static constexpr Seconds patience{30};      ///< for servers to become reachable
    static constexpr Milliseconds grace{1500};  ///< freed slots are free again by then

    /// The plane forwards to every server before the engine starts, which then
    /// adopts this: all checks are up without 10,000 verdicts.
    Result<void> fill() {
        std::vector<dataplane::TrackedServer> members;
        for (const core::Service& service : configuration_.services)
            for (const core::RealServer& server : service.real_servers)
                members.push_back({service.key, server.endpoint, service.method});
        plane_.track(members);
        const TimePoint limit = monotonic_now() + patience;
        for (const auto& [service, server, method] : members)
            while (!plane_.unreachable_reason(server, method).empty()) {
                if (monotonic_now() > limit)
                    return fail("{} stays unreachable: {}", server.to_string(),
                                plane_.unreachable_reason(server, method));
                pump(Milliseconds{10});
            }
        auto found = plane_.read();
        if (!found) return tl::unexpected(found.error());
        const auto changes = core::diff(*found, expected(configuration_, std::nullopt));
        if (auto applied = plane_.apply(changes); !applied) return applied;
        engine_.configure(configuration_);
        if (!errors_.empty()) return fail("the engine could not start: {}", errors_.front());
        // The check whose verdicts are given: of several, that of UDP.
        for (const auto& [id, check] : prober_.running) {
            const auto entry = check_of_.emplace(check.target, id).first;
            if (std::get<core::DnsCheck>(check.what).transport == Protocol::udp) entry->second = id;
        }
        return compare(std::nullopt);
    }

    /// Hands over one verdict, as the prober does; it waits for the next tick().
    void hand_over(const Endpoint& server, core::Failure failure) {
        core::Verdict verdict;
        verdict.failure = failure;
        if (failure != core::Failure::none) verdict.reason = "timeout";
        verdict.at = monotonic_now();
        prober_.on_verdict(check_of_.at(server), std::move(verdict));
    }

    void give(const Endpoint& server, core::Failure failure, Measured& measured) {
        plane_.take_applied_time();
        plane_.take_changes();
        const Stopwatch watch;
        hand_over(server, failure);
        engine_.tick();
        const Stopwatch::Times times = watch.times();
        measured.own.add(times.own);
        measured.wall.add(times.wall);
        measured.plane.add(plane_.take_applied_time());
        measured.changes = plane_.take_changes();
    }

    /// What the kernel holds, read back, against what it should.
    Result<void> compare(const std::optional<Endpoint>& down) {
        auto found = plane_.read();
        if (!found) return tl::unexpected(found.error());
        const core::Forwarding wished = expected(configuration_, down);
        const auto differences = core::diff(*found, wished);
        if (differences.empty()) return {};
        return fail("the kernel's tables are not what they should be, {} differences, first: {}",
                    differences.size(), core::describe(differences.front(), *found));
    }

    /// The least that has to be done: the new tables, each computed once, and
    /// copied to a place for every service.
    void measure_floor(const Endpoint& down, Samples& floor) {
        core::Forwarding wished = expected(configuration_, down);
        std::erase_if(wished, [&](const auto& one) {
            return one.second.destinations.size() == full_size(one.first);
        });
        const Stopwatch watch;
        core::TableCache cache;
        std::size_t used = 0;
        for (const auto& [key, service] : wished) {
            const auto table = cache.get(service);
            if (floor_.size() < used + table->slots.size())
                floor_.resize(used + table->slots.size());
            std::copy(table->slots.begin(), table->slots.end(), floor_.begin() + long(used));
            used += table->slots.size();
        }
        const Nanoseconds taken = watch.times().own;
        // The first one pays for the memory.
        if (floor_is_warm_) floor.add(taken);
        floor_is_warm_ = true;
    }
    [[nodiscard]] std::size_t full_size(const core::ServiceKey& key) const {
        for (const core::Service& service : configuration_.services)
            if (service.key == key) return service.real_servers.size();
        return 0;
    }

    /// Freed slots come back after a grace period. Verdicts as close as these
    /// would use all of them up; real ones are seconds apart.
    void make_room(std::uint64_t slots) {
        used_slots_ += slots;
        if (used_slots_ < std::uint64_t{configuration_.director.limits.slots} * 3 / 4) {
            pump(Milliseconds{0});
            return;
        }
        used_slots_ = slots;
        const TimePoint enough = monotonic_now() + grace;
        while (plane_.deadline() && monotonic_now() < enough)
            pump(Milliseconds{20});
    }

    /// The plane's part of an event loop, for at most this long.
    void pump(Nanoseconds longest) {
        pollfd ready{plane_.descriptor(), POLLIN, 0};
        const auto wait = std::chrono::duration_cast<Milliseconds>(longest).count();
        if (poll(&ready, ready.fd >= 0 ? 1 : 0, static_cast<int>(wait)) > 0) plane_.on_readable();
        const TimePoint now = monotonic_now();
        if (plane_.deadline() && *plane_.deadline() <= now) plane_.on_deadline(now);
    }

    core::Configuration configuration_;
    TimedPlane plane_;
    sim::ScriptedProber prober_;
    control::Engine engine_;
    std::unordered_map<Endpoint, probe::CheckId> check_of_;
    std::vector<std::string> errors_;
    std::vector<std::uint32_t> floor_;
    bool floor_is_warm_ = false;
    std::uint64_t used_slots_ = 0;
};

}  // namespace dnsdirector::bench
