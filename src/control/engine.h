// SPDX-License-Identifier: Apache-2.0
//
// control/ is the director itself. The engine holds the three inputs
// (configuration, health, overrides), asks core/ what follows from them, and
// hands the differences to the data plane. A start, a reload, a verdict, a
// drain and a repair are each a change of one input and take the same path:
// decide → diff → apply.
//
// The engine knows no event library, no file and no clock but the one it is
// given, so that tests drive it on a virtual clock.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "control/chronicle.h"
#include "control/snapshot.h"
#include "control/standing.h"
#include "control/target.h"
#include "core/desired.h"
#include "core/notices.h"
#include "dataplane/dataplane.h"
#include "probe/prober.h"

namespace dnsdirector::control {

struct Now {
    TimePoint monotonic;
    WallTime wall;
};

/// How long the last steps took, for status and the benchmark.
struct EngineTimings {
    Nanoseconds last_verdict_to_table{0};  ///< of the last verdict that changed forwarding
    Nanoseconds worst_verdict_to_table{0};
};

class Engine {
public:
    Engine(dataplane::DataPlane& plane, probe::Prober& prober, std::function<Now()> clock);
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Puts a configuration into force: at the start, and at every reload. What
    /// equals its predecessor goes on undisturbed: checks keep their state and
    /// phase, servers their weights. An error is the data plane's: what it could
    /// not do is tried again until another configuration takes its place.
    Result<void> configure(core::Configuration configuration);

    /// Replaces the operator's overrides; decides all services anew.
    void set_overrides(core::Overrides overrides);

    /// Compares all that is wished for with what the kernel holds and applies
    /// the differences. Returns one line for each.
    Result<std::vector<std::string>> repair();

    /// When tick() wants to be called: at once when verdicts wait to be put into
    /// force, at slow start's next step, or for another try after an error of
    /// the data plane.
    [[nodiscard]] std::optional<TimePoint> deadline() const;
    void tick();

    [[nodiscard]] const core::Configuration& configuration() const { return configuration_; }
    [[nodiscard]] const core::Overrides& overrides() const { return overrides_; }
    /// Of a service by its index in configuration().services.
    [[nodiscard]] const core::ServiceDecision& decision(std::uint32_t service) const {
        return services_[service].decision;
    }
    /// The data plane refused what was decided, and is asked again soon.
    [[nodiscard]] bool refused() const { return retry_at_.has_value(); }
    [[nodiscard]] const EngineTimings& timings() const { return timings_; }
    /// Services with their decisions, in the order of the configuration.
    [[nodiscard]] std::vector<ServiceSnapshot> services() const;
    /// Every server that the target means, in every service, with its past.
    [[nodiscard]] std::vector<ServerStanding> standings(const Target& target) const;
    /// Every service whose service IP or sorry server the target means.
    [[nodiscard]] std::vector<ServiceStanding> service_standings(const Target& target) const;
    /// Another configuration is in its place, and nothing was decided about it yet.
    std::function<void()> on_configured;
    /// These services were decided anew (indices), and the kernel was told; or it takes at last
    /// what it refused().
    std::function<void(std::span<const std::uint32_t>)> on_decided;
    /// A server's state changed in a service (for logs and events).
    std::function<void(const core::Service&, const core::RealServer&,
                       const core::ServerDecision& before, const core::ServerDecision& after)>
        on_server_changed;
    /// A service gained or lost its quorum, or its sorry server came or went.
    std::function<void(const core::Service&, const core::ServiceDecision& after)>
        on_service_changed;
    /// What notify and quorum commands are for. Called when the kernel was told; for
    /// servers and services that a reload removes, with what they were.
    std::function<void(const core::Service&, const core::Notice&)> on_notice;
    /// A clean stop: tells the services that have `omega` (on_notice).
    void say_farewell() const;
    /// The data plane refused something; it is tried again a second later.
    std::function<void(const Error&)> on_error;

private:
    using ServiceIndex = std::uint32_t;

    struct CheckRuntime {
        probe::CheckId id = 0;
        core::CheckState state;
        std::vector<ServiceIndex> services;  ///< that list it
    };
    struct ServiceRuntime {
        core::ServiceDecision decision;
    };

    using Members = std::set<std::pair<core::ServiceKey, Endpoint>>;

    void adopt_checks(const core::Configuration& next, const Members& known_out);
    [[nodiscard]] Members servers_known_out() const;
    [[nodiscard]] core::CheckState start_state(const core::Configuration& next,
                                               core::CheckIndex check, bool forwarded,
                                               const Members& known_out, const Now& now) const;
    void adopt_weights(const core::Configuration& next);
    [[nodiscard]] core::ServiceMemory memory_of_predecessor(const core::Service& service,
                                                            const Members& known_out) const;
    [[nodiscard]] std::vector<std::pair<ServiceIndex, core::Notice>> leaving_servers(
        const core::Configuration& next) const;
    void index_services();
    void follow_checks(const std::set<probe::CheckId>& kept);
    [[nodiscard]] std::vector<bool> forwarded_now(const core::Configuration& next) const;
    void on_verdict(probe::CheckId id, core::Verdict verdict);
    void on_reachability(std::span<const IpAddress> servers);
    void flush();
    Result<void> decide(std::span<const ServiceIndex> services);
    [[nodiscard]] std::vector<ServiceIndex> all_services() const;
    Result<void> decide_all();
    /// Returns the decision before.
    core::ServiceDecision decide_one(ServiceIndex index, const Now& now,
                                     std::vector<core::Change>& changes);
    void wake(ServiceIndex index, std::optional<TimePoint> before, std::optional<TimePoint> after);
    void report(ServiceIndex index, const core::ServiceDecision& before);
    void bridge(const core::Service& service, core::ServiceDecision& decision) const;
    Result<void> apply(const std::vector<core::Change>& changes);

    // engine_history.cc: what is remembered for `why`.
    using Written = std::map<std::pair<core::ServiceKey, Endpoint>, std::string>;
    [[nodiscard]] Written to_be_written(const std::vector<core::Change>& changes) const;
    [[nodiscard]] core::PastDecision past_decision(ServiceIndex index, std::size_t server,
                                                   const Now& now) const;
    void remember(ServiceIndex index, const core::ServiceDecision& before, const Written& written,
                  bool applied, const Now& now);
    void remember_repair(const Written& written, bool applied);
    void forget_the_gone();
    [[nodiscard]] ServerStanding standing(const core::Service& service, std::size_t at,
                                          const core::ServiceDecision& decided) const;
    void failed(const Error& error);

    dataplane::DataPlane& plane_;
    probe::Prober& prober_;
    std::function<Now()> clock_;

    core::Configuration configuration_;
    core::Overrides overrides_;
    std::vector<CheckRuntime> checks_;      ///< parallel to configuration_.checks
    std::vector<ServiceRuntime> services_;  ///< parallel to configuration_.services
    std::unordered_map<probe::CheckId, core::CheckIndex> check_of_id_;
    std::unordered_map<IpAddress, std::vector<ServiceIndex>> services_of_server_;
    probe::CheckId next_id_ = 1;

    core::Forwarding actual_;  ///< what the plane holds, as far as we know
    std::set<std::pair<TimePoint, ServiceIndex>> wakeups_;  ///< each service's next_change
    /// Services whose inputs changed. Decided together at the next tick(), so
    /// that a hundred servers that fail at once cost one new table, not a hundred.
    std::set<ServiceIndex> dirty_;
    std::optional<TimePoint> oldest_verdict_;  ///< among those that made them dirty
    std::optional<TimePoint> retry_at_;
    EngineTimings timings_;
    Chronicle chronicle_;
};

}  // namespace dnsdirector::control
