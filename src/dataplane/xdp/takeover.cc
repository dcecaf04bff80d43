// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/takeover.h"

#include <spdlog/spdlog.h>

#include <set>
#include <thread>

#include "dataplane/xdp/old_tables.h"
#include "dataplane/xdp/pin_dir.h"
#include "dataplane/xdp/shared_flows.h"

namespace dnsdirector::dataplane::xdp {
namespace {

/// From what these tables hold to what the ledger says. Servers that only have
/// counters come and go again, which leaves them these.
std::vector<core::Change> changes_to(const Ledger& ledger, const core::Forwarding& held) {
    core::Forwarding wanted;
    for (const auto& [key, service] : ledger) {
        core::ServiceForwarding& forwarding = wanted[key];
        forwarding = {key, service.scheduler, service.method, {}, service.other_hash};
        for (const auto& [server, member] : service.members)
            if (member.forwarded)
                forwarding.destinations.push_back({server, member.weight, member.method});
    }
    std::vector<core::Change> changes = core::diff(held, wanted);
    for (const auto& [key, service] : ledger)
        for (const auto& [server, member] : service.members)
            if (!member.forwarded) {
                changes.emplace_back(core::AddDestination{key, {server, 0, member.method}});
                changes.emplace_back(core::RemoveDestination{key, server});
            }
    return changes;
}

/// The ways to its servers: those that were in use, or else, where the ledger has
/// none that this version understands, what the kernel's neighbour table says. That
/// alone says what MACs the other directors have.
void find_ways(const Ledger& ledger, NextHops& hops, const std::set<IpAddress>& directors,
               TimePoint now) {
    std::set<Target> servers;
    bool complete = true;
    for (const auto& [key, service] : ledger)
        for (const auto& [server, member] : service.members) {
            if (!member.forwarded) continue;
            const Target target{server.address, member.method};
            servers.insert(target);
            if (member.hop)
                hops.adopt(target, *member.hop);
            else
                complete = false;
        }
    if (complete && directors.empty()) return;
    hops.track(servers, directors, now);
    while (!hops.settled())
        hops.on_deadline(now);
}

/// Which flows may be elsewhere than these tables say. Without the same indices the
/// flows that are remembered would be taken for others'. Whether they are known.
bool take_over_moves(const Predecessor& source, const Maps& maps, Services& services,
                     bool same_indices, TimePoint now) {
    const auto tables = same_indices
                            ? OldTables::open(source.directory(), *source.description().tables)
                            : fail("services or servers stand at other places in its tables");
    if (tables) {
        services.take_over_moves(*tables, now);
        return true;
    }
    spdlog::warn("TCP flows that {} remembers are lost, and may move: {}", source.directory(),
                 tables.error().message);
    maps.forget_flows();
    return false;
}

}  // namespace

Result<TakenOver> take_over_tables(const std::vector<Predecessor>& predecessors, const Maps& maps,
                                   NextHops& hops, const std::set<IpAddress>& directors,
                                   Services& services, TimePoint now) {
    for (const Predecessor& each : predecessors)
        if (each.forwards() && !each.whole())
            return fail(
                "{} holds the program that forwards, and does not say what its tables hold: stop "
                "the director that made it cleanly, with its own version",
                each.directory());
    const Predecessor* source = source_among(predecessors);
    if (source == nullptr || (maps.adopted() && holds_links(maps.directory_of_pins())))
        return TakenOver{};

    const auto ledger = source->ledger();
    if (!ledger) return tl::unexpected(ledger.error());
    find_ways(*ledger, hops, directors, now);
    const auto held = services.read();
    if (!held) return tl::unexpected(held.error());
    const bool has_flows = has_flows_of(maps, *source);
    const bool same_indices = has_flows && services.keep_indices(*ledger);
    const auto done = services.apply(changes_to(*ledger, *held), now);
    services.end_keeping();
    if (!done)
        return fail("cannot take over from {}: {}", source->directory(), done.error().message);
    TakenOver taken{.tables = true};
    if (has_flows) taken.flows = take_over_moves(*source, maps, services, same_indices, now);
    spdlog::info("taking over {} services from {}", ledger->size(), source->directory());
    return taken;
}

Result<void> finish_takeover(const std::vector<Predecessor>& predecessors, const TakenOver& taken,
                             Maps& maps) {
    if (predecessors.empty()) return {};
    for (const Predecessor& each : predecessors)
        if (each.forwards())
            return fail("a link of {} could not be taken over; its pins stay", each.directory());
    if (!wait_for_programs()) std::this_thread::sleep_for(Grace::period);
    // Until now the old program may have learnt more of them, by its own indices.
    if (!taken.flows) maps.forget_flows();
    BaseCounts& base = maps.base();
    auto counts = counters_of(predecessors, base.included());
    if (!counts) return tl::unexpected(counts.error());
    std::set<std::uint32_t> included;
    for (const Predecessor& each : predecessors)
        if (each.whole()) included.insert(each.id());
    add(*counts, base.counts());
    if (auto done = base.replace(std::move(*counts), std::move(included)); !done) return done;
    for (const Predecessor& each : predecessors)
        if (auto done = remove_set_of_pins(each.directory()); !done) return done;
    return {};
}

}  // namespace dnsdirector::dataplane::xdp
