// SPDX-License-Identifier: Apache-2.0
//
// Counters that go on when the kernel's begin anew. IPVS counts from 0 when a
// service or a destination is made again, or when somebody runs `ipvsadm -Z`; a
// destination that comes back within about two minutes may also be taken out of
// the kernel's trash with its old numbers (ip_vs_ctl.c, ip_vs_trash_get_dest).
#pragma once

#include "dataplane/dataplane.h"

namespace dnsdirector::dataplane::ipvs {

/// Of one service or destination.
class Tally {
public:
    Tally() = default;
    /// As an earlier process left it.
    Tally(const Count& before, const Count& last) : before_(before), last_(last) {}

    /// The kernel says so now. True when it had begun anew.
    bool observe(const Count& kernel);

    /// Since it was first seen.
    [[nodiscard]] Count total() const {
        return {before_.packets + last_.packets, before_.bytes + last_.bytes};
    }
    [[nodiscard]] const Count& before() const { return before_; }
    [[nodiscard]] const Count& last() const { return last_; }

private:
    Count before_;  ///< of the kernel's counters that are gone
    Count last_;    ///< what the kernel said last
};

}  // namespace dnsdirector::dataplane::ipvs
