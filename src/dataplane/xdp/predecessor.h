// SPDX-License-Identifier: Apache-2.0
//
// Pins of another layout, older or newer: what they forward and have counted, for
// the version that takes over from them.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/ledger.h"

namespace dnsdirector::dataplane::xdp {

class Predecessor {
public:
    /// All below `pin_dir` but `own`, by layout. Rests of interrupted starts and
    /// removals are among them.
    static Result<std::vector<Predecessor>> find(const std::string& pin_dir,
                                                 const std::string& own);

    [[nodiscard]] const std::string& directory() const { return directory_; }
    /// Its description can be read, or is known here (layout 1).
    [[nodiscard]] bool whole() const { return description_.layout != 0; }
    /// What it says of itself; empty if it is not whole.
    [[nodiscard]] const Description& description() const { return description_; }
    /// A link of it is pinned: its program forwards.
    [[nodiscard]] bool forwards() const;

    /// Services, weights and the ways to servers.
    [[nodiscard]] Result<Ledger> ledger() const;
    /// What it has counted, and those before it whose counts it took over.
    [[nodiscard]] Result<Counters> counters() const;
    /// The kernel's id of its map `attachments`: its name in BaseCounts::included().
    [[nodiscard]] std::uint32_t id() const { return id_; }
    [[nodiscard]] const std::set<std::uint32_t>& included() const { return included_; }

private:
    Result<void> look();
    Result<Counters> count(const Ledger& ledger) const;

    std::string directory_;
    Description description_;
    std::uint32_t id_ = 0;
    std::set<std::uint32_t> included_;
};

/// Who forwards now, as far as the pins say; else who did last; null: nobody.
[[nodiscard]] const Predecessor* source_among(const std::vector<Predecessor>& predecessors);

/// Of all of them together, each packet once: who has another's counts in its
/// base already stands for that one too.
[[nodiscard]] Result<Counters> counters_of(const std::vector<Predecessor>& predecessors,
                                           const std::set<std::uint32_t>& included);

}  // namespace dnsdirector::dataplane::xdp
