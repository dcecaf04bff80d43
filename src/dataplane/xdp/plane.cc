// SPDX-License-Identifier: Apache-2.0
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "dataplane/xdp/attachments.h"
#include "dataplane/xdp/flows.h"
#include "dataplane/xdp/memory.h"
#include "dataplane/xdp/next_hops.h"
#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/services.h"
#include "dataplane/xdp/takeover.h"
#include "dataplane/xdp/too_big.h"
#include "dataplane/xdp/xdp.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// A plane is an adapter to the kernel: it needs the time where no one passes it.
TimePoint time_now() {
    return TimePoint{std::chrono::duration_cast<Nanoseconds>(
        std::chrono::steady_clock::now().time_since_epoch())};
}

/// An interface that can't be attached is tried again.
constexpr Nanoseconds retry_attach = Seconds{2};

class Plane : public DataPlane {
public:
    Plane(const core::DirectorSettings& settings, std::unique_ptr<Maps> maps, Flows flows,
          std::unique_ptr<netlink::Socket> socket, std::unique_ptr<netlink::Monitor> monitor)
        : wanted_(settings.interfaces.begin(), settings.interfaces.end()),
          maps_(std::move(maps)),
          socket_(std::move(socket)),
          monitor_(std::move(monitor)),
          hops_(*socket_),
          attachments_(*maps_, settings.xdp_mode),
          services_(*maps_, [this](const IpAddress& address) { return hops_.hop(address); }),
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
    void track(std::span<const std::pair<core::ServiceKey, Endpoint>> servers) override;
    [[nodiscard]] std::string unreachable_reason(const Endpoint& server) const override {
        return hops_.reason(server.address);
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
    Result<void> attach_at_start(const std::vector<netlink::Link>& links);
    void listen();
    void open_too_big();
    void link_changed(const netlink::Link& link, bool gone);
    void reload_network();
    void hand_on_changes();
    [[nodiscard]] bool is_wanted(const netlink::Link& link) const;
    void attach_wanted();
    void attach_again(const netlink::Link& link, const std::string& why);
    Result<void> attach_or_retry(const netlink::Link& link);
    void check_links();
    void check_pins();

    const std::set<std::string> wanted_;  ///< empty: the interfaces that lead to servers
    std::unique_ptr<Maps> maps_;
    std::unique_ptr<netlink::Socket> socket_;
    std::unique_ptr<netlink::Monitor> monitor_;
    Fd epoll_;
    NextHops hops_;
    Attachments attachments_;
    Services services_;
    std::unique_ptr<TooBig> too_big_;
    std::string no_too_big_;  ///< why there is none; "": there is
    Flows flows_;
    std::set<int> seen_interfaces_;  ///< of hops_, when attach_wanted() ran last
    std::optional<TimePoint> retry_at_;
    std::string pin_trouble_;  ///< as it was logged last
    bool tracked_ = false;
    bool detached_ = false;
};

// ---- start and end ------------------------------------------------------------

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
    for (const std::string& name : wanted_)
        if (std::none_of(links->begin(), links->end(),
                         [&](const netlink::Link& link) { return link.name == name; }))
            return fail("the director's interface {} does not exist; there are: {}", name,
                        fmt::join(
                            [&] {
                                std::vector<std::string> names;
                                for (const netlink::Link& link : *links)
                                    if (!link.loopback) names.push_back(link.name);
                                return names;
                            }(),
                            ", "));
    const auto predecessors = Predecessor::find(maps_->pin_dir(), maps_->directory_of_pins());
    if (!predecessors) return tl::unexpected(predecessors.error());
    if (auto done = take_over_tables(*predecessors, *maps_, hops_, services_, time_now()); !done)
        return done;
    if (auto done = attach_at_start(*links); !done) return done;
    // A predecessor's other interfaces go when all that are wanted forward.
    for (const netlink::Link& link : *links)
        if (attachments_.has(link.index) && !wanted_.empty() && !wanted_.contains(link.name))
            if (auto done = attachments_.detach(link.index); !done) return done;
    if (auto done = finish_takeover(*predecessors, *maps_); !done)
        spdlog::error("{}; the next start tries again", done.error().message);
    if (maps_->adopted()) {
        if (auto found = services_.read(); !found) return tl::unexpected(found.error());
        for (const auto& [address, hop] : services_.hops_in_use())
            hops_.adopt(address, hop);
    }
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
        if (auto done = attachments_.attach(link); !done) {
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
    const std::vector<std::string> names = names_in(maps_->directory_of_pins());
    const bool forwards = std::any_of(names.begin(), names.end(), [](const std::string& name) {
        return name.starts_with(link_prefix);
    });
    if (!maps_->adopted() && !forwards) (void)maps_->unpin();
    detached_ = true;
}

Result<void> Plane::detach() {
    if (detached_) return {};
    too_big_.reset();
    Result<void> result;
    for (const int ifindex : attachments_.indices())
        if (auto done = attachments_.detach(ifindex); !done) result = done;
    hops_.track({}, time_now());
    if (auto done = maps_->unpin(); !done) result = done;
    detached_ = true;
    return result;
}

// ---- what is forwarded --------------------------------------------------------

Result<core::Forwarding> Plane::read() {
    check_links();
    check_pins();
    return services_.read();
}

Result<Counters> Plane::counters() {
    Counters counters;
    if (auto done = services_.count(counters); !done) return tl::unexpected(done.error());
    static constexpr const char* names[] = {
#define REASON_NAME(name, verdict, text) #name,
        FOR_EACH_REASON(REASON_NAME)
#undef REASON_NAME
    };
    const auto sums = sum_per_cpu(maps_->fd(MapId::reasons), abi::REASON_COUNT, 1);
    if (!sums) return tl::unexpected(sums.error());
    for (std::size_t i = 0; i < abi::REASON_COUNT; ++i)
        counters.drops[names[i]] = (*sums)[i];
    // By name: another layout's list may have been longer.
    for (const auto& [name, packets] : maps_->base().counts().drops)
        counters.drops[name] += packets;
    auto flows = flows_.count();
    if (!flows) return tl::unexpected(flows.error());
    counters.flows = *flows;
    return counters;
}

void Plane::track(std::span<const std::pair<core::ServiceKey, Endpoint>> servers) {
    const TimePoint now = time_now();
    std::set<IpAddress> addresses;
    for (const auto& [key, server] : servers)
        addresses.insert(server.address);
    services_.track(servers, now);
    hops_.track(addresses, now);
    tracked_ = true;
    // Tables that were adopted may hold MACs that are not right any more.
    const std::vector<IpAddress> all(addresses.begin(), addresses.end());
    if (auto done = services_.refresh(all, now); !done) spdlog::error("{}", done.error().message);
    attach_wanted();
}

// ---- events -------------------------------------------------------------------

void Plane::listen() {
    monitor_->on_link = [this](const netlink::Link& link, bool gone) { link_changed(link, gone); };
    monitor_->on_neighbour = [this](const netlink::Neighbour& neighbour) {
        hops_.on_neighbour(neighbour, time_now());
    };
    monitor_->on_route = [this] { hops_.on_route(time_now()); };
    monitor_->on_overflow = [this] { reload_network(); };
}

void Plane::on_readable() {
    if (detached_) return;
    monitor_->on_readable();
    if (too_big_) too_big_->on_readable(time_now());
    hand_on_changes();
}

std::optional<TimePoint> Plane::deadline() const {
    std::optional<TimePoint> first;
    if (detached_) return first;
    for (const auto& each :
         {services_.deadline(), hops_.deadline(), monitor_->deadline(), retry_at_,
          too_big_ ? too_big_->deadline() : std::nullopt,
          maps_->remembers_flows() ? std::optional{flows_.deadline()} : std::nullopt})
        if (each && (!first || *each < *first)) first = each;
    return first;
}

void Plane::on_deadline(TimePoint now) {
    if (detached_) return;
    services_.on_deadline(now);
    if (maps_->remembers_flows())
        if (const auto idle = flows_.on_deadline(now)) services_.forget_moves(*idle);
    if (const auto at = monitor_->deadline(); at && *at <= now) monitor_->on_deadline(now);
    if (const auto at = hops_.deadline(); at && *at <= now) hops_.on_deadline(now);
    if (too_big_) too_big_->on_deadline(now);
    if (retry_at_ && *retry_at_ <= now) {
        retry_at_.reset();
        attach_wanted();
    }
    hand_on_changes();
}

/// Tables first, then the engine: what it decides builds on them.
void Plane::hand_on_changes() {
    const std::vector<IpAddress> changed = hops_.take_changed();
    if (tracked_ && wanted_.empty() && hops_.interfaces() != seen_interfaces_) attach_wanted();
    if (changed.empty()) return;
    if (auto done = services_.refresh(changed, time_now()); !done)
        spdlog::error("{}", done.error().message);
    if (on_reachability_changed) on_reachability_changed(changed);
}

void Plane::reload_network() {
    const TimePoint now = time_now();
    if (auto loaded = hops_.load(); !loaded) spdlog::error("{}", loaded.error().message);
    hops_.on_route(now);
    check_links();
}

// ---- interfaces ---------------------------------------------------------------

bool Plane::is_wanted(const netlink::Link& link) const {
    return wanted_.empty() ? hops_.interfaces().contains(link.index) : wanted_.contains(link.name);
}

void Plane::link_changed(const netlink::Link& link, bool gone) {
    hops_.on_link(link, gone, time_now());
    if (gone) {
        services_.forget_egress(static_cast<std::uint32_t>(link.index));
        if (!attachments_.has(link.index)) return;
        attachments_.lost(link.index);
        if (on_disturbed) on_disturbed("interface " + link.name + " is gone");
        return;
    }
    const bool has = attachments_.has(link.index);
    if (has ? attachments_.intact(link) : !wanted_.contains(link.name)) return;
    // An interface that is being removed reports changes first, then its end.
    const auto there = socket_->link(link.index);
    if (!there || !*there) return;
    if (has)
        attach_again(link, "the program on " + link.name + " had to be attached again");
    else
        attach_again(link, "interface " + link.name + " is back");
}

void Plane::attach_again(const netlink::Link& link, const std::string& why) {
    if (attach_or_retry(link) && on_disturbed) on_disturbed(why);
}

Result<void> Plane::attach_or_retry(const netlink::Link& link) {
    auto done = attachments_.attach(link);
    if (done) return done;
    spdlog::error("{}", done.error().message);
    retry_at_ = time_now() + retry_attach;
    return done;
}

/// Links that somebody detached send no event: found when the tables are read.
void Plane::check_links() {
    const auto links = socket_->links();
    if (!links) return;
    for (const netlink::Link& link : *links)
        if (attachments_.has(link.index) && !attachments_.intact(link)) {
            spdlog::warn("the program on {} was taken off; attaching it again", link.name);
            (void)attach_or_retry(link);
        }
}

/// Without pins the next start would not find what is in force.
void Plane::check_pins() {
    if (detached_) return;
    std::vector<std::string> restored;
    std::string trouble;
    if (auto maps = maps_->restore_pins())
        restored = std::move(*maps);
    else
        trouble = maps.error().message;
    for (std::string& link : attachments_.restore_pins())
        restored.push_back(std::move(link));
    if (!restored.empty())
        spdlog::warn("pins that somebody removed were made again: {}", fmt::join(restored, ", "));
    if (!trouble.empty() && trouble != pin_trouble_)
        spdlog::error("the next start will not find what is in force: {}", trouble);
    pin_trouble_ = trouble;
}

/// Attaches where it is wanted and is not; without named interfaces takes it off
/// where no server is any more.
void Plane::attach_wanted() {
    const auto links = socket_->links();
    if (!links) return;
    seen_interfaces_ = hops_.interfaces();
    for (const netlink::Link& link : *links) {
        const bool has = attachments_.has(link.index);
        if (is_wanted(link) && !has) {
            (void)attach_or_retry(link);
        } else if (has && wanted_.empty() && !is_wanted(link) && hops_.settled()) {
            if (auto done = attachments_.detach(link.index); !done)
                spdlog::warn("{}", done.error().message);
        }
    }
}

}  // namespace
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
