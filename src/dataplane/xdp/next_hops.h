// SPDX-License-Identifier: Apache-2.0
//
// Port, tags and MACs for each real server: its route once, then the neighbour
// entry of the server or of the router that leads to it, which the kernel keeps
// fresh and a monitor follows. A MAC that was once known stays in use while its
// entry is probed or has failed: whether the server is well is for the checks to say.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "dataplane/xdp/hop.h"
#include "dataplane/xdp/insiders.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

class NextHops {
public:
    NextHops(netlink::Socket& socket, const std::vector<core::Prefix>& tunnel_sources)
        : socket_(&socket), tunnel_sources_(tunnel_sources) {}

    /// Links and neighbours as they are now; again after an overflow.
    Result<void> load();

    /// Exactly these are followed, and the MACs of `directors`. The first ones are
    /// looked up before it returns, the rest in slices at deadline().
    void track(const std::set<Target>& servers, const std::set<IpAddress>& directors,
               TimePoint now);
    /// A way found in the tables of a predecessor: holds until better is known.
    void adopt(const Target& server, const Hop& hop);

    /// nullptr while it is not known.
    [[nodiscard]] const Hop* hop(const Target& server) const;
    /// Why it can't be reached; "" when it can.
    [[nodiscard]] std::string reason(const Target& server) const;
    /// Ports of servers (reached or not).
    [[nodiscard]] std::set<int> ports() const;
    [[nodiscard]] const Links& links() const { return links_; }
    /// Nothing waits to be looked up.
    [[nodiscard]] bool settled() const { return waiting_.empty(); }

    /// The MACs whose frames must not be forwarded; nothing when they are as at the
    /// last call.
    [[nodiscard]] std::optional<InsiderMacs> take_insiders();

    void on_link(const netlink::Link& link, bool gone, TimePoint now);
    void on_neighbour(const netlink::Neighbour& neighbour, TimePoint now);
    void on_address(const IpAddress& address, TimePoint now);
    void on_route(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> deadline() const;
    void on_deadline(TimePoint now);

    /// Servers whose hop or reason changed since the last call.
    [[nodiscard]] std::vector<IpAddress> take_changed();

private:
    using NeighbourKey = std::pair<int, IpAddress>;  ///< interface, address

    /// What the route says.
    struct Path {
        int interface = 0;  ///< that it is routed to; 0: none is known, or this machine
        Port port;
        IpAddress via;  ///< the neighbour: the server, or a router
        std::optional<Tunnel> tunnel;
    };
    struct Server {
        std::optional<Hop> hop;
        std::string reason = "its next hop is being looked up";
        Path path;                              ///< the last that was in order
        std::optional<NeighbourKey> neighbour;  ///< that it is a user of
        bool in_order = false;                  ///< its route: the neighbour entry decides
        bool looked_up = false;
    };
    struct Neighbour {
        std::set<Target> users;
        std::optional<netlink::Mac> mac;
        bool asked = false;  ///< the kernel takes care of it
    };

    void look_up(const Target& target);
    Result<Path> path_to(const Target& target);
    Result<Path> path_by(const Target& target, const netlink::Route& route);
    Result<Tunnel> tunnel_to(const IpAddress& address, const netlink::Route& route,
                             const netlink::Link& link) const;
    [[nodiscard]] std::string trouble_of(int interface) const;
    void follow(const Target& target, Server& server);
    void unfollow(const Target& target, Server& server);
    void take_neighbour(const Target& target, Server& server,
                        const std::optional<netlink::Mac>& mac);
    [[nodiscard]] std::string no_answer(const Target& target, const Path& path) const;
    [[nodiscard]] const netlink::Link* own_link(const netlink::Mac& mac) const;
    void settle(const Target& target, Server& server, const std::optional<Hop>& hop,
                std::string reason);
    void ask(const NeighbourKey& key, Neighbour& neighbour);
    void look_up_later(const Target& target, TimePoint when);
    void look_up_slice(std::size_t most);
    void read_neighbours();

    netlink::Socket* socket_;
    std::vector<core::Prefix> tunnel_sources_;
    Links links_;
    std::map<Target, Server> servers_;
    std::set<IpAddress> directors_;  ///< that are no servers too
    std::map<NeighbourKey, Neighbour> neighbours_;
    std::set<NeighbourKey> unread_;  ///< followed since the table was read last

    std::deque<Target> waiting_;
    std::set<Target> is_waiting_;
    TimePoint not_before_;  ///< for what waits
    std::optional<TimePoint> repeat_at_;
    std::set<IpAddress> changed_;
    bool insiders_changed_ = true;
};

}  // namespace dnsdirector::dataplane::xdp
