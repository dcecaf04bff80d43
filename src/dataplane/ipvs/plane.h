// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/dataplane.h"
#include "dataplane/ipvs/journal.h"
#include "netlink/ipvs.h"

namespace dnsdirector::dataplane::ipvs {

/// Puts the parts together (ipvs.h). It holds no table of its own: what is
/// forwarded is what the kernel says, and what it said last is kept to notice
/// when somebody else changes it.
class Plane final : public DataPlane {
public:
    Plane(std::unique_ptr<netlink::IpvsTable> table, Journal journal);

    [[nodiscard]] int descriptor() const override { return -1; }  // IPVS notifies nobody
    void on_readable() override {}
    [[nodiscard]] std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint now) override;

    [[nodiscard]] Result<void> check(const core::Configuration& next) override;
    void expect(const core::Configuration& next) override;
    void accept() override { taken_.clear(); }
    Result<core::Forwarding> read() override;
    Result<void> apply(std::span<const core::Change> changes) override;
    Result<Counters> counters() override;
    [[nodiscard]] Result<Choice> choose(const Flow& flow) const override;
    void track(std::span<const TrackedServer> /*servers*/) override {}
    [[nodiscard]] std::string unreachable_reason(const Endpoint&,
                                                 core::ForwardingMethod) const override {
        return {};
    }
    [[nodiscard]] std::vector<AttachedInterface> interfaces() const override { return {}; }
    [[nodiscard]] std::vector<std::string> warnings() const override { return warnings_; }
    [[nodiscard]] const Capabilities& capabilities() const override {
        return capabilities_of(core::DataPlaneKind::ipvs);
    }
    Result<void> detach() override;

private:
    /// A service as somebody else made it.
    struct Original {
        netlink::IpvsService service;
        std::vector<netlink::IpvsDestination> destinations;
    };
    /// Ours, from the whole table. `counters` gets connections and others' services,
    /// where they are asked for.
    Result<core::Forwarding> scan(Counters* counters);
    Result<core::Forwarding> scan_settled(Counters* counters);
    Result<core::ServiceForwarding> scan_service(const core::ServiceKey& key,
                                                 const netlink::IpvsService& service,
                                                 Counters* counters);
    Result<void> look(Counters* counters);
    void schedule(TimePoint begun);
    void take_over(const core::ServiceKey& key, Original found);
    Result<void> give_back(const core::ServiceKey& key);
    void observe(const core::ServiceKey& key, const Endpoint& server,
                 const netlink::IpvsStats& stats, Journal::Tallies& tallies);
    void note(const Result<void>& written);

    // One change each; see apply().
    Result<void> put(const core::AddService& change);
    Result<void> put(const core::EditService& change);
    Result<void> put(const core::RemoveService& change);
    Result<void> put(const core::AddDestination& change);
    Result<void> put(const core::EditDestination& change);
    Result<void> put(const core::RemoveDestination& change);
    Result<void> set(const core::AddService& service, bool fresh);
    Result<void> set(const core::ServiceKey& key, const core::Destination& one, bool fresh);
    void count_before_removal(const core::ServiceKey& key);
    void recount(const core::ServiceKey& key);

    std::unique_ptr<netlink::IpvsTable> table_;
    Journal journal_;
    core::Forwarding held_;  ///< ours, as the kernel said or was told last
    /// In the kernel only destinations have a method: what each service was told, or
    /// what the configuration says where an earlier process told it.
    std::map<core::ServiceKey, core::ForwardingMethod> methods_;
    std::set<core::ServiceKey> expected_;  ///< of the configuration
    /// Taken over for a configuration that is not accepted yet.
    std::map<core::ServiceKey, Original> taken_;
    std::vector<std::string> warnings_;
    std::set<core::ServiceKey> counted_;   ///< before a removal, in this apply()
    std::set<core::ServiceKey> returned_;  ///< have a server again, in this apply()
    std::string journal_trouble_;
    std::string look_trouble_;
    TimePoint next_look_;
    bool detached_ = false;
};

}  // namespace dnsdirector::dataplane::ipvs
