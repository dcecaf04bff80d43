// SPDX-License-Identifier: Apache-2.0
//
// The kinds of a native `check`.
#pragma once

#include <span>
#include <vector>

#include "config/keywords.h"

namespace dnsdirector::config {

/// Makes the check being read one of the kind that its keyword names; says so
/// and returns false when it is one of another kind already.
bool set_kind(const Call& call, core::Check::What what);

/// Begins a check of a block, or the use of a named one there.
void start_or_use_check(const Call& call, std::vector<CheckDraft>& checks);
/// Ends what start_or_use_check() began.
void finish_used_check(const Call& call, bool faulty);

/// The keywords of all kinds but `query`.
[[nodiscard]] std::span<const Keyword> check_kind_keywords();

}  // namespace dnsdirector::config
