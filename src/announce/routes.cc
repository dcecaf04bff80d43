// SPDX-License-Identifier: Apache-2.0
#include "announce/routes.h"

#include <fmt/format.h>
#include <net/if.h>

namespace dnsdirector::announce {
namespace {

std::string describe(const core::RouteChange& change, const std::string& interface) {
    const auto& [address, metric] = change.route;
    return fmt::format("{} route {}/{} metric {} over {}", change.add ? "add" : "remove",
                       address.to_string(), address.host_prefix_length(), metric, interface);
}

}  // namespace

Result<std::unique_ptr<Routes>> Routes::open(std::span<const int> kept) {
    auto kernel = netlink::HostRoutes::open(core::route_protocol);
    if (!kernel) return tl::unexpected{kernel.error()};
    std::unique_ptr<Routes> routes(new Routes(std::move(*kernel)));
    for (const int descriptor : kept)
        if (auto device = TunDevice::adopt(descriptor); device && !routes->device_)
            routes->device_ = std::move(*device);
    if (auto read = routes->read(); !read) return tl::unexpected{read.error()};
    return routes;
}

Result<void> Routes::read() {
    // Deleted by somebody, or renamed: the descriptor alone is no interface.
    if (device_ &&
        if_nametoindex(device_->name().c_str()) != static_cast<unsigned>(device_->index()))
        device_.reset();
    const auto routes = kernel_->list();
    if (!routes) return tl::unexpected{routes.error()};
    actual_.clear();
    foreign_.clear();
    for (const netlink::HostRoute& route : *routes)
        if (device_ && route.interface == device_->index())
            actual_.emplace(route.address, route.metric);
        else
            foreign_.push_back(route);
    return {};
}

Result<void> Routes::ready() {
    const bool fresh = !device_;
    if (fresh) {
        auto device = TunDevice::create();
        if (!device) return tl::unexpected{device.error()};
        device_ = std::move(*device);
    }
    auto up = kernel_->bring_up(device_->index());
    if (fresh && on_new_device) on_new_device(device_->descriptor());
    return up;
}

Result<void> Routes::change(const core::RouteChange& change) {
    const netlink::HostRoute route{change.route.first, device_->index(), change.route.second};
    auto done = change.add ? kernel_->add(route) : kernel_->remove(route);
    if (!done) return tl::unexpected{done.error()};
    if (change.add)
        actual_.insert(change.route);
    else
        actual_.erase(change.route);
    return {};
}

Result<std::vector<std::string>> Routes::hold(const std::map<IpAddress, core::RouteState>& wished) {
    std::vector<std::string> log;
    const std::vector<core::RouteChange> changes = core::diff(actual_, wished);
    if (changes.empty()) return log;
    // Every time: an interface that is down takes no routes, and setting it up is idempotent.
    if (auto made = ready(); !made) return tl::unexpected{made.error()};
    std::optional<Error> first;
    for (const core::RouteChange& each : changes) {
        if (const auto done = change(each); !done) {
            if (!first) first = done.error();
        } else {
            log.push_back(describe(each, device_->name()));
        }
    }
    if (!first) return log;
    (void)read();  // what is there now, so that the next try begins at the truth
    return tl::unexpected{std::move(*first)};
}

Result<std::vector<std::string>> Routes::release() {
    auto done = device_ ? hold({}) : Result<std::vector<std::string>>{};
    device_.reset();
    actual_.clear();
    return done;
}

}  // namespace dnsdirector::announce
