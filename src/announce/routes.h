// SPDX-License-Identifier: Apache-2.0
//
// The service IPs as kernel routes for a routing daemon to pick up: host routes over our own
// interface, with our protocol number, whose metric is the state (core/bgp.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "announce/tun_device.h"
#include "base/result.h"
#include "core/announcement.h"
#include "netlink/host_routes.h"

namespace dnsdirector::announce {

class Routes {
public:
    /// `kept`: descriptors that a predecessor left. The first that is an interface of this network
    /// namespace is ours, with its routes; the others are closed. Errors: no netlink socket.
    static Result<std::unique_ptr<Routes>> open(std::span<const int> kept);

    /// Makes sure of the interface, so that a machine without TUN is noticed before it matters.
    /// hold() does it, too.
    Result<void> ready();

    /// Makes the kernel hold exactly these: additions first, so that a routing daemon sees one
    /// update where a state changes. Cheap where nothing differs from what is known. Returns a
    /// line for the log for each change. On an error it has done all that it could, and knows
    /// anew what the kernel holds.
    Result<std::vector<std::string>> hold(const std::map<IpAddress, core::RouteState>& wished);
    /// Reads what the kernel holds, so that the next hold() mends what others changed: routes
    /// taken away, an interface that was set down (which deletes its routes) or deleted.
    Result<void> read();
    /// Removes every route and the interface.
    Result<std::vector<std::string>> release();

    /// Of our interface, as far as we know.
    [[nodiscard]] const std::set<core::AnnouncedRoute>& actual() const { return actual_; }
    /// Host routes of our protocol over another interface or none: a routing daemon would take
    /// them for ours.
    [[nodiscard]] const std::vector<netlink::HostRoute>& foreign() const { return foreign_; }
    /// Of the interface, for whoever keeps it beyond this process; -1 without one.
    [[nodiscard]] int descriptor() const { return device_ ? device_->descriptor() : -1; }
    [[nodiscard]] std::string interface() const { return device_ ? device_->name() : ""; }
    /// An interface was made: who keeps the descriptor has to have the new one.
    std::function<void(int descriptor)> on_new_device;

private:
    explicit Routes(std::unique_ptr<netlink::HostRoutes> kernel) : kernel_(std::move(kernel)) {}
    Result<void> change(const core::RouteChange& change);

    std::unique_ptr<netlink::HostRoutes> kernel_;
    std::optional<TunDevice> device_;
    std::set<core::AnnouncedRoute> actual_;
    std::vector<netlink::HostRoute> foreign_;
};

}  // namespace dnsdirector::announce
