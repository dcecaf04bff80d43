// SPDX-License-Identifier: Apache-2.0
#include "probe/ways.h"

#include <fmt/core.h>
#include <linux/neighbour.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace dnsdirector::probe {
namespace {

using netlink::Mac;

const char* resolver_of(const IpAddress& address) {
    return address.is_v4() ? "ARP" : "ND";
}

}  // namespace

Result<std::unique_ptr<Ways>> Ways::create(int epoll, std::uint64_t token) {
    auto monitor = netlink::Monitor::open();
    if (!monitor) return tl::unexpected(monitor.error());
    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    auto table = netlink::SingleNeighbours::open();
    if (!table) return tl::unexpected(table.error());
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = token;
    if (::epoll_ctl(epoll, EPOLL_CTL_ADD, (*monitor)->descriptor(), &event) != 0)
        return fail_errno("cannot watch the monitor of routes and neighbours", errno);
    return std::unique_ptr<Ways>(
        new Ways(std::move(*socket), std::move(*table), std::move(*monitor)));
}

Ways::Ways(std::unique_ptr<netlink::Socket> socket,
           std::unique_ptr<netlink::SingleNeighbours> table,
           std::unique_ptr<netlink::Monitor> monitor)
    : socket_(std::move(socket)), table_(std::move(table)), monitor_(std::move(monitor)) {
    // Looked up again before the next packet, not now: routes change in bursts.
    const auto changed = [this] {
        ++routes_;
        links_.clear();
    };
    monitor_->on_route = changed;
    monitor_->on_overflow = changed;
    monitor_->on_link = [changed](const netlink::Link&, bool) { changed(); };
    monitor_->on_address = [changed](const netlink::InterfaceAddress&, bool) { changed(); };
    monitor_->on_neighbour = [this](const netlink::Neighbour& entry) { on_neighbour(entry); };
}

/// Forgets the ways that nobody has any more.
void Ways::sweep() {
    const auto unused = [](const auto& each) { return each.second.expired(); };
    std::erase_if(ways_, unused);
    std::erase_if(users_, unused);
    sweep_at_ = 2 * ways_.size() + 64;
}

std::shared_ptr<Way> Ways::to(const IpAddress& server, bool tunnel) {
    if (ways_.size() >= sweep_at_) sweep();
    std::weak_ptr<Way>& known = ways_[{server, tunnel}];
    if (std::shared_ptr<Way> way = known.lock()) return way;
    auto way = std::make_shared<Way>();
    way->server_ = server;
    way->tunnel_ = tunnel;
    known = way;
    return way;
}

const netlink::Link* Ways::link(int index) {
    const auto known = links_.find(index);
    if (known != links_.end()) return &known->second;
    auto asked = socket_->link(index);
    if (!asked || !*asked) return nullptr;
    return &links_.emplace(index, std::move(**asked)).first->second;
}

/// Sets where it leads and from which address.
Result<void> Ways::find_route(Way& way) {
    const std::string server = way.server_.to_string();
    const auto route = socket_->route_to(way.server_);
    if (!route) return tl::unexpected(route.error());
    way.state_ = Way::State::local;
    if (route->type == netlink::Route::Type::local) return {};
    way.state_ = Way::State::resolving;
    if (route->type != netlink::Route::Type::unicast)
        return fail("the route to {} leads nowhere (blackhole, unreachable or prohibit)", server);
    if (route->gateway && !way.tunnel_)
        return fail(
            "{} is behind gateway {}: direct routing (lb_kind DR) needs it on the same network",
            server, route->gateway->to_string());
    const netlink::Link* out = link(route->out_interface);
    if (out == nullptr) return fail("the interface that leads to {} is gone", server);
    if (!route->preferred_source)
        return fail("{} has no address that a packet to {} could come from", out->name, server);
    way.neighbour_ = {route->out_interface, route->gateway.value_or(way.server_)};
    way.source_ = *route->preferred_source;
    way.mtu_ = route->mtu != 0 ? std::min(route->mtu, out->mtu) : out->mtu;
    if (out->mac == Mac{}) way.state_ = Way::State::open;
    return {};
}

void Ways::look_up(Way& way) {
    const auto [first, last] = users_.equal_range(way.neighbour_);
    for (auto at = first; at != last; ++at)
        if (at->second.lock().get() == &way) {
            users_.erase(at);
            break;
        }
    way.looked_up_ = routes_;
    way.used_ = way.stale_ = false;
    way.mac_ = {};
    if (const auto found = find_route(way); !found) {
        way.state_ = Way::State::impossible;
        way.reason_ = "cannot send: " + found.error().message;
        return;
    }
    if (way.state_ != Way::State::resolving) return;
    users_.emplace(way.neighbour_, ways_.at({way.server_, way.tunnel_}));
    const auto entry = table_->find(way.neighbour_.first, way.neighbour_.second);
    take_entry(way, entry ? *entry : std::nullopt);
}

void Ways::take_entry(Way& way, const std::optional<netlink::Neighbour>& entry) {
    way.used_ = false;
    way.stale_ = entry && entry->nud_state == NUD_STALE;
    if (entry && entry->mac && !entry->gone) {
        way.state_ = Way::State::open;
        way.mac_ = *entry->mac;
        way.reason_.clear();
        return;
    }
    const IpAddress& asked = way.neighbour_.second;
    const netlink::Link* out = link(way.neighbour_.first);
    way.state_ = Way::State::resolving;
    way.reason_ =
        fmt::format("no neighbour entry for {}{} on {}: no {} answer", asked.to_string(),
                    asked == way.server_ ? "" : ", the router to " + way.server_.to_string() + ",",
                    out != nullptr ? out->name : "an interface that is gone", resolver_of(asked));
}

const Way& Ways::look(Way& way) {
    if (way.looked_up_ != routes_) look_up(way);
    return way;
}

const Way& Ways::prepare(Way& way, std::uint64_t token) {
    look(way);
    const bool by_mac = way.state_ == Way::State::resolving ||
                        (way.state_ == Way::State::open && way.mac_ != Mac{});
    if (!by_mac) return way;
    // What a packet from the IP layer would do. One that is resolving is asked for again each
    // time, since the kernel gives up after three questions.
    if (way.state_ == Way::State::resolving || (way.stale_ && !way.used_)) {
        const auto used = table_->use(way.neighbour_.first, way.neighbour_.second);
        way.used_ = used.has_value();
        if (!used && way.state_ == Way::State::resolving) way.reason_ = used.error().message;
    }
    if (way.state_ == Way::State::resolving) way.waiting_.insert(token);
    return way;
}

void Ways::on_neighbour(const netlink::Neighbour& entry) {
    const auto [first, last] = users_.equal_range({entry.interface, entry.address});
    for (auto at = first; at != last;) {
        const std::shared_ptr<Way> way = at->second.lock();
        if (!way) {
            at = users_.erase(at);
            continue;
        }
        ++at;
        take_entry(*way, entry);
        if (way->state_ != Way::State::open) continue;
        ready_.insert(ready_.end(), way->waiting_.begin(), way->waiting_.end());
        way->waiting_.clear();
    }
}

std::span<const std::uint64_t> Ways::take_news() {
    ready_.clear();
    monitor_->on_readable();
    return ready_;
}

}  // namespace dnsdirector::probe
