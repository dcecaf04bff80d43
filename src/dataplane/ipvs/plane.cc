// SPDX-License-Identifier: Apache-2.0
#include "dataplane/ipvs/plane.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>

#include "dataplane/ipvs/ipvs.h"
#include "dataplane/ipvs/surroundings.h"
#include "dataplane/ipvs/translate.h"

namespace dnsdirector::dataplane::ipvs {
namespace {

using netlink::IpvsDestination;
using netlink::IpvsRefusal;
using netlink::IpvsService;
using netlink::IpvsStats;

// What somebody else changed is repaired within a second. A look that takes
// long comes more rarely, but not rarer than that allows.
constexpr Nanoseconds look_interval = Milliseconds{500};
constexpr Nanoseconds longest_look_interval = Milliseconds{900};
constexpr int look_cost_ratio = 20;

// Counting a service's servers before one of them goes takes a dump of them all.
// Of larger ones the last look's numbers are taken, so that a change costs the
// same whatever the size.
constexpr std::size_t few_servers = 256;

TimePoint time_now() {
    return TimePoint{std::chrono::duration_cast<TimePoint::duration>(
        std::chrono::steady_clock::now().time_since_epoch())};
}

/// A refusal in an operator's words.
tl::unexpected<Error> refused(const core::ServiceKey& key, const std::string& what,
                              const IpvsRefusal& refusal) {
    if (refusal.error == EPERM)
        return fail(
            "{}: {}: no permission to change the IPVS table; run as root or with "
            "CAP_NET_ADMIN",
            key.to_string(), what);
    return fail("{}: {}: the kernel refuses it: {}", key.to_string(), what, refusal.message);
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

void Plane::expect(const core::Configuration& next) {
    expected_.clear();
    for (const core::Service& service : next.services)
        expected_.insert(service.key);
    const std::vector<std::string> before =
        std::exchange(warnings_, judge_surroundings(next, read_setting));
    for (const std::string& warning : warnings_)
        if (std::find(before.begin(), before.end(), warning) == before.end())
            spdlog::warn("{}", warning);
}

/// What the journal says, and what the configuration names: the latter is taken
/// over from whoever made it.
bool Plane::is_ours(const core::ServiceKey& key) {
    if (journal_.owns(key)) return true;
    if (!expected_.contains(key)) return false;
    spdlog::warn(
        "{}: somebody else made this service in the IPVS table; the configuration has "
        "it, so that it is taken over",
        key.to_string());
    note(journal_.claim(key));
    return true;
}

void Plane::note(const Result<void>& written) {
    const std::string trouble = written ? "" : written.error().message;
    if (!trouble.empty() && trouble != journal_trouble_)
        spdlog::error("the next start will not know what is ours in the IPVS table: {}", trouble);
    journal_trouble_ = trouble;
}

void Plane::observe(const Journal::Member& member, const IpvsStats& stats) {
    if (journal_.tallies()[member].observe(count_of(stats))) note(journal_.note(member));
}

Result<void> Plane::scan_service(const core::ServiceKey& key, const IpvsService& service,
                                 Scan& found) {
    const auto destinations = table_->destinations(service.id);
    if (!destinations) return refused(key, "reading its servers", destinations.error());
    core::ServiceForwarding forwarding = forwarding_of(key, service);
    observe({key, std::nullopt}, service.stats);
    for (const IpvsDestination& one : *destinations) {
        const core::Destination destination = destination_of(one);
        observe({key, destination.server}, one.stats);
        found.connections[{key, destination.server}] = {one.active, one.inactive, one.persistent};
        forwarding.destinations.push_back(destination);
    }
    std::sort(forwarding.destinations.begin(), forwarding.destinations.end());
    if (const auto told = methods_.find(key); told != methods_.end())
        forwarding.method = told->second;
    else if (!forwarding.destinations.empty())
        forwarding.method = forwarding.destinations.front().method;
    found.ours.emplace(key, std::move(forwarding));
    return {};
}

Result<Plane::Scan> Plane::scan() {
    const auto services = table_->services();
    if (!services) {
        if (services.error().error == EPERM)
            return fail("no permission to read the IPVS table; run as root or with CAP_NET_ADMIN");
        return fail("cannot read the IPVS table: {}", services.error().message);
    }
    Scan found;
    for (const IpvsService& service : *services) {
        const auto key = key_of(service.id);
        if (!key || !is_ours(*key)) {
            found.foreign.push_back(name_of(service));
            continue;
        }
        if (auto done = scan_service(*key, service, found); !done)
            return tl::unexpected(done.error());
    }
    return found;
}

Result<core::Forwarding> Plane::read() {
    auto found = scan();
    if (!found) return tl::unexpected(found.error());
    if (!detached_) note(journal_.restore());
    held_ = std::move(found->ours);
    return held_;
}

std::optional<TimePoint> Plane::deadline() const {
    if (detached_) return std::nullopt;
    return next_look_;
}

void Plane::on_deadline(TimePoint now) {
    if (detached_ || now < next_look_) return;
    const TimePoint before = time_now();
    if (auto found = scan()) {
        const std::string what = summary(held_, found->ours);
        held_ = std::move(found->ours);
        if (!what.empty() && on_disturbed) on_disturbed(what);
    }
    const TimePoint after = time_now();
    next_look_ = after + std::clamp<Nanoseconds>((after - before) * look_cost_ratio, look_interval,
                                                 longest_look_interval);
}

Result<Counters> Plane::counters() {
    auto found = scan();
    if (!found) return tl::unexpected(found.error());
    Counters counters;
    for (const auto& [member, tally] : journal_.tallies()) {
        if (member.second)
            counters.servers[{member.first, *member.second}] = tally.total();
        else
            counters.services[member.first] = tally.total();
    }
    counters.connections = std::move(found->connections);
    counters.foreign = std::move(found->foreign);
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
    if (done.error().error == ENOENT)
        return fail("{}: this kernel has no scheduler {}; run `modprobe ip_vs_{}`",
                    service.key.to_string(), in_kernel.scheduler, in_kernel.scheduler);
    return refused(service.key, "scheduler " + in_kernel.scheduler, done.error());
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
    const auto& tallies = journal_.tallies();
    for (auto at = tallies.lower_bound({change.key, std::nullopt});
         at != tallies.end() && at->first.first == change.key; ++at)
        note(journal_.note(at->first));
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
    const auto known = journal_.tallies().find({change.key, change.destination.server});
    if (known != journal_.tallies().end()) returned_.insert(change.key);
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
    note(journal_.note({change.key, change.server}));
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
            observe({key, {{one.address, one.port}}}, one.stats);
}

/// Ours go; what others made stays.
Result<void> Plane::detach() {
    if (detached_) return {};
    Result<void> result;
    const std::set<core::ServiceKey> own = journal_.own();
    for (const core::ServiceKey& key : own) {
        const auto done = table_->remove(id_of(key));
        if (!done && done.error().error != ESRCH)
            result = refused(key, "removing the service", done.error());
    }
    journal_.remove();
    held_.clear();
    detached_ = true;
    return result;
}

// ---- who gets a client's packets ------------------------------------------------

Result<Choice> Plane::choose(const Flow& flow) const {
    const auto found = held_.find(flow.service);
    if (found == held_.end()) return Choice{};
    const core::ServiceForwarding& service = found->second;
    Choice choice;
    choice.by = Choice::By::nobody;
    const bool by_turns =
        service.scheduler == core::Scheduler::rr || service.scheduler == core::Scheduler::lc;
    for (const core::Destination& one : service.destinations) {
        if (one.weight == 0) continue;
        choice.shares.push_back({one.server, by_turns ? 1 : one.weight});
        choice.slots += choice.shares.back().slots;
    }
    if (choice.shares.empty()) return choice;
    switch (service.scheduler) {
        case core::Scheduler::rr:
        case core::Scheduler::wrr:
            if (!service.ipvs.one_packet)
                return fail(
                    "the kernel keeps this client with the server that its flow began "
                    "with, and chooses by turns ({}) for a new one; `ipvsadm -Lcn` lists "
                    "the flows",
                    core::to_string(service.scheduler));
            choice.by = Choice::By::rotation;
            return choice;
        case core::Scheduler::sh:
        case core::Scheduler::mh:
            return fail(
                "the kernel's own hash ({}) decides, which only it knows; `ipvsadm -Lcn` "
                "lists the flows",
                core::to_string(service.scheduler));
        default: choice.by = Choice::By::load; return choice;
    }
}

}  // namespace dnsdirector::dataplane::ipvs

namespace dnsdirector::dataplane {

Result<std::unique_ptr<DataPlane>> make_ipvs(std::unique_ptr<netlink::IpvsTable> table,
                                             const std::string& journal) {
    auto opened = ipvs::Journal::open(journal, ipvs::boot_id());
    if (!opened) return tl::unexpected(opened.error());
    auto plane = std::make_unique<ipvs::Plane>(std::move(table), std::move(*opened));
    // Without permission it is better not to start.
    if (auto found = plane->read(); !found) return tl::unexpected(found.error());
    return plane;
}

Result<std::unique_ptr<DataPlane>> make_ipvs(const std::string& journal) {
    auto table = netlink::IpvsTable::open();
    if (!table) return tl::unexpected(table.error());
    return make_ipvs(std::move(*table), journal);
}

}  // namespace dnsdirector::dataplane
