// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/flows.h"

#include <sys/random.h>

#include <algorithm>
#include <atomic>

namespace dnsdirector::dataplane::xdp {
namespace {

constexpr std::uint32_t flows_per_bucket = abi::FLOWS_PER_BUCKET;
/// A young flow is kept for so many epochs at least, whatever floods there are.
constexpr std::uint32_t young_epochs = 4;
/// Flows learnt within so many epochs fill the table, if none of them ends.
constexpr std::uint32_t fill_epochs = 64;
/// Buckets that are looked at for the fill: half a megabyte.
constexpr std::size_t sample = 4096;

std::uint64_t load(const __u64& word) {
    return std::atomic_ref<__u64>{const_cast<__u64&>(word)}.load(std::memory_order_relaxed);
}

/// The flow's word; 0: it is not there.
std::uint64_t find(std::span<const abi::flow_bucket> buckets, std::uint64_t name) {
    const std::uint32_t index =
        abi::slot_of_hash(abi::flow_spread(name), static_cast<std::uint32_t>(buckets.size()));
    for (const __u64& flow : buckets[index].flow)
        if (load(flow) >> abi::FLOW_TAG_SHIFT == abi::flow_tag(name)) return load(flow);
    return 0;
}

}  // namespace

std::uint32_t flow_buckets(const core::Limits& limits) {
    return std::max(1U, (2 * limits.flows + flows_per_bucket - 1) / flows_per_bucket);
}
std::uint32_t young_flow_buckets(const core::Limits& limits) {
    return limits.flows == 0 ? 1 : std::max(64U, flow_buckets(limits) / 4);
}

std::uint32_t remembered_counter(const Maps& maps, std::uint64_t name, std::uint32_t service) {
    for (const auto buckets : {maps.flows(), maps.young_flows()}) {
        const std::uint64_t flow = find(buckets, name);
        const std::uint32_t counter = abi::flow_counter(flow);
        if (flow == 0 || counter >= maps.homes().size()) continue;
        const std::uint64_t home = load(maps.homes()[counter].word);
        if (abi::home_service(home) == service && abi::home_record(home) != 0) return counter;
    }
    return 0;
}

Result<Flows> Flows::open(const Maps& maps) {
    abi::flow_control& control = maps.flow_control();
    if (std::all_of(std::begin(control.key), std::end(control.key),
                    [](const __u64 word) { return word == 0; }) &&
        getrandom(control.key, sizeof control.key, 0) != sizeof control.key)
        return fail_errno("cannot get random numbers for the table of flows", errno);
    const auto cpus = static_cast<std::uint32_t>(std::max(1, libbpf_num_possible_cpus()));
    const std::uint32_t young = maps.capacity(MapId::young_flows) * flows_per_bucket;
    control.young_buckets = maps.capacity(MapId::young_flows);
    control.buckets = maps.capacity(MapId::flows);
    control.most_new = control.most_old = std::max(16U, young / (2 * young_epochs * cpus));
    control.most_learnt =
        std::max(16U, control.buckets * flows_per_bucket / (2 * fill_epochs * cpus));
    return Flows{maps};
}

std::optional<std::vector<bool>> Flows::on_deadline(TimePoint now) {
    if (now < next_) return std::nullopt;
    next_ = now + tick;
    std::atomic_ref<__u32> epoch{maps_->flow_control().epoch};
    epoch.store((epoch.load() + 1) & abi::FLOW_EPOCH_MASK, std::memory_order_relaxed);
    for (const auto buckets : {maps_->flows(), maps_->young_flows()}) {
        const std::size_t first = buckets.size() * slice_ / slices;
        sweep(buckets.subspan(first, buckets.size() * (slice_ + 1) / slices - first));
    }
    if (++slice_ < slices) return std::nullopt;
    slice_ = 0;
    std::vector<bool> idle(busy_.size());
    std::transform(busy_.begin(), busy_.end(), idle.begin(), std::logical_not<>{});
    std::fill(busy_.begin(), busy_.end(), false);
    return idle;
}

/// What is over is removed, long before its epoch comes round again.
void Flows::sweep(std::span<abi::flow_bucket> buckets) {
    const std::uint32_t epoch = maps_->flow_control().epoch;
    for (abi::flow_bucket& bucket : buckets)
        for (__u64& word : bucket.flow) {
            std::atomic_ref<__u64> place{word};
            __u64 flow = place.load(std::memory_order_relaxed);
            if (flow == 0) continue;
            const std::uint32_t counter = abi::flow_counter(flow);
            if (abi::flow_is_over(flow, epoch) || counter >= maps_->homes().size()) {
                place.compare_exchange_strong(flow, 0);
                continue;
            }
            const std::uint32_t service = abi::home_service(load(maps_->homes()[counter].word));
            if (service < busy_.size()) busy_[service] = true;
        }
}

Result<FlowCounts> Flows::count() const {
    FlowCounts counts;
    if (!maps_->remembers_flows()) return counts;
    const auto buckets = maps_->flows();
    counts.most = buckets.size() * flows_per_bucket / 2;
    const std::size_t looked_at = std::min(buckets.size(), sample);
    std::size_t living = 0;
    for (std::size_t i = 0; i < looked_at; ++i)
        for (const __u64& flow : buckets[i * buckets.size() / looked_at].flow)
            living += load(flow) != 0 ? 1 : 0;
    counts.remembered = living * buckets.size() / looked_at;
    constexpr std::size_t words = sizeof(abi::flow_state) / sizeof(std::uint64_t);
    const auto sums = sum_per_cpu(maps_->fd(MapId::flow_states), 1, words);
    if (!sums) return tl::unexpected(sums.error());
    const auto of = [&](std::size_t offset) { return (*sums)[offset / sizeof(std::uint64_t)]; };
    counts.learnt = of(offsetof(abi::flow_state, learnt));
    counts.young = of(offsetof(abi::flow_state, young));
    counts.full = of(offsetof(abi::flow_state, full));
    counts.capped = of(offsetof(abi::flow_state, capped));
    counts.previous = of(offsetof(abi::flow_state, previous));
    counts.moved = of(offsetof(abi::flow_state, moved));
    return counts;
}

}  // namespace dnsdirector::dataplane::xdp
