// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "dataplane/dataplane.h"
#include "dataplane/descriptors.h"
#include "dataplane/proxy/handover.h"
#include "dataplane/proxy/kept_sockets.h"
#include "dataplane/proxy/suspicions.h"
#include "dataplane/proxy/to_all.h"
#include "dataplane/proxy/worker.h"

namespace dnsdirector::dataplane::proxy {

class Plane final : public DataPlane {
public:
    static Result<std::unique_ptr<Plane>> make(const core::ProxySettings& settings,
                                               Inheritance inheritance = {});
    ~Plane() override;

    [[nodiscard]] int descriptor() const override { return charges_; }
    void on_readable() override;
    [[nodiscard]] std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint now) override;

    Result<void> check(const core::Configuration& next) override;
    void expect(const core::Configuration& next) override;
    void accept() override;
    Result<core::Forwarding> read() override { return forwarding_; }
    Result<void> apply(std::span<const core::Change> changes) override;
    Result<Counters> counters() override;
    [[nodiscard]] Result<Choice> choose(const Flow& flow) const override;
    void track(std::span<const TrackedServer> servers) override;
    [[nodiscard]] std::string unreachable_reason(const Endpoint& server,
                                                 core::ForwardingMethod) const override {
        return suspicions_.reason(server);
    }
    [[nodiscard]] std::vector<AttachedInterface> interfaces() const override { return {}; }
    [[nodiscard]] std::vector<std::string> warnings() const override;
    [[nodiscard]] const Capabilities& capabilities() const override {
        return capabilities_of(core::DataPlaneKind::proxy);
    }
    [[nodiscard]] std::optional<KeptOverExec> prepare_handover() override;
    void resume() override;
    void leave() override;
    Result<void> detach() override;

private:
    Plane(const core::ProxySettings& settings, Inheritance inheritance);
    [[nodiscard]] static TimePoint now_on_clock();
    Result<void> start();
    // bridge.cc
    [[nodiscard]] Handover as_served() const;
    void fork_bridges(int end);
    void end_bridge();
    void wait_for_bridges(Nanoseconds patience) const;
    // successor.cc
    Handover inherit(const std::vector<NamedDescriptor>& descriptors);
    void adopt(Handover handover);
    void sort_sockets(const Handover& handover);
    void keep_for_successor();
    [[nodiscard]] bool may_have_successor() const { return kept_.usable() || !lent_.empty(); }
    void write_down(std::vector<LeftQuery> queries);

    using Member = std::pair<core::ServiceKey, Endpoint>;
    struct Held {
        std::shared_ptr<Listener> listener;
        std::shared_ptr<Tally> tally;
        std::shared_ptr<const Service> service;
    };

    Result<void> apply_one(const core::Change& change);
    void publish(const std::set<core::ServiceKey>& changed);
    [[nodiscard]] std::shared_ptr<const Service> build(const core::ServiceForwarding& forwarding,
                                                       const Held& held);
    std::shared_ptr<Upstream> upstream_for(const Endpoint& server, Protocol protocol);
    std::shared_ptr<Tally> tally_for(const Member& member);
    std::shared_ptr<const ToAll> to_all_for(const core::ServiceForwarding& forwarding);
    Result<std::shared_ptr<Listener>> listener_for(const core::ServiceKey& key);
    void forget_unused();
    [[nodiscard]] bool may_suspect(const Endpoint& server) const;
    void tell(std::span<const Endpoint> servers);
    [[nodiscard]] Count sum(const Tally& tally) const;

    core::ProxySettings settings_;
    std::size_t worker_count_;
    int charges_ = -1;  ///< readable when a worker brought one
    ClientCounts clients_;
    Publisher publisher_;
    std::vector<std::unique_ptr<Worker>> workers_;

    core::Forwarding forwarding_;
    std::map<core::ServiceKey, Held> held_;
    /// UDP sockets of services that went, while workers still hold them: a second one beside
    /// would get half of the packets.
    std::map<core::ServiceKey, std::weak_ptr<Listener>> leaving_;
    std::map<core::ServiceKey, std::vector<int>> found_;  ///< a predecessor's, not used so far
    std::map<core::ServiceKey, std::vector<int>> lent_;   ///< a socket unit's; copies are used
    KeptSockets kept_;
    std::string journal_;
    std::string journal_complaint_;
    Nanoseconds journal_cost_{0};           ///< of writing it
    std::optional<TimePoint> journal_due_;  ///< it tells of a table before the present one
    std::map<std::pair<Endpoint, Protocol>, std::shared_ptr<Upstream>> upstreams_;
    std::map<Member, std::shared_ptr<Tally>> tallies_;
    std::map<core::ServiceKey, std::shared_ptr<Tally>> service_tallies_;
    std::map<core::ServiceKey, std::set<Endpoint>> tracked_;
    Wishes wishes_;
    Suspicions suspicions_;
    int bridge_ = -1;        ///< shut for writing or closed, it ends those that serve in our place
    int ended_bridge_ = -1;  ///< shut: readable when none of them has clients' queries over UDP
    bool parked_ = false;
    std::string complaint_;
};

}  // namespace dnsdirector::dataplane::proxy
