// SPDX-License-Identifier: Apache-2.0
//
// dataplane/recording: a fake for tests of the engine. Its "kernel" is a value
// in memory; it records every change, and fails, is disturbed and loses sight
// of servers when a test says so. Never chosen by a configuration.
#pragma once

#include <map>
#include <utility>

#include "dataplane/dataplane.h"

namespace dnsdirector::dataplane {

class RecordingPlane final : public DataPlane {
public:
    /// Behaves as a plane of this kind as far as capabilities go; `found` is
    /// what it holds before the director starts (an earlier run's).
    explicit RecordingPlane(core::DataPlaneKind kind = core::DataPlaneKind::xdp,
                            core::Forwarding found = {});

    // ---- what a test arranges ----

    /// The nth change from now on (1 is the next) is refused with this message,
    /// and those of the same call after it are not tried. One refusal an order.
    void fail_change(std::size_t nth, std::string message);
    /// read() fails from now on with this message; "" ends it.
    void fail_reads(std::string message) { read_failure_ = std::move(message); }
    /// Somebody else alters what the kernel holds; then on_disturbed is called.
    void disturb(const std::string& what, const std::function<void(core::Forwarding&)>& alter);
    /// "" makes it reachable again. on_reachability_changed is called when that
    /// is news.
    void set_unreachable(const IpAddress& server, std::string reason);
    void set_counters(Counters counters) { counters_ = std::move(counters); }
    void set_interfaces(std::vector<AttachedInterface> interfaces) {
        interfaces_ = std::move(interfaces);
    }

    // ---- what a test looks at ----

    [[nodiscard]] const core::Forwarding& forwarding() const { return forwarding_; }
    /// Every change that was applied, in order.
    [[nodiscard]] const std::vector<core::Change>& applied() const { return applied_; }
    void forget_applied() { applied_.clear(); }
    [[nodiscard]] std::size_t reads() const { return reads_; }
    [[nodiscard]] std::size_t apply_calls() const { return apply_calls_; }
    [[nodiscard]] const std::vector<TrackedServer>& tracked() const { return tracked_; }
    [[nodiscard]] bool detached() const { return detached_; }

    // ---- DataPlane ----

    [[nodiscard]] int descriptor() const override { return -1; }
    void on_readable() override {}
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return std::nullopt; }
    void on_deadline(TimePoint) override {}
    Result<core::Forwarding> read() override;
    Result<void> apply(std::span<const core::Change> changes) override;
    Result<Counters> counters() override { return counters_; }
    [[nodiscard]] Result<Choice> choose(const Flow&) const override {
        return fail("nothing is really forwarded here");
    }
    void track(std::span<const TrackedServer> servers) override;
    [[nodiscard]] std::string unreachable_reason(const Endpoint& server,
                                                 core::ForwardingMethod method) const override;
    [[nodiscard]] std::vector<AttachedInterface> interfaces() const override { return interfaces_; }
    [[nodiscard]] const Capabilities& capabilities() const override {
        return capabilities_of(kind_);
    }
    Result<void> detach() override;

private:
    core::DataPlaneKind kind_;
    core::Forwarding forwarding_;
    std::vector<core::Change> applied_;
    std::map<std::size_t, std::string> refusals_;  ///< by number of the change, all counted
    std::size_t tried_ = 0;
    std::string read_failure_;
    std::size_t reads_ = 0;
    std::size_t apply_calls_ = 0;
    std::map<IpAddress, std::string> unreachable_;
    std::vector<TrackedServer> tracked_;
    Counters counters_;
    std::vector<AttachedInterface> interfaces_;
    bool detached_ = false;
};

}  // namespace dnsdirector::dataplane
