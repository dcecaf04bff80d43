// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/finding.h"

namespace dnsdirector::cli {

/// One line for each; `quiet`: only what is to be done. Or one JSON object.
struct FindingStyle {
    bool json = false;
    bool quiet = false;
};

void print_findings(const core::Findings& findings, const FindingStyle& style);

}  // namespace dnsdirector::cli
