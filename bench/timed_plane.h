// SPDX-License-Identifier: Apache-2.0
//
// Any data plane with a clock around apply(): what of a verdict's way is the
// plane's.
#pragma once

#include <memory>
#include <utility>

#include "dataplane/dataplane.h"
#include "samples.h"

namespace dnsdirector::bench {

class TimedPlane final : public dataplane::DataPlane {
public:
    explicit TimedPlane(std::unique_ptr<DataPlane> plane) : plane_(std::move(plane)) {
        plane_->on_reachability_changed = [this](std::span<const IpAddress> servers) {
            if (on_reachability_changed) on_reachability_changed(servers);
        };
        plane_->on_disturbed = [this](const std::string& what) {
            if (on_disturbed) on_disturbed(what);
        };
    }

    /// Processor time spent in apply(), and changes handed to it, since the last call.
    Nanoseconds take_applied_time() { return std::exchange(applied_time_, Nanoseconds{0}); }
    std::size_t take_changes() { return std::exchange(changes_, 0); }

    Result<core::Forwarding> read() override { return plane_->read(); }
    Result<void> apply(std::span<const core::Change> changes) override {
        const Nanoseconds begun = read_clock(CLOCK_THREAD_CPUTIME_ID);
        auto result = plane_->apply(changes);
        applied_time_ += read_clock(CLOCK_THREAD_CPUTIME_ID) - begun;
        changes_ += changes.size();
        return result;
    }
    Result<dataplane::Counters> counters() override { return plane_->counters(); }
    [[nodiscard]] Result<dataplane::Choice> choose(const dataplane::Flow& flow) const override {
        return plane_->choose(flow);
    }
    void track(std::span<const dataplane::TrackedServer> servers) override {
        plane_->track(servers);
    }
    [[nodiscard]] std::string unreachable_reason(const Endpoint& server,
                                                 core::ForwardingMethod method) const override {
        return plane_->unreachable_reason(server, method);
    }
    [[nodiscard]] std::vector<dataplane::AttachedInterface> interfaces() const override {
        return plane_->interfaces();
    }
    [[nodiscard]] const dataplane::Capabilities& capabilities() const override {
        return plane_->capabilities();
    }
    Result<void> detach() override { return plane_->detach(); }

    [[nodiscard]] int descriptor() const override { return plane_->descriptor(); }
    void on_readable() override { plane_->on_readable(); }
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return plane_->deadline(); }
    void on_deadline(TimePoint now) override { plane_->on_deadline(now); }

private:
    std::unique_ptr<DataPlane> plane_;
    Nanoseconds applied_time_{0};
    std::size_t changes_ = 0;
};

}  // namespace dnsdirector::bench
