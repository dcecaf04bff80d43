// SPDX-License-Identifier: Apache-2.0
//
// How the plane starts, by itself or in the place of a predecessor, and ends.
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>

#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/plane.h"
#include "dataplane/xdp/shared_flows.h"
#include "dataplane/xdp/takeover.h"

namespace dnsdirector::dataplane::xdp {

Result<void> Plane::start() {
    epoll_ = Fd{epoll_create1(EPOLL_CLOEXEC)};
    epoll_event event{};
    event.events = EPOLLIN;
    if (!epoll_ || epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, monitor_->descriptor(), &event) != 0)
        return fail_errno("cannot wait for changes of the network", errno);
    listen();
    open_too_big();
    if (auto loaded = hops_.load(); !loaded) return loaded;
    const auto links = socket_->links();
    if (!links) return tl::unexpected(links.error());
    attachments_.adopt(*links);

    // Named ones must be there. What a predecessor attached to goes on with this
    // version's program; whether it is still wanted is known when servers are.
    if (auto found = find_wanted(*links); !found) return found;
    if (auto done = take_over(*links); !done) return done;
    if (maps_->adopted()) {
        if (auto found = services_.read(); !found) return tl::unexpected(found.error());
        for (const auto& [server, hop] : services_.hops_in_use())
            hops_.adopt(server, hop);
    }
    return {};
}

/// Step by step as takeover.h has it; without a predecessor of another layout the
/// interfaces are all there is to it.
Result<void> Plane::take_over(const std::vector<netlink::Link>& links) {
    const auto predecessors = Predecessor::find(maps_->pin_dir(), maps_->directory_of_pins());
    if (!predecessors) return tl::unexpected(predecessors.error());
    const auto taken =
        take_over_tables(*predecessors, *maps_, hops_, other_directors_, services_, time_now());
    if (!taken) return tl::unexpected(taken.error());
    if (taken->tables) guard();
    if (auto done = attach_at_start(links); !done) return done;
    // A predecessor's other interfaces go when all that are wanted forward.
    for (const netlink::Link& link : links)
        if (attachments_.has(link.index) && !wanted_.empty() && !wanted_.contains(link.name))
            if (auto done = attachments_.detach(link.index); !done) return done;
    if (auto done = finish_takeover(*predecessors, *taken, *maps_); !done)
        spdlog::error("{}; the next start tries again", done.error().message);
    return {};
}

Result<void> Plane::attach_at_start(const std::vector<netlink::Link>& links) {
    std::vector<netlink::Link> these;
    for (const netlink::Link& link : links)
        if (wanted_.contains(link.name) || (wanted_.empty() && attachments_.has(link.index)))
            these.push_back(link);
    for (const netlink::Link& link : these)
        if (auto done = attachments_.prepare(link); !done) return done;
    std::vector<int> fresh;
    for (const netlink::Link& link : these) {
        const bool adopted = attachments_.has(link.index);
        // Answers by ICMP go back the way that the packet came.
        auto done = services_.open_egress(static_cast<std::uint32_t>(link.index));
        if (done) done = attachments_.attach(link);
        if (!done) {
            for (const int ifindex : fresh)
                (void)attachments_.detach(ifindex);
            return done;
        }
        if (!adopted) fresh.push_back(link.index);
    }
    return {};
}

/// Without it queries and answers go as ever: no reason not to start.
void Plane::open_too_big() {
    auto opened =
        TooBig::open(maps_->fd(MapId::too_big),
                     [this](const core::ServiceKey& key) { return services_.ways_of(key); }, {});
    epoll_event event{};
    event.events = EPOLLIN;
    if (opened && epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, (*opened)->descriptor(), &event) == 0) {
        too_big_ = std::move(*opened);
        return;
    }
    no_too_big_ = opened ? "cannot wait for ICMP errors" : opened.error().message;
    spdlog::warn("{}", no_too_big_);
}

void Plane::undo_start() {
    if (!maps_->adopted() && !holds_links(maps_->directory_of_pins())) (void)maps_->unpin();
    detached_ = true;
}

/// The ports of the named interfaces: a VLAN device's is the interface below it.
Result<void> Plane::find_wanted(const std::vector<netlink::Link>& links) {
    std::set<std::string> ports;
    for (const std::string& name : wanted_) {
        const auto named = std::find_if(links.begin(), links.end(), [&](const netlink::Link& link) {
            return link.name == name;
        });
        if (named == links.end()) {
            std::vector<std::string> names;
            for (const netlink::Link& link : links)
                if (!link.loopback) names.push_back(link.name);
            return fail("the director's interface {} does not exist; there are: {}", name,
                        fmt::join(names, ", "));
        }
        const auto below = port_below(hops_.links(), named->index);
        if (!below) return fail("the director's interface {}: {}", name, below.error().message);
        const netlink::Link& port = hops_.links().at(below->index);
        if (std::string why = unfit(hops_.links(), port); !why.empty())
            return fail("the director's interface {}: {}", name, why);
        if (port.name != name)
            spdlog::info("{} is a VLAN device: the program for it works on {}, for all VLANs", name,
                         port.name);
        ports.insert(port.name);
    }
    wanted_ = std::move(ports);
    return {};
}

Result<void> Plane::detach() {
    if (detached_) return {};
    too_big_.reset();
    Result<void> result;
    for (const int ifindex : attachments_.indices())
        if (auto done = attachments_.detach(ifindex); !done) result = done;
    hops_.track({}, {}, time_now());
    if (auto done = maps_->unpin(); !done) result = done;
    detached_ = true;
    return result;
}

}  // namespace dnsdirector::dataplane::xdp

namespace dnsdirector::dataplane {

Result<std::unique_ptr<DataPlane>> make_xdp(const core::DirectorSettings& settings,
                                            const std::string& pin_dir) {
    auto maps = xdp::Maps::open(settings.limits, pin_dir);
    if (!maps) return tl::unexpected(maps.error());
    auto socket = netlink::Socket::open();
    if (!socket) return tl::unexpected(socket.error());
    auto monitor = netlink::Monitor::open();
    if (!monitor) return tl::unexpected(monitor.error());
    const auto predecessors =
        xdp::Predecessor::find((*maps)->pin_dir(), (*maps)->directory_of_pins());
    if (!predecessors) return tl::unexpected(predecessors.error());
    if (auto shared = xdp::share_flows(*predecessors, **maps); !shared) {
        if (!(*maps)->adopted()) (void)(*maps)->unpin();
        return tl::unexpected(shared.error());
    }
    auto flows = xdp::Flows::open(**maps);
    if (!flows) return tl::unexpected(flows.error());
    auto plane = std::make_unique<xdp::Plane>(settings, std::move(*maps), std::move(*flows),
                                              std::move(*socket), std::move(*monitor));
    if (auto started = plane->start(); !started) {
        plane->undo_start();
        return tl::unexpected(started.error());
    }
    return plane;
}

}  // namespace dnsdirector::dataplane
