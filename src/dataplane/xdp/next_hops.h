// SPDX-License-Identifier: Apache-2.0
//
// Interface and MACs for each real server: its route once, then its neighbour
// entry, which the kernel keeps fresh and a monitor follows. A MAC that was once
// known stays in use while its entry is probed or has failed: whether the server
// is well is for the checks to say.
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
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

class NextHops {
public:
    explicit NextHops(netlink::Socket& socket) : socket_(&socket) {}

    /// Links and neighbours as they are now; again after an overflow.
    Result<void> load();

    /// Exactly these are followed. The first ones are looked up before it
    /// returns, the rest in slices at deadline().
    void track(const std::set<IpAddress>& servers, TimePoint now);
    /// A way found in the tables of a predecessor: holds until better is known.
    void adopt(const IpAddress& server, const Hop& hop);

    /// nullptr while it is not known.
    [[nodiscard]] const Hop* hop(const IpAddress& server) const;
    /// Why it can't be reached; "" when it can.
    [[nodiscard]] std::string reason(const IpAddress& server) const;
    /// On-link interfaces of servers (reached or not).
    [[nodiscard]] std::set<int> interfaces() const;
    /// Nothing waits to be looked up.
    [[nodiscard]] bool settled() const { return waiting_.empty(); }

    void on_link(const netlink::Link& link, bool gone, TimePoint now);
    void on_neighbour(const netlink::Neighbour& neighbour, TimePoint now);
    void on_route(TimePoint now);

    [[nodiscard]] std::optional<TimePoint> deadline() const;
    void on_deadline(TimePoint now);

    /// Servers whose hop or reason changed since the last call.
    [[nodiscard]] std::vector<IpAddress> take_changed();

private:
    struct Server {
        std::optional<Hop> hop;
        std::string reason = "its next hop is being looked up";
        int interface = 0;     ///< of the on-link route; 0 while there is none
        bool on_link = false;  ///< its route is in order: the neighbour entry decides
        bool asked = false;    ///< the kernel takes care of the neighbour entry
    };

    void look_up(const IpAddress& address);
    Result<int> on_link_interface(const IpAddress& address);
    [[nodiscard]] std::string trouble_of(int interface) const;
    void take_neighbour(const IpAddress& address, Server& server,
                        const std::optional<netlink::Mac>& mac);
    void ask(const IpAddress& address, Server& server);
    void look_up_later(const IpAddress& address, TimePoint when);
    void look_up_slice(std::size_t most);
    void read_neighbours();

    netlink::Socket* socket_;
    std::map<int, netlink::Link> links_;
    std::map<IpAddress, Server> servers_;
    std::map<std::pair<int, IpAddress>, netlink::Mac> macs_;  ///< of followed servers

    std::deque<IpAddress> waiting_;
    std::set<IpAddress> is_waiting_;
    TimePoint not_before_;  ///< for what waits
    std::optional<TimePoint> repeat_at_;
    std::set<IpAddress> changed_;
};

}  // namespace dnsdirector::dataplane::xdp
