// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/result.h"
#include "probe/descriptor.h"
#include "probe/packet_filter.h"
#include "probe/random.h"

namespace dnsdirector::probe {

/// Ports of UDP and TCP that are ours alone although we send from them past the kernel's
/// sockets: a socket of the kernel's holds each, so that no other program gets it; a filter
/// that drops everything keeps these sockets from queueing what comes, and the kernel from
/// answering it with a reset or "port unreachable". TCP's must listen for that.
class ReservedPorts {
public:
    /// Chosen by chance, outside of the range from which the kernel takes ports itself where
    /// there is room; fewer than wished where there is little.
    static Result<ReservedPorts> reserve(IdSource& ids);

    [[nodiscard]] const PortRange& range() const { return range_; }

private:
    ReservedPorts(PortRange range, std::vector<Descriptor> sockets)
        : range_(range), sockets_(std::move(sockets)) {}

    PortRange range_;
    std::vector<Descriptor> sockets_;
};

}  // namespace dnsdirector::probe
