// SPDX-License-Identifier: Apache-2.0
#include "dataplane/proxy/table.h"

#include <algorithm>

#include "core/table.h"

namespace dnsdirector::dataplane::proxy {
namespace {

using core::Scheduler;

// With more servers than that, the fewest waiting queries are looked for among so many only.
constexpr std::size_t looked_at = 16;

std::uint64_t mix(std::uint64_t hash) {
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdU;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53U;
    return hash ^ (hash >> 33);
}

/// Waiting queries, with this one, for each unit of weight; compared without dividing.
bool less_loaded(const Target& a, const Target& b, std::size_t worker) {
    const std::uint64_t load_a = a.upstream->parts[worker].outstanding + 1ULL;
    const std::uint64_t load_b = b.upstream->parts[worker].outstanding + 1ULL;
    return load_a * b.weight < load_b * a.weight;
}

/// Looks from a place on that changes, so that who is idle as well is not always the last.
const Target* least_outstanding(const Service& service, std::size_t worker, std::uint32_t from) {
    const std::size_t size = service.targets.size();
    const Target* best = nullptr;
    for (std::size_t i = 0; i < std::min(size, looked_at); ++i) {
        const Target& target = service.targets[(from + i) % size];
        if (best == nullptr || less_loaded(target, *best, worker)) best = &target;
    }
    return best;
}

double cost(const Target& target, std::size_t worker, TimePoint now) {
    const UpstreamPart& part = target.upstream->parts[worker];
    return part.peak(now) * (part.outstanding + 1.0) / target.weight;
}

/// Two by chance, and the better of them (Mitzenmacher 2001), by peak EWMA times load.
const Target* lower_latency(const Service& service, std::size_t worker, TimePoint now,
                            std::uint32_t random) {
    const std::size_t size = service.targets.size();
    const Target& a = service.targets[(random & 0xffffU) % size];
    const Target& b = service.targets[(random >> 16) % size];
    return cost(a, worker, now) <= cost(b, worker, now) ? &a : &b;
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2018): the name's
/// own server, unless more than 5/4 of its share of the waiting queries are there; then the
/// next. Some are always allowed: while so little waits nobody drowns, and a burst, or a pause of
/// a server, would only bring names into the caches of others.
const Target* by_name(const Service& service, Bytes question, std::size_t worker) {
    constexpr std::uint64_t always_allowed = 32;
    const std::uint64_t hash = hash_of_name(question);
    std::uint64_t waiting = 1;
    std::uint64_t weights = 0;
    for (const Target& target : service.targets) {
        waiting += target.upstream->parts[worker].outstanding;
        weights += target.weight;
    }
    std::uint64_t next = hash;
    for (std::size_t i = 0; i < std::min(2 * service.targets.size(), looked_at); ++i) {
        const Target& target = service.targets[service.slots[service.slot_of(next)]];
        const std::uint64_t here = target.upstream->parts[worker].outstanding + 1ULL;
        if (here <= always_allowed || here * weights * 4 <= 5 * waiting * target.weight)
            return &target;
        next = mix(next + 0x9e3779b97f4a7c15U);
    }
    // Chance led to none that has room.
    return least_outstanding(service, worker, static_cast<std::uint32_t>(hash));
}

}  // namespace

std::uint64_t hash_of_client(const SocketAddress& client, bool with_port) {
    std::uint64_t hash = 0;
    for (std::size_t i = 0; i < client.address_size(); i += 4) {
        std::uint32_t word = 0;
        std::memcpy(&word, client.address_bytes() + i, sizeof word);
        hash = mix(hash ^ word);
    }
    return with_port ? mix(hash ^ client.port()) : hash;
}

bool port_counts(const core::ServiceForwarding& service) {
    return (service.scheduler == Scheduler::sh) == service.other_hash;
}

std::vector<std::uint32_t> build_slots(const core::ServiceForwarding& service) {
    std::vector<core::Destination> working;
    std::vector<std::uint32_t> weights;
    for (const core::Destination& destination : service.destinations) {
        if (destination.weight == 0) continue;
        working.push_back(destination);
        weights.push_back(service.scheduler == Scheduler::rr ? 1 : destination.weight);
    }
    switch (service.scheduler) {
        case Scheduler::wrr:
        case Scheduler::rr: return core::interleaved_table(weights).slots;
        case Scheduler::sh:
        case Scheduler::mh:
        case Scheduler::qname: return core::maglev_table(working).slots;
        default: return {};
    }
}

const Target* Service::choose(const Asker& asker, std::uint32_t& cursor) const {
    if (targets.empty()) return nullptr;
    if (targets.size() == 1) return targets.data();
    switch (forwarding.scheduler) {
        case Scheduler::sh:
        case Scheduler::mh:
            return &targets[slots[slot_of(hash_of_client(asker.client, port_counts(forwarding)))]];
        case Scheduler::qname: return by_name(*this, asker.question, asker.worker);
        case Scheduler::latency: return lower_latency(*this, asker.worker, asker.now, asker.random);
        case Scheduler::wrr:
        case Scheduler::rr:
            cursor = cursor + 1 < slots.size() ? cursor + 1 : 0;
            return &targets[slots[cursor]];
        default: return least_outstanding(*this, asker.worker, ++cursor);
    }
}

const Target* Service::choose_other(const Upstream& not_this, const Asker& asker) const {
    const Target* doubtful = nullptr;
    const Target* best = nullptr;
    const std::size_t size = targets.size();
    // A few that stand behind a place by chance: with thousands of servers no query looks at all.
    for (std::size_t i = 0; i < std::min(size, 2 * looked_at); ++i) {
        const Target& target = targets[(asker.random + i) % size];
        if (target.upstream.get() == &not_this) continue;
        if (target.upstream->parts[asker.worker].doubtful()) {
            doubtful = &target;
            continue;
        }
        if (best == nullptr || less_loaded(target, *best, asker.worker)) best = &target;
    }
    return best != nullptr ? best : doubtful;
}

}  // namespace dnsdirector::dataplane::proxy
