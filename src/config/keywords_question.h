// SPDX-License-Identifier: Apache-2.0
//
// The keywords of a DNS question and of what its reply must be: a native
// `check` and a DNS_CHECK have them in common.
#pragma once

#include <vector>

#include "config/keywords.h"

namespace dnsdirector::config {

[[nodiscard]] std::vector<Keyword> question_keywords(Block in);

/// Reads what depends on another keyword of the block, in whatever order they
/// stood; `asked` are the questions. False when something is wrong, which is said.
bool finish_question(QuestionDraft& draft, const std::vector<Placed<Question>>& asked,
                     Diagnostics& diagnostics);

}  // namespace dnsdirector::config
