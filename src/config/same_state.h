// SPDX-License-Identifier: Apache-2.0
//
// Whether two configurations ask for the same: `convert` proves it of what it prints.
#pragma once

#include <string>
#include <vector>

#include "core/model.h"

namespace dnsdirector::config {

/// A dig line as the question that it asks, with dig's verdicts: any status passes, silence
/// fails. Other checks, and dig lines that a question cannot stand for (more than 10 tries,
/// more than a minute for one), as they are.
[[nodiscard]] core::Check with_question(const core::Check& check);

/// Lines of core::full_text() that only one of them has, `-` before those of `before`
/// and `+` before those of `after`. None: the same services (address, port, protocol)
/// with the same scheduler, method, quorum, policies, commands and sorry server; the
/// same servers in the same order with the same weights, and for each the same checks
/// with the same timing, in any order; the same settings of the director.
///
/// Not looked at: names of clusters, groups and servers; the order of services; whether a
/// question stands as a dig line or as its with_question().
[[nodiscard]] std::vector<std::string> differences_of_state(const core::Configuration& before,
                                                            const core::Configuration& after);

}  // namespace dnsdirector::config
