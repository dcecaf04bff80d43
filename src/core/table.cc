// SPDX-License-Identifier: Apache-2.0
#include "core/table.h"

#include <algorithm>
#include <numeric>

#include "core/desired.h"
#include "core/table_weights.h"

namespace dnsdirector::core {
namespace {

std::uint64_t sum_of(std::span<const std::uint32_t> weights) {
    return std::accumulate(weights.begin(), weights.end(), std::uint64_t{0});
}

std::uint32_t slots_of(Protocol protocol, Scheduler scheduler,
                       std::span<const std::uint32_t> weights, std::uint64_t scale) {
    const auto working = static_cast<std::uint64_t>(
        std::count_if(weights.begin(), weights.end(), [](std::uint32_t w) { return w != 0; }));
    if (!per_packet(protocol, scheduler)) return maglev_size(working);
    if (scheduler == Scheduler::rr && scale == 1) return static_cast<std::uint32_t>(working);
    const std::uint64_t slots = sum_of(weights) / common_divisor(weights) * scale;
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(slots, std::max<std::uint64_t>(max_slots_per_table, working)));
}

/// What the scheduler makes of the weights: round robin knows with and without.
std::uint32_t counted(Scheduler scheduler, std::uint32_t weight) {
    return scheduler == Scheduler::rr ? std::min(weight, 1U) : weight;
}

std::vector<std::uint32_t> weights_of(const Service& service) {
    std::vector<std::uint32_t> weights;
    weights.reserve(service.real_servers.size());
    for (const RealServer& server : service.real_servers)
        weights.push_back(counted(service.scheduler, server.weight));
    return weights;
}

}  // namespace

bool per_packet(Protocol protocol, Scheduler scheduler) {
    return protocol == Protocol::udp && (scheduler == Scheduler::wrr || scheduler == Scheduler::rr);
}

bool per_packet(const ServiceForwarding& service) {
    return per_packet(service.key.protocol, service.scheduler);
}

Table build_table(const ServiceForwarding& service) {
    if (per_packet(service)) {
        std::vector<std::uint32_t> weights;
        weights.reserve(service.destinations.size());
        for (const Destination& destination : service.destinations)
            weights.push_back(counted(service.scheduler, destination.weight));
        return interleaved_table(weights);
    }
    if (service.scheduler != Scheduler::rr) return maglev_table(service.destinations);
    std::vector<Destination> equal = service.destinations;
    for (Destination& destination : equal)
        destination.weight = counted(service.scheduler, destination.weight);
    return maglev_table(equal);
}

std::uint32_t slots_needed(Protocol protocol, Scheduler scheduler,
                           std::span<const std::uint32_t> weights) {
    return slots_of(protocol, scheduler, weights, 1);
}

std::uint32_t slots_needed(const Service& service) {
    const std::vector<std::uint32_t> weights = weights_of(service);
    // rr takes every weight above 0 as 1, so slow start changes nothing in it.
    const bool scaled = service.slow_start > Nanoseconds{0} && service.scheduler != Scheduler::rr;
    return slots_of(service.key.protocol, service.scheduler, weights,
                    scaled ? slow_start_steps : 1);
}

std::optional<Rounding> rounding_of(const Service& service) {
    if (!per_packet(service.key.protocol, service.scheduler)) return std::nullopt;
    const std::vector<std::uint32_t> weights = weights_of(service);
    const std::uint64_t sum = sum_of(weights);
    Rounding rounding{.exact_slots = sum / common_divisor(weights)};
    if (rounding.exact_slots <= max_slots_per_table) return std::nullopt;
    const TurnCounts counts = turn_counts(weights, max_slots_per_table);
    double worst = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] == 0) continue;
        const double share = static_cast<double>(weights[i]) / static_cast<double>(sum);
        const double rounded = static_cast<double>(counts.turns[i]) / counts.total;
        const double factor = std::max(share / rounded, rounded / share);
        if (factor <= worst) continue;
        worst = factor;
        rounding.server = i;
        rounding.share = share;
        rounding.rounded = rounded;
    }
    return rounding;
}

}  // namespace dnsdirector::core
