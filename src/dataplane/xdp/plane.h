// SPDX-License-Identifier: Apache-2.0
//
// The plane itself: hands on what happens to whom it concerns. Its start and end
// are in plane_start.cc, what it does with interfaces in plane_ports.cc.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "dataplane/xdp/attachments.h"
#include "dataplane/xdp/flows.h"
#include "dataplane/xdp/insiders.h"
#include "dataplane/xdp/memory.h"
#include "dataplane/xdp/next_hops.h"
#include "dataplane/xdp/services.h"
#include "dataplane/xdp/too_big.h"
#include "dataplane/xdp/xdp.h"

namespace dnsdirector::dataplane::xdp {

/// A plane is an adapter to the kernel: it needs the time where no one passes it.
[[nodiscard]] TimePoint time_now();

class Plane : public DataPlane {
public:
    Plane(const core::DirectorSettings& settings, std::unique_ptr<Maps> maps, Flows flows,
          std::unique_ptr<netlink::Socket> socket, std::unique_ptr<netlink::Monitor> monitor)
        : wanted_(settings.interfaces.begin(), settings.interfaces.end()),
          maps_(std::move(maps)),
          socket_(std::move(socket)),
          monitor_(std::move(monitor)),
          other_directors_(settings.other_directors.begin(), settings.other_directors.end()),
          hops_(*socket_, settings.tunnel_sources),
          attachments_(*maps_, settings.xdp_mode),
          insiders_(*maps_),
          services_(*maps_, [this](const Target& server) { return hops_.hop(server); }),
          flows_(std::move(flows)) {}

    Result<void> start();
    /// A start that was refused leaves nothing of its own; what a predecessor left
    /// goes on forwarding.
    void undo_start();

    Result<core::Forwarding> read() override;
    Result<void> apply(std::span<const core::Change> changes) override {
        return services_.apply(changes, time_now());
    }
    Result<Counters> counters() override;
    [[nodiscard]] Result<Choice> choose(const Flow& flow) const override {
        return services_.choose(flow);
    }
    void track(std::span<const TrackedServer> servers) override;
    [[nodiscard]] std::string unreachable_reason(const Endpoint& server,
                                                 core::ForwardingMethod method) const override {
        return hops_.reason({server.address, method});
    }
    [[nodiscard]] std::vector<AttachedInterface> interfaces() const override {
        return attachments_.list();
    }
    [[nodiscard]] std::vector<std::string> warnings() const override {
        return no_too_big_.empty() ? std::vector<std::string>{} : std::vector{no_too_big_};
    }
    [[nodiscard]] std::vector<TableMemory> memory() const override { return memory_of(*maps_); }
    [[nodiscard]] const Capabilities& capabilities() const override {
        return capabilities_of(core::DataPlaneKind::xdp);
    }
    Result<void> detach() override;

    [[nodiscard]] int descriptor() const override { return epoll_.get(); }
    void on_readable() override;
    [[nodiscard]] std::optional<TimePoint> deadline() const override;
    void on_deadline(TimePoint now) override;

private:
    Result<void> find_wanted(const std::vector<netlink::Link>& links);
    Result<void> take_over(const std::vector<netlink::Link>& links);
    Result<void> attach_at_start(const std::vector<netlink::Link>& links);
    void listen();
    void open_too_big();
    void link_changed(const netlink::Link& link, bool gone);
    void reload_network();
    void guard();
    void hand_on_changes();
    [[nodiscard]] bool is_wanted(const netlink::Link& link) const;
    void attach_wanted();
    void attach_again(const netlink::Link& link, const std::string& why);
    Result<void> attach_or_retry(const netlink::Link& link);
    void check_links();
    void check_pins();

    std::set<std::string> wanted_;  ///< ports; empty: those that lead to servers
    std::unique_ptr<Maps> maps_;
    std::unique_ptr<netlink::Socket> socket_;
    std::unique_ptr<netlink::Monitor> monitor_;
    Fd epoll_;
    const std::set<IpAddress> other_directors_;
    NextHops hops_;
    Attachments attachments_;
    Insiders insiders_;
    Services services_;
    std::unique_ptr<TooBig> too_big_;
    std::string no_too_big_;  ///< why there is none; "": there is
    Flows flows_;
    std::set<int> seen_ports_;  ///< of hops_, when attach_wanted() ran last
    std::optional<TimePoint> retry_at_;
    std::string pin_trouble_;  ///< as it was logged last
    bool tracked_ = false;
    bool detached_ = false;
};

}  // namespace dnsdirector::dataplane::xdp
