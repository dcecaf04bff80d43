// SPDX-License-Identifier: Apache-2.0
//
// Whether two configurations ask for the same: `convert` proves it of what it prints.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/model.h"

namespace dnsdirector::config {

/// The question that a dig line asks, with dig's verdicts: any status passes, silence
/// fails. Absent where a question cannot say it (more than 10 tries).
[[nodiscard]] std::optional<core::DnsCheck> as_question(const core::DigCheck& dig,
                                                        const core::CheckTiming& timing);

/// Lines of core::full_text() that only one of them has, `-` before those of `before`
/// and `+` before those of `after`. None: the same services (address, port, protocol)
/// with the same scheduler, method, quorum, policies, commands and sorry server; the
/// same servers in the same order with the same weights, and for each the same checks
/// with the same timing, in any order; the same settings of the director.
///
/// Not looked at: names of clusters, groups and servers; the order of services; whether a
/// question stands as a dig line or as its as_question().
[[nodiscard]] std::vector<std::string> differences_of_state(const core::Configuration& before,
                                                            const core::Configuration& after);

}  // namespace dnsdirector::config
