// SPDX-License-Identifier: Apache-2.0
//
// From a packet's destination to a service's record: buckets of a hash, each a
// chain of records. Every step is one aligned store, so that the kernel program
// sees the chain before or after it, never between.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "dataplane/xdp/keys.h"
#include "dataplane/xdp/maps.h"

namespace dnsdirector::dataplane::xdp {

class Directory {
public:
    explicit Directory(const Maps& maps) : maps_(&maps) {}

    /// The record that the kernel program would find; 0 for none.
    [[nodiscard]] std::uint32_t find(const Words& address, std::uint32_t where) const;
    /// Makes the record visible, whose address and `where` are set. An error when
    /// its bucket holds abi::CHAIN_MAX records.
    Result<void> publish(std::uint32_t record);
    /// Takes it out; it may still be read for a grace period. False if it was not in.
    bool unpublish(std::uint32_t record);

    /// All records that can be found. What is broken (a chain that leads nowhere
    /// or into another one, a record in the wrong bucket) is cut off.
    [[nodiscard]] std::vector<std::uint32_t> repair();

private:
    [[nodiscard]] std::uint32_t bucket_of(std::uint32_t record) const;

    const Maps* maps_;
};

}  // namespace dnsdirector::dataplane::xdp
