// SPDX-License-Identifier: Apache-2.0
//
// What the scheduler (scheduler.h) knows of a way of asking.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/time.h"
#include "core/health.h"
#include "probe/prober.h"
#include "probe/random.h"

namespace dnsdirector::probe {

/// How a round ended. The reason of a pass is empty, so that nothing is allocated.
struct Outcome {
    core::Failure failure = core::Failure::none;
    std::string reason;
    Microseconds rtt{0};
    std::optional<std::uint16_t> rcode = {};  ///< of the reply that decided
    /// As core::Verdict's.
    std::shared_ptr<const std::vector<std::uint8_t>> reply = {};
    std::optional<core::Weight> weight = {};
    std::int32_t weight_change = 0;
};

/// How many sockets the probes may hold open, and how many they do.
struct SocketBudget {
    std::size_t limit = 0;
    std::size_t open = 0;

    /// Idle sockets are kept only while there is room enough for others' rounds.
    [[nodiscard]] bool may_keep() const { return open < limit / 2; }
};

class Through;

/// What all probes of one prober share. One thread uses it.
struct Environment {
    explicit Environment(int epoll_descriptor) : epoll(epoll_descriptor) {}

    int epoll;
    IdSource ids;
    ProberStatistics statistics;
    SocketBudget sockets;
    std::weak_ptr<Through> through;  ///< of the checks through a service IP, while there are any
    /// Largest message with TCP's length in front; every read goes through it.
    std::array<std::uint8_t, 65537> buffer;
};

/// One check's way of asking. A round begins with start() and ends when a call
/// returns an outcome; until then wake() says when on_timeout() is due. Probes
/// register their descriptors in the environment's epoll with the token that
/// they were made with, edge-triggered, and treat an event as a hint: they try
/// what they wait for and go by the result.
class Probe {
public:
    using Progress = std::optional<Outcome>;

    virtual ~Probe() = default;
    Probe() = default;
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;

    virtual Progress start(TimePoint now) = 0;
    virtual Progress on_event(TimePoint now) = 0;
    virtual Progress on_timeout(TimePoint now) = 0;
    /// Ends the round without an outcome (CheckTiming::limit). An event that comes
    /// all the same is of no round.
    virtual void abandon() {}
    /// False while something of the last round still runs, which must not run twice.
    [[nodiscard]] virtual bool ready() const { return true; }

    [[nodiscard]] TimePoint wake() const { return wake_; }

protected:
    TimePoint wake_;
};

/// For a check that cannot be asked as it is configured: every round says why.
class ImpossibleProbe : public Probe {
public:
    explicit ImpossibleProbe(std::string reason) : reason_(std::move(reason)) {}
    Progress start(TimePoint /*now*/) override {
        return Outcome{core::Failure::local, reason_, {}};
    }
    Progress on_event(TimePoint /*now*/) override { return std::nullopt; }
    Progress on_timeout(TimePoint /*now*/) override { return std::nullopt; }

private:
    std::string reason_;
};

}  // namespace dnsdirector::probe
