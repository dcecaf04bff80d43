// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/plane.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "dataplane/proxy/proxy.h"
#include "dataplane/proxy/transparent.h"

namespace dnsdirector::dataplane::proxy {
namespace {

// How long a clean stop waits for the answers to what clients have asked.
constexpr Nanoseconds stop_patience = Seconds{2};

/// A socket a worker and service, a few to the servers, one a TCP connection: as many as the
/// system allows us.
void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

bool counts_equally(core::Scheduler scheduler) {
    return scheduler == core::Scheduler::rr || scheduler == core::Scheduler::lc;
}

}  // namespace

Plane::Plane(const core::ProxySettings& settings, Inheritance inheritance)
    : settings_(settings),
      worker_count_(settings.workers != 0 ? settings.workers
                                          : std::max(1U, std::thread::hardware_concurrency())),
      clients_(settings.tcp_clients, settings.tcp_per_address),
      kept_(std::move(inheritance.store)),
      journal_(std::move(inheritance.journal)) {}

TimePoint Plane::now_on_clock() {
    return TimePoint{std::chrono::steady_clock::now().time_since_epoch()};
}

Plane::~Plane() {
    workers_.clear();
    for (const int each : {charges_, ended_bridge_})
        if (each >= 0) ::close(each);
    for (const auto* some : {&found_, &lent_})
        for (const auto& [key, sockets] : *some)
            for (const int socket : sockets)
                ::close(socket);
}

Result<std::unique_ptr<Plane>> Plane::make(const core::ProxySettings& settings,
                                           Inheritance inheritance) {
    const std::vector<NamedDescriptor> descriptors = std::move(inheritance.descriptors);
    std::unique_ptr<Plane> plane(new Plane(settings, std::move(inheritance)));
    if (auto started = plane->start(); !started) return tl::unexpected(started.error());
    auto handover = take_handover();
    if (!handover)
        plane->complaint_ = handover.error().message;
    else if (handover->sockets.empty() && handover->lent.empty() && handover->bridge < 0)
        handover = plane->inherit(descriptors);
    if (handover) plane->adopt(std::move(*handover));
    return plane;
}

Result<void> Plane::start() {
    raise_descriptor_limit();
    charges_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (charges_ < 0) return fail_errno("cannot start the proxy", errno);
    for (std::size_t i = 0; i < worker_count_; ++i) {
        workers_.push_back(std::make_unique<Worker>(
            Worker::Settings{.number = i,
                             .proxy = settings_,
                             .clients = &clients_,
                             .raise_charge =
                                 [this] {
                                     const std::uint64_t one = 1;
                                     (void)!write(charges_, &one, sizeof one);
                                 }},
            publisher_));
        if (auto started = workers_.back()->start(); !started) return started;
    }
    return {};
}

// ---- what is wished for -----------------------------------------------------------

Result<void> Plane::check(const core::Configuration& next) {
    for (const core::Service& service : next.services)
        for (const core::RealServer& server : service.real_servers)
            if (server.transparent)
                if (auto may = may_be_transparent(server.endpoint.address.family()); !may)
                    return may;
    return {};
}

void Plane::expect(const core::Configuration& next) {
    const Wishes before = std::exchange(wishes_, wishes_of(next));
    std::set<core::ServiceKey> changed = differing(before, wishes_);
    for (const auto& [key, upstream] : upstreams_)
        if (upstream->proxy_protocol != wishes_.proxy_protocol.contains(key.first) ||
            upstream->transparent != wishes_.transparent.contains(key.first))
            for (const auto& [service, forwarding] : forwarding_)
                if (service.protocol == key.second) changed.insert(service);
    if (!changed.empty()) publish(changed);
}

Result<void> Plane::apply(std::span<const core::Change> changes) {
    std::set<core::ServiceKey> changed;
    std::optional<Error> first;
    for (const core::Change& change : changes) {
        if (auto applied = apply_one(change); !applied) {
            if (!first) first = applied.error();
            continue;
        }
        changed.insert(core::service_of(change));
    }
    if (!changed.empty()) publish(changed);
    if (first) return tl::unexpected(std::move(*first));
    return {};
}

Result<void> Plane::apply_one(const core::Change& change) {
    const core::ServiceKey& key = core::service_of(change);
    if (std::holds_alternative<core::AddService>(change) && !held_.contains(key)) {
        auto listener = listener_for(key);
        if (!listener) return tl::unexpected(listener.error());
        std::shared_ptr<Tally>& tally = service_tallies_[key];
        if (!tally) tally = std::make_shared<Tally>(worker_count_);
        held_[key] = {std::move(*listener), tally, nullptr};
    }
    if (std::holds_alternative<core::RemoveService>(change)) {
        if (const auto found = held_.find(key); found != held_.end()) {
            found->second.listener->close_door();
            if (key.protocol == Protocol::udp) leaving_[key] = found->second.listener;
            held_.erase(found);
        }
    }
    core::apply(forwarding_, change);
    return {};
}

Result<std::shared_ptr<Listener>> Plane::listener_for(const core::ServiceKey& key) {
    if (const auto left = leaving_.extract(key))
        if (auto listener = left.mapped().lock()) return listener;
    std::vector<int> sockets;
    if (const auto lent = lent_.find(key); lent != lent_.end())
        for (const int socket : lent->second)
            if (const int copy = fcntl(socket, F_DUPFD_CLOEXEC, 3); copy >= 0)
                sockets.push_back(copy);
    const std::size_t lent = sockets.size();
    if (const auto found = found_.extract(key))
        sockets.insert(sockets.end(), found.mapped().begin(), found.mapped().end());
    return Listener::adopt(key, std::move(sockets), worker_count_, lent);
}

void Plane::publish(const std::set<core::ServiceKey>& changed) {
    for (const core::ServiceKey& key : changed)
        if (const auto held = held_.find(key); held != held_.end())
            held->second.service = build(forwarding_.at(key), held->second);
    auto table = std::make_shared<Table>();
    table->services.reserve(held_.size());
    for (const auto& [key, held] : held_)
        table->services.push_back(held.service);
    publisher_.publish(std::move(table));
    for (const auto& worker : workers_)
        worker->wake();
    keep_for_successor();
}

std::shared_ptr<const Service> Plane::build(const core::ServiceForwarding& forwarding,
                                            const Held& held) {
    auto service = std::make_shared<Service>();
    service->forwarding = forwarding;
    service->listener = held.listener;
    service->tally = held.tally;
    service->slots = build_slots(forwarding);
    if (const auto subnet = wishes_.client_subnets.find(forwarding.key);
        subnet != wishes_.client_subnets.end())
        service->client_subnet = subnet->second;
    service->to_all = to_all_for(forwarding);
    for (const core::Destination& destination : forwarding.destinations)
        if (destination.weight != 0)
            service->targets.push_back(
                {upstream_for(destination.server, forwarding.key.protocol),
                 tally_for({forwarding.key, destination.server}),
                 counts_equally(forwarding.scheduler) ? 1 : destination.weight});
    return service;
}

std::shared_ptr<const ToAll> Plane::to_all_for(const core::ServiceForwarding& forwarding) {
    const auto wish = wishes_.to_all.find(forwarding.key);
    if (wish == wishes_.to_all.end()) return nullptr;
    auto to_all = std::make_shared<ToAll>();
    to_all->what = wish->second.what;
    for (const Endpoint& server : wish->second.servers)
        to_all->members.push_back({{upstream_for(server, forwarding.key.protocol),
                                    tally_for({forwarding.key, server}), 1}});
    judge_members(to_all->members, forwarding);
    return to_all;
}

std::shared_ptr<Upstream> Plane::upstream_for(const Endpoint& server, Protocol protocol) {
    std::shared_ptr<Upstream>& upstream = upstreams_[{server, protocol}];
    const bool header = wishes_.proxy_protocol.contains(server);
    const bool as_client = wishes_.transparent.contains(server);
    if (!upstream || upstream->proxy_protocol != header || upstream->transparent != as_client)
        upstream = std::make_shared<Upstream>(server, protocol, header, worker_count_, as_client);
    return upstream;
}

std::shared_ptr<Tally> Plane::tally_for(const Member& member) {
    std::shared_ptr<Tally>& tally = tallies_[member];
    if (!tally) tally = std::make_shared<Tally>(worker_count_);
    return tally;
}

void Plane::track(std::span<const TrackedServer> servers) {
    tracked_.clear();
    for (const TrackedServer& tracked : servers)
        tracked_[tracked.service].insert(tracked.server);
    forget_unused();
}

/// Counters and servers that neither the configuration nor the present forwarding knows.
void Plane::forget_unused() {
    const auto known = [&](const core::ServiceKey& key, const Endpoint& server) {
        const auto tracked = tracked_.find(key);
        if (tracked != tracked_.end() && tracked->second.contains(server)) return true;
        const auto found = forwarding_.find(key);
        return found != forwarding_.end() &&
               std::any_of(found->second.destinations.begin(), found->second.destinations.end(),
                           [&](const auto& each) { return each.server == server; });
    };
    std::set<std::pair<Endpoint, Protocol>> used;
    for (const auto& [key, servers] : tracked_)
        for (const Endpoint& server : servers)
            used.emplace(server, key.protocol);
    std::erase_if(tallies_,
                  [&](const auto& each) { return !known(each.first.first, each.first.second); });
    std::erase_if(leaving_, [](const auto& each) { return each.second.expired(); });
    std::erase_if(service_tallies_, [&](const auto& each) {
        return !held_.contains(each.first) && !tracked_.contains(each.first);
    });
    std::erase_if(upstreams_, [&](const auto& each) {
        return each.second.use_count() == 1 && !used.contains(each.first);
    });
}

// ---- what queries say of servers ----------------------------------------------------

void Plane::on_readable() {
    std::uint64_t ignored = 0;
    (void)!::read(charges_, &ignored, sizeof ignored);
    std::vector<Endpoint> out;
    for (const auto& [key, upstream] : upstreams_) {
        const Charge charge = upstream->charge.exchange(Charge::none, std::memory_order_acquire);
        // Over TCP a server may refuse what it answers over UDP, and its checks of TCP know.
        if (charge == Charge::none || key.second == Protocol::tcp) continue;
        if (may_suspect(key.first) && suspicions_.add(key.first, charge, now_on_clock()))
            out.push_back(key.first);
    }
    tell(out);
}

/// At most half of a service's servers are put out in this way, and never the last with work:
/// when many fail at once, it is the question or the network, and checks know better.
bool Plane::may_suspect(const Endpoint& server) const {
    for (const auto& [key, forwarding] : forwarding_) {
        const auto& destinations = forwarding.destinations;
        const auto works = [&](const core::Destination& each) { return each.weight != 0; };
        const bool concerned = std::any_of(
            destinations.begin(), destinations.end(),
            [&](const core::Destination& each) { return each.server == server && works(each); });
        if (!concerned) continue;
        const auto working = std::count_if(destinations.begin(), destinations.end(), works);
        if (working < 2) return false;
        const auto tracked = tracked_.find(key);
        if (tracked == tracked_.end()) continue;
        const auto suspected =
            std::count_if(tracked->second.begin(), tracked->second.end(),
                          [&](const Endpoint& each) { return suspicions_.holds(each); });
        if (2 * (suspected + 1) > static_cast<std::ptrdiff_t>(tracked->second.size())) return false;
    }
    return true;
}

std::optional<TimePoint> Plane::deadline() const {
    const auto next = suspicions_.next_end();
    return next && journal_due_ ? std::min(*next, *journal_due_) : next ? next : journal_due_;
}

void Plane::on_deadline(TimePoint now) {
    const std::vector<Endpoint> ended = suspicions_.end(now);
    tell(ended);
    if (journal_due_ && *journal_due_ <= now) write_down({});
}

void Plane::tell(std::span<const Endpoint> servers) {
    if (servers.empty() || !on_reachability_changed) return;
    std::vector<IpAddress> addresses;
    for (const Endpoint& server : servers)
        addresses.push_back(server.address);
    on_reachability_changed(addresses);
}

// ---- what it tells ------------------------------------------------------------------

Count Plane::sum(const Tally& tally) const {
    Count count;
    for (const CountPart& part : tally.parts) {
        count.packets += part.packets.get();
        count.bytes += part.bytes.get();
    }
    return count;
}

Result<Counters> Plane::counters() {
    Counters counters;
    for (const auto& [key, tally] : service_tallies_)
        counters.services[key] = sum(*tally);
    for (const auto& [member, tally] : tallies_)
        counters.servers[member] = sum(*tally);
    for (std::size_t i = 0; i < drop_names.size(); ++i) {
        std::uint64_t& drops = counters.drops[std::string(drop_names[i])];
        for (const auto& worker : workers_)
            drops += worker->happenings().drops[i].get();
    }
    for (std::size_t i = 0; i < event_names.size(); ++i) {
        std::uint64_t& events = counters.events[std::string(event_names[i])];
        for (const auto& worker : workers_)
            events += worker->happenings().events[i].get();
    }
    counters.events["accused"] = suspicions_.added();
    counters.events["tcp-open"] = clients_.total();
    return counters;
}

Result<Choice> Plane::choose(const Flow& flow) const {
    const auto held = held_.find(flow.service);
    if (held == held_.end() || !held->second.service) return Choice{};
    const Service& service = *held->second.service;
    Choice choice{.by = Choice::By::nobody};
    if (service.targets.empty()) return choice;
    choice.slots = static_cast<std::uint32_t>(service.slots.size());
    using core::Scheduler;
    const Scheduler scheduler = service.forwarding.scheduler;
    if (scheduler == Scheduler::sh || scheduler == Scheduler::mh) {
        const bool port = port_counts(service.forwarding);
        choice.by = port ? Choice::By::flow_hash : Choice::By::source_hash;
        choice.slot = service.slot_of(hash_of_client(SocketAddress(flow.client), port));
        choice.server = service.targets[service.slots[choice.slot]].upstream->endpoint;
        return choice;
    }
    if (scheduler != Scheduler::wrr && scheduler != Scheduler::rr) {
        choice.by = Choice::By::load;
        return choice;
    }
    choice.by = Choice::By::rotation;
    std::map<Endpoint, std::uint32_t> shares;
    for (const std::uint32_t slot : service.slots)
        ++shares[service.targets[slot].upstream->endpoint];
    for (const auto& [server, slots] : shares)
        choice.shares.push_back({server, slots});
    return choice;
}

std::vector<std::string> Plane::warnings() const {
    std::set<std::string> unique;
    for (const std::string* each : {&complaint_, &kept_.complaint(), &journal_complaint_})
        if (!each->empty()) unique.insert(*each);
    for (const auto& worker : workers_)
        if (std::string complaint = worker->complaint(); !complaint.empty())
            unique.insert(std::move(complaint));
    return {unique.begin(), unique.end()};
}

Result<void> Plane::detach() {
    kept_.forget_all();
    if (!journal_.empty()) (void)std::remove(journal_.c_str());
    for (const auto& worker : workers_)
        worker->stop(stop_patience);
    for (const auto& worker : workers_)
        worker->join();
    forwarding_.clear();
    held_.clear();
    return {};
}

}  // namespace dnsdirector::dataplane::proxy

namespace dnsdirector::dataplane {

Result<std::unique_ptr<DataPlane>> make_proxy(const core::DirectorSettings& settings,
                                              Inheritance inheritance) {
    auto plane = proxy::Plane::make(settings.proxy, std::move(inheritance));
    if (!plane) return tl::unexpected(plane.error());
    return std::unique_ptr<DataPlane>(std::move(*plane));
}

}  // namespace dnsdirector::dataplane
