// SPDX-License-Identifier: Apache-2.0
//
// Whose frames the program never forwards (bpf/insider.h): in a map, and a bit for
// each hash in the memory that the program asks first.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/result.h"
#include "dataplane/xdp/maps.h"
#include "netlink/netlink.h"

namespace dnsdirector::dataplane::xdp {

using InsiderMacs = std::map<netlink::Mac, abi::insider>;

class Insiders {
public:
    explicit Insiders(const Maps& maps) : maps_(&maps) {}

    /// Exactly these, whatever a predecessor left. New ones count before it returns:
    /// to be called before a table leads to them.
    Result<void> set(const InsiderMacs& macs);

private:
    [[nodiscard]] std::vector<std::uint64_t> in_kernel() const;

    const Maps* maps_;
};

}  // namespace dnsdirector::dataplane::xdp
