// SPDX-License-Identifier: Apache-2.0
//
// How packets get to servers past the kernel's IP layer: interface, MAC and source address, from
// its routes and neighbour entries. An entry is used as the IP layer would use it, so that it
// is asked for and kept fresh, and never taken care of: that is the data plane's (see
// netlink::Socket::resolve), which would lose it with the end of ours.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/netlink.h"
#include "netlink/single_neighbours.h"

namespace dnsdirector::probe {

/// To one server, shared by its checks.
class Way {
public:
    enum class State : std::uint8_t {
        resolving,  ///< `reason()` says who has not answered yet
        open,
        local,       ///< the server is this machine
        impossible,  ///< `reason()` says why
    };
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] int interface() const { return neighbour_.first; }
    /// All zero where the interface has no MACs.
    [[nodiscard]] const netlink::Mac& mac() const { return mac_; }
    [[nodiscard]] const IpAddress& source() const { return source_; }
    [[nodiscard]] std::uint32_t mtu() const { return mtu_; }

private:
    friend class Ways;

    IpAddress server_;
    bool tunnel_ = false;
    State state_ = State::resolving;
    std::string reason_;
    std::pair<int, IpAddress> neighbour_;  ///< interface, and the server or the router to it
    netlink::Mac mac_{};
    IpAddress source_;
    std::uint32_t mtu_ = 0;
    std::uint64_t looked_up_ = 0;  ///< in which state of the routes
    bool used_ = false;            ///< since its entry changed last
    bool stale_ = false;
    std::set<std::uint64_t> waiting_;  ///< tokens
};

class Ways {
public:
    /// `token` marks its events.
    static Result<std::unique_ptr<Ways>> create(int epoll, std::uint64_t token);

    /// The way to `server`; `tunnel`: it may be behind routers.
    [[nodiscard]] std::shared_ptr<Way> to(const IpAddress& server, bool tunnel);
    /// Looked up where the routes have changed since.
    const Way& look(Way& way);
    /// Before a packet is sent: the same, and its entry is used. `token` is told when one that
    /// is resolving is open.
    const Way& prepare(Way& way, std::uint64_t token);

    /// Takes the kernel's news. Who waited and can go on; valid until the next call.
    std::span<const std::uint64_t> take_news();

private:
    Ways(std::unique_ptr<netlink::Socket> socket, std::unique_ptr<netlink::SingleNeighbours> table,
         std::unique_ptr<netlink::Monitor> monitor);

    void look_up(Way& way);
    Result<void> find_route(Way& way);
    void take_entry(Way& way, const std::optional<netlink::Neighbour>& entry);
    void on_neighbour(const netlink::Neighbour& entry);
    const netlink::Link* link(int index);
    void sweep();

    std::unique_ptr<netlink::Socket> socket_;
    std::unique_ptr<netlink::SingleNeighbours> table_;
    std::unique_ptr<netlink::Monitor> monitor_;
    std::uint64_t routes_ = 1;            ///< counts their changes
    std::map<int, netlink::Link> links_;  ///< as they were asked for since then
    std::map<std::pair<IpAddress, bool>, std::weak_ptr<Way>> ways_;
    std::multimap<std::pair<int, IpAddress>, std::weak_ptr<Way>> users_;  ///< of a neighbour
    std::size_t sweep_at_ = 64;
    std::vector<std::uint64_t> ready_;
};

}  // namespace dnsdirector::probe
