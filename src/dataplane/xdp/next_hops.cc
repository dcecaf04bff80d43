// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/next_hops.h"

#include <algorithm>

namespace dnsdirector::dataplane::xdp {
namespace {

/// A look-up takes three requests of some microseconds: no slice blocks the loop
/// for more than a few milliseconds.
constexpr std::size_t slice = 100;
constexpr std::size_t slice_of_track = 500;
/// Routes change in bursts.
constexpr Nanoseconds settle = Milliseconds{50};
/// An entry that the kernel gave up is asked for again.
constexpr Nanoseconds ask_again = Seconds{1};
/// Where the kernel doesn't keep entries itself (before 5.16).
constexpr Nanoseconds repeat_every = Seconds{5};

bool is_ethernet(const netlink::Link& link) {
    return !link.loopback && link.mac != netlink::Mac{};
}

}  // namespace

Result<void> NextHops::load() {
    auto links = socket_->links();
    if (!links) return tl::unexpected(links.error());
    links_.clear();
    for (netlink::Link& link : *links)
        links_.emplace(link.index, std::move(link));
    read_neighbours();
    return {};
}

/// Only of followed servers: the table may hold thousands of others.
void NextHops::read_neighbours() {
    const auto neighbours = socket_->neighbours();
    if (!neighbours) return;
    for (const netlink::Neighbour& neighbour : *neighbours)
        if (neighbour.mac && servers_.contains(neighbour.address))
            macs_[{neighbour.interface, neighbour.address}] = *neighbour.mac;
}

void NextHops::track(const std::set<IpAddress>& servers, TimePoint now) {
    for (auto at = servers_.begin(); at != servers_.end();) {
        if (servers.contains(at->first)) {
            ++at;
            continue;
        }
        if (at->second.asked) (void)socket_->release(at->second.interface, at->first);
        macs_.erase({at->second.interface, at->first});
        is_waiting_.erase(at->first);
        at = servers_.erase(at);
    }
    bool any_new = false;
    for (const IpAddress& address : servers) {
        // One that was adopted is known but not yet asked for.
        const auto [at, added] = servers_.try_emplace(address);
        if (!added && at->second.asked) continue;
        any_new = true;
        look_up_later(address, now);
    }
    if (!any_new) return;
    read_neighbours();
    look_up_slice(slice_of_track);
    if (!socket_->keeps_resolved() && !repeat_at_) repeat_at_ = now + repeat_every;
    // The caller asks for the reasons after this.
    changed_.clear();
}

void NextHops::adopt(const IpAddress& address, const Hop& hop) {
    Server& server = servers_[address];
    if (server.hop) return;
    server.hop = hop;
    server.reason.clear();
    server.on_link = true;
    server.interface = static_cast<int>(hop.ifindex);
}

const Hop* NextHops::hop(const IpAddress& address) const {
    const auto found = servers_.find(address);
    return found != servers_.end() && found->second.hop ? &*found->second.hop : nullptr;
}

std::string NextHops::reason(const IpAddress& address) const {
    const auto found = servers_.find(address);
    return found != servers_.end() ? found->second.reason : Server{}.reason;
}

std::set<int> NextHops::interfaces() const {
    std::set<int> indices;
    for (const auto& [address, server] : servers_)
        if (server.interface != 0) indices.insert(server.interface);
    return indices;
}

std::vector<IpAddress> NextHops::take_changed() {
    std::vector<IpAddress> changed{changed_.begin(), changed_.end()};
    changed_.clear();
    return changed;
}

// ---- looking up ---------------------------------------------------------------

Result<int> NextHops::on_link_interface(const IpAddress& address) {
    const auto route = socket_->route_to(address);
    if (!route) return tl::unexpected(route.error());
    if (route->type == netlink::Route::Type::local)
        return fail("{} is an address of this machine; the XDP plane forwards to other machines",
                    address.to_string());
    if (route->type != netlink::Route::Type::unicast)
        return fail("the route to {} leads nowhere (blackhole, unreachable or prohibit)",
                    address.to_string());
    if (route->gateway)
        return fail(
            "{} is behind gateway {}: direct routing needs it on the same network; TUN will serve",
            address.to_string(), route->gateway->to_string());
    const auto link = links_.find(route->out_interface);
    if (link == links_.end())
        return fail("the interface that leads to {} is gone", address.to_string());
    if (!is_ethernet(link->second))
        return fail(
            "{} is reached by {}, which has no MAC addresses: direct routing needs "
            "Ethernet; TUN will serve",
            address.to_string(), link->second.name);
    return route->out_interface;
}

/// What is wrong with the interface that leads, or led, to a server; "" nothing.
std::string NextHops::trouble_of(int interface) const {
    const auto found = links_.find(interface);
    if (found == links_.end() || (found->second.up && found->second.running)) return "";
    return fmt::format("interface {} {}; ", found->second.name,
                       found->second.up ? "has no carrier" : "is down");
}

void NextHops::look_up(const IpAddress& address) {
    const auto found = servers_.find(address);
    if (found == servers_.end()) return;
    Server& server = found->second;
    const auto interface = on_link_interface(address);
    if (!interface) {
        std::string reason = trouble_of(server.interface) + interface.error().message;
        if (server.reason != reason) changed_.insert(address);
        server.reason = std::move(reason);
        server.on_link = false;
        return;
    }
    server.on_link = true;
    if (server.interface != *interface) {
        if (server.asked) (void)socket_->release(server.interface, address);
        server.asked = false;
        server.interface = *interface;
    }
    const auto mac = macs_.find({*interface, address});
    take_neighbour(address, server, mac != macs_.end() ? std::optional{mac->second} : std::nullopt);
    ask(address, server);
}

/// `mac` absent: what was known before stays, as long as it is of this interface.
void NextHops::take_neighbour(const IpAddress& address, Server& server,
                              const std::optional<netlink::Mac>& mac) {
    const auto link = links_.find(server.interface);
    if (link == links_.end()) return;
    const auto ifindex = static_cast<std::uint32_t>(server.interface);
    std::optional<Hop> hop;
    if (mac)
        hop = Hop{ifindex, *mac, link->second.mac};
    else if (server.hop && server.hop->ifindex == ifindex)
        hop = Hop{ifindex, server.hop->server, link->second.mac};
    std::string reason;
    if (!hop)
        reason =
            fmt::format("{}no {} answer from {} on {}", trouble_of(server.interface),
                        address.is_v4() ? "ARP" : "ND", address.to_string(), link->second.name);
    if (hop == server.hop && reason == server.reason) return;
    // A way that is no more known stays in the tables until the engine, told of
    // the reason, has taken the server out.
    if (hop) server.hop = hop;
    server.reason = std::move(reason);
    changed_.insert(address);
}

void NextHops::ask(const IpAddress& address, Server& server) {
    if (server.asked && socket_->keeps_resolved()) return;
    const auto asked = socket_->resolve(server.interface, address);
    server.asked = asked.has_value();
    if (!asked && !server.reason.empty()) server.reason = asked.error().message;
}

// ---- events -------------------------------------------------------------------

void NextHops::on_neighbour(const netlink::Neighbour& neighbour, TimePoint now) {
    const auto found = servers_.find(neighbour.address);
    if (found == servers_.end()) return;
    const auto key = std::pair{neighbour.interface, neighbour.address};
    if (neighbour.mac)
        macs_[key] = *neighbour.mac;
    else
        macs_.erase(key);
    Server& server = found->second;
    if (server.interface != neighbour.interface) return;
    if (neighbour.gone) {
        server.asked = false;
        look_up_later(neighbour.address, now + ask_again);
        return;
    }
    // A server whose route is at fault keeps that reason.
    if (server.on_link) take_neighbour(neighbour.address, server, neighbour.mac);
}

void NextHops::on_link(const netlink::Link& link, bool gone, TimePoint now) {
    const auto before = links_.find(link.index);
    const bool same_mac = before != links_.end() && before->second.mac == link.mac;
    const bool same_state = before != links_.end() && before->second.up == link.up &&
                            before->second.running == link.running;
    if (gone)
        links_.erase(link.index);
    else
        links_[link.index] = link;
    if (!gone && same_mac && same_state) return;
    for (auto& [address, server] : servers_)
        if (server.interface == link.index || server.interface == 0 || !server.reason.empty())
            look_up_later(address, now + settle);
}

void NextHops::on_route(TimePoint now) {
    for (const auto& [address, server] : servers_)
        look_up_later(address, now + settle);
}

void NextHops::look_up_later(const IpAddress& address, TimePoint when) {
    // The first wish counts: later ones must not put it off for ever.
    if (waiting_.empty()) not_before_ = when;
    if (is_waiting_.insert(address).second) waiting_.push_back(address);
}

void NextHops::look_up_slice(std::size_t most) {
    for (; most != 0 && !waiting_.empty(); --most) {
        const IpAddress address = waiting_.front();
        waiting_.pop_front();
        if (is_waiting_.erase(address) != 0) look_up(address);
    }
}

std::optional<TimePoint> NextHops::deadline() const {
    if (!waiting_.empty()) return repeat_at_ ? std::min(not_before_, *repeat_at_) : not_before_;
    return repeat_at_;
}

void NextHops::on_deadline(TimePoint now) {
    if (!waiting_.empty() && not_before_ <= now) look_up_slice(slice);
    if (socket_->keeps_resolved()) {
        repeat_at_.reset();
        return;
    }
    if (repeat_at_ && now < *repeat_at_) return;
    for (auto& [address, server] : servers_)
        if (server.on_link) (void)socket_->resolve(server.interface, address);
    repeat_at_ = now + repeat_every;
}

}  // namespace dnsdirector::dataplane::xdp
