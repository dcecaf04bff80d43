// SPDX-License-Identifier: Apache-2.0
//
// From what there is to what should be, and back, one change after the other.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "realserver/machine.h"
#include "realserver/plan.h"

namespace dnsdirector::realserver {

/// Who is told what.
struct Report {
    std::function<void(const std::string&)> change;   ///< one line for each, once it is made
    std::function<void(const std::string&)> note;     ///< worth knowing; nothing was done
    std::function<void(const std::string&)> failure;  ///< why not, with the mend
};

/// Reads the machine and says what it takes; makes no change.
struct Plan {
    Wishes wishes;  ///< with refusals: `changes` is empty
    std::vector<Change> changes;
};
[[nodiscard]] Result<Plan> plan_up(const Order& order, const Journal& journal, Machine& machine);
[[nodiscard]] Result<std::vector<Change>> plan_down(const Journal& journal, Machine& machine);

/// Makes the changes, each written into the journal first. At the first that can't be made it
/// ends (`on_failure` stop: half a real server must not answer ARP), or goes on with the others.
/// True when all were made; what is left of a plan is found by the next one.
enum class OnFailure : std::uint8_t { stop, go_on };
[[nodiscard]] bool apply(const std::vector<Change>& changes, JournalStore& store, Journal& journal,
                         Machine& machine, OnFailure on_failure, const Report& report);

/// The whole of `realserver up` and `down`. True when the machine is as it should be then.
[[nodiscard]] bool bring_up(const Order& order, JournalStore& store, Machine& machine,
                            const Report& report);
[[nodiscard]] bool take_down(JournalStore& store, Machine& machine, const Report& report);

}  // namespace dnsdirector::realserver
