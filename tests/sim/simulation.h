// SPDX-License-Identifier: Apache-2.0
//
// The engine on a virtual clock: verdicts are given by the test, the kernel is
// the recording plane.
#pragma once

#include <map>
#include <vector>

#include "control/engine.h"
#include "dataplane/recording/recording.h"

namespace dnsdirector::sim {

/// Remembers what the engine asked for; gives the verdicts that a test wants.
class ScriptedProber final : public probe::Prober {
public:
    void add(probe::CheckId id, const core::Check& check, bool at_once) override {
        running.emplace(id, check);
        started_at_once[id] = at_once;
    }
    void remove(probe::CheckId id) override { running.erase(id); }
    void hurry(probe::CheckId id) override { hurried.push_back(id); }
    void retry(probe::CheckId id, Nanoseconds delay) override { retried.emplace_back(id, delay); }
    [[nodiscard]] const probe::ProberStatistics& statistics() const override { return statistics_; }
    [[nodiscard]] int descriptor() const override { return -1; }
    void on_readable() override {}
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return std::nullopt; }
    void on_deadline(TimePoint) override {}

    std::map<probe::CheckId, core::Check> running;
    std::map<probe::CheckId, bool> started_at_once;
    std::vector<probe::CheckId> hurried;
    std::vector<std::pair<probe::CheckId, Nanoseconds>> retried;

private:
    probe::ProberStatistics statistics_;
};

inline Endpoint endpoint(const std::string& address) {
    return {*IpAddress::parse(address), 53};
}

inline core::ServiceKey service_key(Protocol protocol = Protocol::udp) {
    return {*IpAddress::parse("192.0.2.53"), 53, protocol};
}

/// One service with one DNS check for each server (native form: rise 2, fall 2).
inline core::Configuration cluster(
    const std::vector<std::pair<std::string, core::Weight>>& servers) {
    core::Configuration configuration;
    core::Service service;
    service.key = service_key();
    service.cluster = "resolvers";
    for (const auto& [address, weight] : servers) {
        core::Check check;
        check.target = endpoint(address);
        check.what = core::DnsCheck{};
        configuration.checks.push_back(check);
        const auto index = static_cast<core::CheckIndex>(configuration.checks.size() - 1);
        service.real_servers.push_back(
            {"ns" + std::to_string(index + 1), endpoint(address), weight, {index}});
    }
    configuration.services.push_back(std::move(service));
    return configuration;
}

class Simulation {
public:
    explicit Simulation(core::Forwarding found = {})
        : plane(core::DataPlaneKind::xdp, std::move(found)),
          engine(plane, prober, [this] { return control::Now{now, WallTime{}}; }) {
        engine.on_error = [this](const Error& error) { errors.push_back(error.message); };
    }

    /// A verdict of every check that asks this server.
    void verdict(const std::string& address, core::Failure failure = core::Failure::none,
                 const std::string& reason = "") {
        const auto running = prober.running;
        for (const auto& [id, check] : running)
            if (check.target == endpoint(address)) {
                core::Verdict verdict;
                verdict.failure = failure;
                verdict.reason = reason;
                verdict.at = now;
                prober.on_verdict(id, verdict);
            }
        settle();
    }
    /// The event loop calls tick() as soon as the engine asks for it.
    void settle() {
        if (engine.deadline() && *engine.deadline() <= now) engine.tick();
    }
    void unreachable(const std::string& address, const std::string& reason) {
        plane.set_unreachable(*IpAddress::parse(address), reason);
        settle();
    }
    void pass(const std::string& address, int rounds = 1) {
        for (int i = 0; i < rounds; ++i)
            verdict(address);
    }
    void fail(const std::string& address, int rounds = 1) {
        for (int i = 0; i < rounds; ++i)
            verdict(address, core::Failure::silence, "timeout");
    }
    /// Time goes by, step by step as the engine asks for it.
    void advance(Nanoseconds duration) {
        const TimePoint end = now + duration;
        while (engine.deadline() && *engine.deadline() <= end) {
            now = std::max(now, *engine.deadline());
            engine.tick();
        }
        now = end;
    }
    /// Weight in the kernel; nothing when the server is not there.
    [[nodiscard]] std::optional<std::uint32_t> weight(const std::string& address,
                                                      core::ServiceKey key = service_key()) const {
        const auto service = plane.forwarding().find(key);
        if (service == plane.forwarding().end()) return std::nullopt;
        for (const core::Destination& destination : service->second.destinations)
            if (destination.server == endpoint(address)) return destination.weight;
        return std::nullopt;
    }

    TimePoint now{Seconds{1000}};
    dataplane::RecordingPlane plane;
    ScriptedProber prober;
    control::Engine engine;
    std::vector<std::string> errors;
};

}  // namespace dnsdirector::sim
