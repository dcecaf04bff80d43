// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/plane.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>

#include "dataplane/ipvs/ipvs.h"
#include "dataplane/ipvs/refusals.h"
#include "dataplane/ipvs/translate.h"

namespace dnsdirector::dataplane::ipvs {
namespace {

using netlink::IpvsDestination;
using netlink::IpvsService;
using netlink::IpvsStats;

// What somebody else changed is repaired within a second. A look that takes
// long comes more rarely, but not rarer than that allows.
constexpr Nanoseconds look_interval = Milliseconds{500};
constexpr Nanoseconds longest_look_interval = Milliseconds{900};
constexpr int look_cost_ratio = 40;
constexpr int least_cost_ratio = 3;  // a quarter of a processor, whatever was promised

// The kernel marks no dump of IPVS as interrupted: where others change the table
// between two parts of one, a server may be missing in it or stand there twice. What
// is news is believed when it was read twice alike, or after so many times.
constexpr int most_scans = 4;

// Counting a service's servers before one of them goes takes a dump of them all.
// Of larger ones the last look's numbers are taken, so that a change costs the
// same whatever the size.
constexpr std::size_t few_servers = 256;

TimePoint time_now() {
    return TimePoint{std::chrono::duration_cast<TimePoint::duration>(
        std::chrono::steady_clock::now().time_since_epoch())};
}

Count count_of(const IpvsStats& stats) {
    return {stats.packets_in, stats.bytes_in};
}

std::string name_of(const IpvsService& service) {
    if (const auto key = key_of(service.id)) return key->to_string();
    return Endpoint{service.id.address, service.id.port}.to_string() +
           fmt::format("/protocol {}", service.id.protocol);
}

/// What somebody did, in few words.
std::string summary(const core::Forwarding& before, const core::Forwarding& after) {
    const std::vector<core::Change> changes = core::diff(before, after);
    if (changes.empty()) return "";
    std::string text = "somebody else changed the IPVS table: " + describe(changes.front(), before);
    if (changes.size() > 1) text += fmt::format(", and {} more", changes.size() - 1);
    return text;
}

std::string boot_id() {
    std::ifstream file{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    file >> id;
    return id.empty() ? "unknown" : id;
}

}  // namespace

Plane::Plane(std::unique_ptr<netlink::IpvsTable> table, Journal journal)
    : table_(std::move(table)),
      journal_(std::move(journal)),
      next_look_(time_now() + look_interval) {}

// ---- reading ------------------------------------------------------------------

void Plane::note(const Result<void>& written) {
    const std::string trouble = written ? "" : written.error().message;
    if (!trouble.empty() && trouble != journal_trouble_)
        spdlog::error("the next start will not know what is ours in the IPVS table: {}", trouble);
    journal_trouble_ = trouble;
}

void Plane::observe(const core::ServiceKey& key, const Endpoint& server, const IpvsStats& stats,
                    Journal::Tallies& tallies) {
    Tally& tally = tallies.servers[server];
    if (tally.observe(count_of(stats))) journal_.note(key, server, tally);
}

Result<core::ServiceForwarding> Plane::scan_service(const core::ServiceKey& key,
                                                    const IpvsService& service,
                                                    Counters* counters) {
    auto destinations = table_->destinations(service.id);
    if (!destinations) return refused(key, "reading its servers", destinations.error());
    core::ServiceForwarding forwarding = forwarding_of(key, service);
    Journal::Tallies& tallies = journal_.tallies()[key];
    if (tallies.service.observe(count_of(service.stats))) journal_.note(key, tallies.service);
    forwarding.destinations.reserve(destinations->size());
    for (const IpvsDestination& one : *destinations) {
        const core::Destination& destination =
            forwarding.destinations.emplace_back(destination_of(one));
        observe(key, destination.server, one.stats, tallies);
        if (counters != nullptr)
            counters->connections[{key, destination.server}] = {one.active, one.inactive,
                                                                one.persistent};
    }
    auto& sorted = forwarding.destinations;
    std::sort(sorted.begin(), sorted.end());
    sorted.erase(std::unique(sorted.begin(), sorted.end(),
                             [](const core::Destination& left, const core::Destination& right) {
                                 return left.server == right.server;
                             }),
                 sorted.end());
    if (const auto told = methods_.find(key); told != methods_.end())
        forwarding.method = told->second;
    else if (!sorted.empty())
        forwarding.method = sorted.front().method;
    // What the journal does not know, and the configuration names.
    if (!journal_.owns(key)) take_over(key, {service, std::move(*destinations)});
    return forwarding;
}

Result<core::Forwarding> Plane::scan(Counters* counters) {
    const auto services = table_->services();
    if (!services) return cannot_read(services.error());
    if (counters != nullptr) *counters = {};
    core::Forwarding ours;
    for (const IpvsService& service : *services) {
        const auto key = key_of(service.id);
        if (!key || (!journal_.owns(*key) && !expected_.contains(*key))) {
            if (counters != nullptr) counters->foreign.push_back(name_of(service));
            continue;
        }
        auto found = scan_service(*key, service, counters);
        if (!found) return tl::unexpected(found.error());
        ours.emplace(*key, std::move(*found));
    }
    note(journal_.flush());
    return ours;
}

/// Until what is not as it was before has been seen twice.
Result<core::Forwarding> Plane::scan_settled(Counters* counters) {
    auto found = scan(counters);
    if (!found || *found == held_) return found;
    for (int scans = 1; found && scans < most_scans; ++scans) {
        const core::Forwarding before = std::move(*found);
        found = scan(counters);
        if (found && (*found == before || *found == held_)) break;
    }
    return found;
}

Result<core::Forwarding> Plane::read() {
    const TimePoint begun = time_now();
    auto found = scan_settled(nullptr);
    if (!found) return tl::unexpected(found.error());
    if (!detached_) note(journal_.restore());
    held_ = std::move(*found);
    schedule(begun);
    return held_;
}

std::optional<TimePoint> Plane::deadline() const {
    if (detached_) return std::nullopt;
    return next_look_;
}

void Plane::on_deadline(TimePoint now) {
    if (detached_ || now < next_look_) return;
    auto looked = look(nullptr);
    const std::string trouble = looked ? "" : looked.error().message;
    if (!trouble.empty() && trouble != look_trouble_ && on_disturbed) on_disturbed(trouble);
    look_trouble_ = trouble;
}

/// Reads the table and says what others changed.
Result<void> Plane::look(Counters* counters) {
    const TimePoint begun = time_now();
    auto found = scan_settled(counters);
    if (found && *found != held_) {
        const std::string what = summary(held_, *found);
        held_ = std::move(*found);
        if (!what.empty() && on_disturbed) on_disturbed(what);
    }
    schedule(begun);
    if (!found) return tl::unexpected(found.error());
    return {};
}

void Plane::schedule(TimePoint begun) {
    const TimePoint now = time_now();
    const Nanoseconds cost = now - begun;
    const Nanoseconds wait =
        std::clamp<Nanoseconds>(cost * look_cost_ratio, look_interval, longest_look_interval);
    next_look_ = now + std::max<Nanoseconds>(wait, cost * least_cost_ratio);
}

Result<Counters> Plane::counters() {
    Counters counters;
    if (auto looked = look(&counters); !looked) return tl::unexpected(looked.error());
    for (const auto& [key, tallies] : journal_.tallies()) {
        counters.services[key] = tallies.service.total();
        for (const auto& [server, tally] : tallies.servers)
            counters.servers[{key, server}] = tally.total();
    }
    return counters;
}

// ---- changing -----------------------------------------------------------------

Result<void> Plane::apply(std::span<const core::Change> changes) {
    counted_.clear();
    returned_.clear();
    Result<void> result;
    std::set<core::ServiceKey> failed;
    for (const core::Change& change : changes) {
        const core::ServiceKey& key = service_of(change);
        if (failed.contains(key)) continue;
        auto done = std::visit([&](const auto& one) { return put(one); }, change);
        if (done) {
            core::apply(held_, change);
            continue;
        }
        failed.insert(key);
        if (result) result = std::move(done);
    }
    for (const core::ServiceKey& key : returned_)
        recount(key);
    note(journal_.flush());
    return result;
}

Result<void> Plane::set(const core::AddService& service, bool fresh) {
    const IpvsService in_kernel = service_of(service);
    auto done = fresh ? table_->add(in_kernel) : table_->edit(in_kernel);
    if (!done && fresh && done.error().error == EEXIST) done = table_->edit(in_kernel);
    if (!done && !fresh && done.error().error == ESRCH) done = table_->add(in_kernel);
    if (done) {
        methods_[service.key] = service.method;
        return {};
    }
    return refused_scheduler(service.key, in_kernel.scheduler, done.error());
}

Result<void> Plane::put(const core::AddService& change) {
    if (auto claimed = journal_.claim(change.key); !claimed) return claimed;
    return set(change, true);
}

Result<void> Plane::put(const core::EditService& change) {
    return set({change.key, change.scheduler, change.method, change.other_hash, change.ipvs},
               false);
}

Result<void> Plane::put(const core::RemoveService& change) {
    count_before_removal(change.key);
    const auto done = table_->remove(id_of(change.key));
    if (!done && done.error().error != ESRCH)
        return refused(change.key, "removing the service", done.error());
    methods_.erase(change.key);
    if (const auto found = journal_.tallies().find(change.key); found != journal_.tallies().end()) {
        journal_.note(change.key, found->second.service);
        for (const auto& [server, tally] : found->second.servers)
            journal_.note(change.key, server, tally);
    }
    note(journal_.release(change.key));
    return {};
}

Result<void> Plane::set(const core::ServiceKey& key, const core::Destination& one, bool fresh) {
    const netlink::IpvsServiceId id = id_of(key);
    const IpvsDestination in_kernel = destination_of(one);
    auto done = fresh ? table_->add(id, in_kernel) : table_->edit(id, in_kernel);
    if (!done && fresh && done.error().error == EEXIST) done = table_->edit(id, in_kernel);
    if (!done && !fresh && done.error().error == ENOENT) done = table_->add(id, in_kernel);
    if (done) return {};
    std::string what = "real server " + one.server.to_string();
    if (one.server.address.family() != key.address.family())
        what +=
            fmt::format(" ({} behind {}, which takes lb_kind TUN and no sync daemon)",
                        to_string(one.server.address.family()), to_string(key.address.family()));
    return refused(key, what, done.error());
}

Result<void> Plane::put(const core::AddDestination& change) {
    const auto known = journal_.tallies().find(change.key);
    if (known != journal_.tallies().end() &&
        known->second.servers.contains(change.destination.server))
        returned_.insert(change.key);
    return set(change.key, change.destination, true);
}

Result<void> Plane::put(const core::EditDestination& change) {
    return set(change.key, change.destination, false);
}

Result<void> Plane::put(const core::RemoveDestination& change) {
    count_before_removal(change.key);
    const auto done =
        table_->remove(id_of(change.key), destination_of(core::Destination{change.server}));
    if (!done && done.error().error != ENOENT && done.error().error != ESRCH)
        return refused(change.key, "removing real server " + change.server.to_string(),
                       done.error());
    if (const auto found = journal_.tallies().find(change.key); found != journal_.tallies().end())
        if (const auto at = found->second.servers.find(change.server);
            at != found->second.servers.end())
            journal_.note(change.key, change.server, at->second);
    return {};
}

/// What goes has been counted; a packet between here and the removal is lost to
/// the counters.
void Plane::count_before_removal(const core::ServiceKey& key) {
    const auto held = held_.find(key);
    if (held == held_.end() || held->second.destinations.size() > few_servers) return;
    if (counted_.insert(key).second) recount(key);
}

void Plane::recount(const core::ServiceKey& key) {
    const auto held = held_.find(key);
    if (held == held_.end() || held->second.destinations.size() > few_servers) return;
    if (const auto destinations = table_->destinations(id_of(key)))
        for (const IpvsDestination& one : *destinations)
            observe(key, {one.address, one.port}, one.stats, journal_.tallies()[key]);
}

/// Ours go; what others made stays.
Result<void> Plane::detach() {
    if (detached_) return {};
    Result<void> result;
    const std::set<core::ServiceKey> own = journal_.own();
    for (const core::ServiceKey& key : own) {
        if (taken_.contains(key)) {
            if (auto given = give_back(key); !given) result = std::move(given);
            continue;
        }
        const auto done = table_->remove(id_of(key));
        if (!done && done.error().error != ESRCH)
            result = refused(key, "removing the service", done.error());
    }
    journal_.remove();
    expected_.clear();
    held_.clear();
    detached_ = true;
    return result;
}

}  // namespace dnsdirector::dataplane::ipvs

namespace dnsdirector::dataplane {

Result<std::unique_ptr<DataPlane>> make_ipvs(std::unique_ptr<netlink::IpvsTable> table,
                                             const std::string& journal) {
    // Without permission it is better not to start.
    if (const auto services = table->services(); !services)
        return ipvs::cannot_read(services.error());
    auto opened = ipvs::Journal::open(journal, ipvs::boot_id());
    if (!opened) return tl::unexpected(opened.error());
    return std::make_unique<ipvs::Plane>(std::move(table), std::move(*opened));
}

Result<std::unique_ptr<DataPlane>> make_ipvs(const std::string& journal) {
    auto table = netlink::IpvsTable::open();
    if (!table) return tl::unexpected(table.error());
    return make_ipvs(std::move(*table), journal);
}

}  // namespace dnsdirector::dataplane
