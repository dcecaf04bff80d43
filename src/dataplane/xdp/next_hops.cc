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
constexpr Nanoseconds settle_time = Milliseconds{50};
/// An entry that the kernel gave up is asked for again.
constexpr Nanoseconds ask_again = Seconds{1};
/// Where the kernel doesn't keep entries itself (before 5.16).
constexpr Nanoseconds repeat_every = Seconds{5};

}  // namespace

Result<void> NextHops::load() {
    auto links = socket_->links();
    if (!links) return tl::unexpected(links.error());
    links_.clear();
    for (netlink::Link& link : *links)
        links_.emplace(link.index, std::move(link));
    insiders_changed_ = true;
    read_neighbours();
    return {};
}

/// Only followed ones: the table may hold thousands of others.
void NextHops::read_neighbours() {
    unread_.clear();
    const auto neighbours = socket_->neighbours();
    if (!neighbours) return;
    for (const netlink::Neighbour& each : *neighbours) {
        const auto found = neighbours_.find({each.interface, each.address});
        if (each.mac && found != neighbours_.end()) found->second.mac = *each.mac;
    }
}

void NextHops::track(const std::set<Target>& servers, const std::set<IpAddress>& directors,
                     TimePoint now) {
    std::set<Target> wanted = servers;
    for (const IpAddress& director : directors)
        wanted.emplace(director, core::ForwardingMethod::dr);
    directors_.clear();
    for (const IpAddress& director : directors)
        if (!servers.contains({director, core::ForwardingMethod::dr})) directors_.insert(director);
    insiders_changed_ = true;
    for (auto at = servers_.begin(); at != servers_.end();) {
        if (wanted.contains(at->first)) {
            ++at;
            continue;
        }
        unfollow(at->first, at->second);
        is_waiting_.erase(at->first);
        insiders_changed_ = true;
        at = servers_.erase(at);
    }
    bool any_new = false;
    for (const Target& target : wanted) {
        // One that was adopted is known but not yet looked up.
        if (servers_[target].looked_up) continue;
        any_new = true;
        look_up_later(target, now);
    }
    if (!any_new) return;
    look_up_slice(slice_of_track);
    if (!socket_->keeps_resolved() && !repeat_at_) repeat_at_ = now + repeat_every;
    // The caller asks for the reasons after this.
    changed_.clear();
}

void NextHops::adopt(const Target& target, const Hop& hop) {
    Server& server = servers_.try_emplace(target).first->second;
    if (server.hop) return;
    server.hop = hop;
    server.reason.clear();
    if (!hop.local) server.path.port = {static_cast<int>(hop.ifindex), hop.tags};
    if (!hop.tunnel) server.path.via = target.address;
    insiders_changed_ = true;
}

const Hop* NextHops::hop(const Target& target) const {
    const auto found = servers_.find(target);
    return found != servers_.end() && found->second.hop ? &*found->second.hop : nullptr;
}

std::string NextHops::reason(const Target& target) const {
    const auto found = servers_.find(target);
    return found != servers_.end() ? found->second.reason : Server{}.reason;
}

std::set<int> NextHops::ports() const {
    std::set<int> indices;
    for (const auto& [target, server] : servers_)
        if (server.path.port.index != 0 && !directors_.contains(target.address))
            indices.insert(server.path.port.index);
    return indices;
}

std::vector<IpAddress> NextHops::take_changed() {
    std::vector<IpAddress> changed{changed_.begin(), changed_.end()};
    changed_.clear();
    return changed;
}

/// A router that leads to a server is none: clients' packets come from it.
std::optional<InsiderMacs> NextHops::take_insiders() {
    if (!std::exchange(insiders_changed_, false)) return std::nullopt;
    InsiderMacs macs;
    for (const auto& [target, server] : servers_)
        if (server.hop && !server.hop->local && server.path.via == target.address)
            macs[server.hop->server] =
                directors_.contains(target.address) ? abi::INSIDER_DIRECTOR : abi::INSIDER_SERVER;
    for (const auto& [index, link] : links_)
        if (link.mac != netlink::Mac{}) macs[link.mac] = abi::INSIDER_SELF;
    return macs;
}

// ---- looking up ---------------------------------------------------------------

Result<NextHops::Path> NextHops::path_to(const Target& target) {
    const auto route = socket_->route_to(target.address);
    if (!route) return tl::unexpected(route.error());
    if (route->type == netlink::Route::Type::local) return Path{};
    if (route->type != netlink::Route::Type::unicast)
        return fail("the route to {} leads nowhere (blackhole, unreachable or prohibit)",
                    target.address.to_string());
    if (route->gateway && !target.tunnel)
        return fail(
            "{} is behind gateway {}: direct routing (lb_kind DR) needs it on the same network; "
            "TUN will serve",
            target.address.to_string(), route->gateway->to_string());
    return path_by(target, *route);
}

Result<NextHops::Path> NextHops::path_by(const Target& target, const netlink::Route& route) {
    const auto link = links_.find(route.out_interface);
    if (link == links_.end())
        return fail("the interface that leads to {} is gone", target.address.to_string());
    if (link->second.loopback || link->second.mac == netlink::Mac{})
        return fail("{} is reached by {}, which has no MAC addresses: the XDP plane needs Ethernet",
                    target.address.to_string(), link->second.name);
    const auto port = port_below(links_, route.out_interface);
    if (!port)
        return fail("{} is reached by {}: {}", target.address.to_string(), link->second.name,
                    port.error().message);
    Path path{route.out_interface, *port, route.gateway.value_or(target.address), {}};
    if (!target.tunnel) return path;
    auto tunnel = tunnel_to(target.address, route, link->second);
    if (!tunnel) return tl::unexpected(tunnel.error());
    path.tunnel = *tunnel;
    return path;
}

Result<Tunnel> NextHops::tunnel_to(const IpAddress& address, const netlink::Route& route,
                                   const netlink::Link& link) const {
    Tunnel tunnel;
    tunnel.server = address;
    tunnel.mtu = route.mtu != 0 ? std::min(route.mtu, link.mtu) : link.mtu;
    // RFC 791: 576 pass everywhere; RFC 8200, 5: 1280 do. An answer to what is too
    // big quotes more than 500 bytes.
    const std::uint32_t needed = address.is_v4() ? 576 + 20 : 1280 + 40;
    if (tunnel.mtu < needed)
        return fail("the MTU on the way to {} by {} is {}; a tunnel needs at least {}",
                    address.to_string(), link.name, tunnel.mtu, needed);
    const auto prefix = std::find_if(
        tunnel_sources_.begin(), tunnel_sources_.end(),
        [&](const core::Prefix& each) { return each.address.family() == address.family(); });
    if (prefix != tunnel_sources_.end()) {
        tunnel.source = prefix->address;
        const unsigned host = address.is_v4() ? 32 - prefix->length : 128 - prefix->length;
        tunnel.entropy = host >= 32 ? ~0U : (1U << host) - 1;
        return tunnel;
    }
    if (!route.preferred_source)
        return fail("{} has no address that a tunnel to {} could start at", link.name,
                    address.to_string());
    tunnel.source = *route.preferred_source;
    return tunnel;
}

/// What is wrong with the interface that leads, or led, to a server; "" nothing.
std::string NextHops::trouble_of(int interface) const {
    const auto found = links_.find(interface);
    if (found == links_.end() || (found->second.up && found->second.running)) return "";
    return fmt::format("interface {} {}; ", found->second.name,
                       found->second.up ? "has no carrier" : "is down");
}

void NextHops::look_up(const Target& target) {
    const auto found = servers_.find(target);
    if (found == servers_.end()) return;
    Server& server = found->second;
    server.looked_up = true;
    auto path = path_to(target);
    server.in_order = path.has_value();
    if (!path) {
        settle(target, server, std::nullopt,
               trouble_of(server.path.interface) + path.error().message);
        return;
    }
    server.path = *path;
    if (server.path.interface == 0) {  // an address of this machine
        unfollow(target, server);
        Hop hop;
        hop.ifindex = 1;  // not used; 0 would say that no way is known
        hop.local = true;
        settle(target, server, hop, "");
        return;
    }
    follow(target, server);
}

/// A user of the neighbour that its path names, which is then asked for.
void NextHops::follow(const Target& target, Server& server) {
    const NeighbourKey key{server.path.interface, server.path.via};
    if (server.neighbour != key) unfollow(target, server);
    server.neighbour = key;
    const auto [at, added] = neighbours_.try_emplace(key);
    at->second.users.insert(target);
    if (added) unread_.insert(key);
    take_neighbour(target, server, at->second.mac);
    ask(key, at->second);
}

void NextHops::unfollow(const Target& target, Server& server) {
    if (!server.neighbour) return;
    const auto found = neighbours_.find(*server.neighbour);
    server.neighbour.reset();
    if (found == neighbours_.end()) return;
    found->second.users.erase(target);
    if (!found->second.users.empty()) return;
    if (found->second.asked) (void)socket_->release(found->first.first, found->first.second);
    unread_.erase(found->first);
    neighbours_.erase(found);
}

/// `mac` absent: what was known before stays, as long as it is of this path.
void NextHops::take_neighbour(const Target& target, Server& server,
                              const std::optional<netlink::Mac>& mac) {
    const Path& path = server.path;
    const auto link = links_.find(path.interface);
    if (link == links_.end()) return;
    Hop hop;
    hop.ifindex = static_cast<std::uint32_t>(path.port.index);
    hop.own = link->second.mac;
    hop.tags = path.port.tags;
    hop.tunnel = path.tunnel;
    const bool same_path = server.hop && server.hop->ifindex == hop.ifindex &&
                           server.hop->tags == hop.tags && !server.hop->local;
    if (mac)
        hop.server = *mac;
    else if (same_path)
        hop.server = server.hop->server;
    else
        return settle(target, server, std::nullopt, no_answer(target, path));
    if (const netlink::Link* own = own_link(hop.server))
        return settle(target, server, std::nullopt,
                      fmt::format("{} answers on {} with the MAC of this machine's own {} ({}): "
                                  "a copied MAC, or proxy ARP",
                                  path.via.to_string(), link->second.name, own->name,
                                  netlink::to_string(hop.server)));
    settle(target, server, hop, "");
}

std::string NextHops::no_answer(const Target& target, const Path& path) const {
    const bool by_router = path.via != target.address;
    return fmt::format(
        "{}no {} answer from {}{}{} on {}", trouble_of(path.interface),
        path.via.is_v4() ? "ARP" : "ND", path.via.to_string(), by_router ? ", the router to " : "",
        by_router ? target.address.to_string() + "," : "", links_.at(path.interface).name);
}

const netlink::Link* NextHops::own_link(const netlink::Mac& mac) const {
    for (const auto& [index, link] : links_)
        if (link.mac == mac && !link.loopback) return &link;
    return nullptr;
}

/// A way that is no more known stays in the tables until the engine, told of the
/// reason, has taken the server out.
void NextHops::settle(const Target& target, Server& server, const std::optional<Hop>& hop,
                      std::string reason) {
    if ((!hop || hop == server.hop) && reason == server.reason) return;
    if (hop) server.hop = hop;
    server.reason = std::move(reason);
    changed_.insert(target.address);
    insiders_changed_ = true;
}

void NextHops::ask(const NeighbourKey& key, Neighbour& neighbour) {
    if (neighbour.asked && socket_->keeps_resolved()) return;
    const auto asked = socket_->resolve(key.first, key.second);
    neighbour.asked = asked.has_value();
    if (asked) return;
    for (const Target& user : neighbour.users) {
        Server& server = servers_.at(user);
        if (!server.reason.empty()) server.reason = asked.error().message;
    }
}

// ---- events -------------------------------------------------------------------

void NextHops::on_neighbour(const netlink::Neighbour& event, TimePoint now) {
    const auto found = neighbours_.find({event.interface, event.address});
    if (found == neighbours_.end()) return;
    Neighbour& neighbour = found->second;
    neighbour.mac = event.mac;
    unread_.erase(found->first);
    if (event.gone) neighbour.asked = false;
    for (const Target& user : neighbour.users) {
        Server& server = servers_.at(user);
        // A server whose route is at fault keeps that reason.
        if (event.gone)
            look_up_later(user, now + ask_again);
        else if (server.in_order)
            take_neighbour(user, server, event.mac);
    }
}

void NextHops::on_link(const netlink::Link& link, bool gone, TimePoint now) {
    const auto before = links_.find(link.index);
    if (before != links_.end() && !gone) {
        netlink::Link same = before->second;
        same.xdp_program_id = link.xdp_program_id;
        before->second.xdp_program_id = link.xdp_program_id;
        if (same == link) return;
    }
    if (gone)
        links_.erase(link.index);
    else
        links_[link.index] = link;
    insiders_changed_ = true;
    for (auto& [target, server] : servers_)
        if (server.path.interface == link.index || server.path.port.index == link.index ||
            server.path.interface == 0 || !server.reason.empty())
            look_up_later(target, now + settle_time);
}

/// An address of a server came to this machine, or left it.
void NextHops::on_address(const IpAddress& address, TimePoint now) {
    for (const auto method : {core::ForwardingMethod::dr, core::ForwardingMethod::tun})
        if (const Target target{address, method}; servers_.contains(target))
            look_up_later(target, now + settle_time);
}

void NextHops::on_route(TimePoint now) {
    for (const auto& [target, server] : servers_)
        look_up_later(target, now + settle_time);
}

void NextHops::look_up_later(const Target& target, TimePoint when) {
    // The first wish counts: later ones must not put it off for ever.
    if (waiting_.empty()) not_before_ = when;
    if (is_waiting_.insert(target).second) waiting_.push_back(target);
}

void NextHops::look_up_slice(std::size_t most) {
    for (; most != 0 && !waiting_.empty(); --most) {
        const Target target = waiting_.front();
        waiting_.pop_front();
        if (is_waiting_.erase(target) != 0) look_up(target);
    }
    if (unread_.empty()) return;
    // Entries that were there before they were followed send no event.
    const std::set<NeighbourKey> unread = unread_;
    read_neighbours();
    for (const NeighbourKey& key : unread) {
        const auto found = neighbours_.find(key);
        if (found == neighbours_.end() || !found->second.mac) continue;
        for (const Target& user : found->second.users)
            take_neighbour(user, servers_.at(user), found->second.mac);
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
    for (const auto& [key, neighbour] : neighbours_)
        (void)socket_->resolve(key.first, key.second);
    repeat_at_ = now + repeat_every;
}

}  // namespace dnsdirector::dataplane::xdp
