// SPDX-License-Identifier: Apache-2.0
#include "dataplane/none/none.h"

namespace dnsdirector::dataplane {
namespace {

class NonePlane final : public DataPlane {
public:
    [[nodiscard]] int descriptor() const override { return -1; }
    void on_readable() override {}
    [[nodiscard]] std::optional<TimePoint> deadline() const override { return std::nullopt; }
    void on_deadline(TimePoint) override {}

    Result<core::Forwarding> read() override { return forwarding_; }
    Result<void> apply(std::span<const core::Change> changes) override {
        for (const core::Change& change : changes)
            core::apply(forwarding_, change);
        return {};
    }
    Result<Counters> counters() override { return Counters{}; }  // no packet comes by here
    [[nodiscard]] Result<Choice> choose(const Flow& flow) const override {
        if (!forwarding_.contains(flow.service)) return Choice{};
        return fail("`dataplane none` forwards nothing: this director only checks and announces");
    }
    void track(std::span<const TrackedServer>) override {}
    [[nodiscard]] std::string unreachable_reason(const Endpoint&,
                                                 core::ForwardingMethod) const override {
        return {};
    }
    [[nodiscard]] std::vector<AttachedInterface> interfaces() const override { return {}; }
    [[nodiscard]] const Capabilities& capabilities() const override {
        return capabilities_of(core::DataPlaneKind::none);
    }
    Result<void> detach() override {
        forwarding_.clear();
        return {};
    }

private:
    core::Forwarding forwarding_;
};

}  // namespace

std::unique_ptr<DataPlane> make_none() {
    return std::make_unique<NonePlane>();
}

}  // namespace dnsdirector::dataplane
