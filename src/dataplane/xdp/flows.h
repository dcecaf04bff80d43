// SPDX-License-Identifier: Apache-2.0
//
// Remembered TCP flows (bpf/flow.h): their clock, the removal of those that are
// over, and what is known of their number. What the kernel program decides by
// them it decides alone.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "core/model.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/maps.h"

namespace dnsdirector::dataplane::xdp {

/// Buckets for so many flows: twice the room, so that a bucket is full for one
/// flow in a thousand only.
[[nodiscard]] std::uint32_t flow_buckets(const core::Limits& limits);
[[nodiscard]] std::uint32_t young_flow_buckets(const core::Limits& limits);

/// The server of a remembered flow as the program finds it, by the index of its
/// counters; 0: nobody remembers it. `name` is abi::flow_name4() or 6 of it.
[[nodiscard]] std::uint32_t remembered_counter(const Maps& maps, std::uint64_t name,
                                               std::uint32_t service);

class Flows {
public:
    /// Of an epoch, and the time in which every bucket is looked at once.
    static constexpr Nanoseconds tick = Seconds{1};
    static constexpr std::uint32_t slices = 64;

    /// Sets sizes and caps for this machine, and the key where there is none yet.
    /// Errors: no random numbers.
    static Result<Flows> open(const Maps& maps);

    [[nodiscard]] TimePoint deadline() const { return next_; }
    /// An epoch more, and the next slice of buckets. When all have been seen, the
    /// services (by record) of which no flow is remembered; else nothing.
    std::optional<std::vector<bool>> on_deadline(TimePoint now);

    /// Numbers for people; `remembered` is sampled in large tables.
    [[nodiscard]] Result<FlowCounts> count() const;

private:
    explicit Flows(const Maps& maps) : maps_(&maps), busy_(maps.capacity(MapId::services)) {}
    void sweep(std::span<abi::flow_bucket> buckets);

    const Maps* maps_;
    TimePoint next_{};
    std::uint32_t slice_ = 0;
    std::vector<bool> busy_;  ///< by service record: flows seen in this round
};

}  // namespace dnsdirector::dataplane::xdp
