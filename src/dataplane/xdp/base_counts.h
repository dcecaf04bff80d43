// SPDX-License-Identifier: Apache-2.0
//
// What pins that are gone had counted. It is added to what this layout's maps
// count; it lies in a pinned map of its own, which is replaced as a whole.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/xdp/fd.h"

namespace dnsdirector::dataplane::xdp {

class BaseCounts {
public:
    /// That among the pins of `directory`; empty where there is none.
    static Result<BaseCounts> open(const std::string& directory);

    /// Services, servers and reasons; nothing else of it is used.
    [[nodiscard]] const Counters& counts() const { return counts_; }
    /// The sets of pins whose counts are in it, by the kernel's ids of their map
    /// `attachments`: an interrupted removal has left them.
    [[nodiscard]] const std::set<std::uint32_t>& included() const { return included_; }

    /// Puts another one in its place, by one rename(2).
    Result<void> replace(Counters counts, std::set<std::uint32_t> included);
    /// Forgets a service's own count, or that of one of its servers.
    void forget(const core::ServiceKey& service, const std::optional<Endpoint>& server);

    /// Pins it again where somebody removed it, and says where; "": it is there.
    Result<std::string> restore_pin() const;
    Result<void> unpin() const;

private:
    explicit BaseCounts(std::string path) : path_(std::move(path)) {}

    std::string path_;
    Fd map_;
    Counters counts_;
    std::set<std::uint32_t> included_;
};

/// Adds all that `more` has to `sum`.
void add(Counters& sum, const Counters& more);

/// The kernel's number of an open map; unique among those that live.
[[nodiscard]] Result<std::uint32_t> map_id(int fd);

}  // namespace dnsdirector::dataplane::xdp
