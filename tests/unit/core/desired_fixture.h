// SPDX-License-Identifier: Apache-2.0
//
// One service with its checks, decided again and again as things happen.
#pragma once

#include <map>
#include <utility>

#include "unit/core/support.h"

namespace dnsdirector::core {

class Cluster {
public:
    /// Servers 203.0.113.0 … with these weights, each with one check that is up.
    explicit Cluster(std::vector<Weight> weights) {
        service.key = service_key();
        service.cluster = "resolvers";
        for (unsigned i = 0; i < weights.size(); ++i) {
            service.real_servers.push_back(
                {"ns" + std::to_string(i), server(i), weights[i], {static_cast<CheckIndex>(i)}});
            checks.push_back(initial_state(Check{}, true, now, wall()));
        }
    }

    void down(std::size_t check, Failure kind = Failure::silence,
              const std::string& reason = "timeout") {
        set(check, Health::down);
        checks[check].down_kind = kind;
        checks[check].down_reason = reason;
    }
    void servfail(std::size_t check) { down(check, Failure::answer, "SERVFAIL"); }
    void up(std::size_t check) { set(check, Health::up); }
    void unknown(std::size_t check, Untested untested) {
        set(check, Health::unknown);
        checks[check].untested = untested;
    }
    void drain(unsigned number) {
        overrides.drained.insert({service.cluster, server(number), service.key.protocol});
    }
    void undrain(unsigned number) {
        overrides.drained.erase({service.cluster, server(number), service.key.protocol});
    }

    const ServiceDecision& decide() {
        const std::function<const CheckState&(CheckIndex)> check_state =
            [this](CheckIndex check) -> const CheckState& { return checks.at(check); };
        const std::function<std::string(const Endpoint&, ForwardingMethod)> reason =
            [this](const Endpoint& who, ForwardingMethod) {
                const auto found = unreachable.find(who);
                return found == unreachable.end() ? std::string() : found->second;
            };
        decision = core::decide({.service = service,
                                 .check_state = check_state,
                                 .overrides = overrides,
                                 .unreachable_reason = reason,
                                 .memory = decision.memory,
                                 .now = now,
                                 .wall_now = wall()});
        return decision;
    }
    /// "0=1 2=3": destinations by number with their weights.
    std::string forwarded() {
        std::string text;
        for (const Destination& destination : decide().forwarding.destinations)
            text += (text.empty() ? "" : " ") +
                    std::to_string(destination.server.address.bytes()[3]) + "=" +
                    std::to_string(destination.weight);
        return text;
    }
    [[nodiscard]] WallTime wall() const {
        return WallTime{std::chrono::duration_cast<Microseconds>(now.time_since_epoch())};
    }

    Service service;
    std::vector<CheckState> checks;
    Overrides overrides;
    std::map<Endpoint, std::string> unreachable;
    TimePoint now = at(Seconds{1000});
    ServiceDecision decision;

private:
    void set(std::size_t check, Health health) {
        checks.at(check).health = health;
        checks[check].since = now;
        checks[check].wall_since = wall();
    }
};

}  // namespace dnsdirector::core
