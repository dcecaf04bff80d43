// SPDX-License-Identifier: Apache-2.0
//
// Statuses named by a regular expression, as the classic dig wrapper took them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace dnsdirector::core {

/// All RCODEs (0 to 4095) whose name the expression matches: anchored at the
/// start and not at the end, case-sensitive, in linear time (RE2). Names are
/// dig's ("NOERROR", "SERVFAIL", "RESERVED11") and ours ("RCODE11"). Sorted,
/// ready for DnsCheck::fail_on. Errors: no regular expression.
[[nodiscard]] Result<std::vector<std::uint16_t>> statuses_matching(const std::string& pattern);

}  // namespace dnsdirector::core
