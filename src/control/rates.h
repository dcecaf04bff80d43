// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/snapshot.h"
#include "dataplane/dataplane.h"

namespace dnsdirector::control {

/// Packets per second from two samples of the counters, a few seconds apart.
class Rates {
public:
    void sample(dataplane::Counters counters, TimePoint now);
    /// Puts `counters` and the rates since the older sample into the snapshot.
    void fill(Snapshot& snapshot, const dataplane::Counters& counters, TimePoint now) const;

private:
    struct Sample {
        dataplane::Counters counters;
        TimePoint at;
    };
    std::optional<Sample> older_;
    std::optional<Sample> newer_;
};

}  // namespace dnsdirector::control
