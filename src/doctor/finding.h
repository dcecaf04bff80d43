// SPDX-License-Identifier: Apache-2.0
//
// doctor/: what on this machine stands in the way of a configuration. Readers
// take in what the kernel says (machine.h), judges make findings of it (judges.h):
// values in, values out, no I/O. Nothing here changes anything on the machine.
#pragma once

#include "core/finding.h"

namespace dnsdirector::doctor {

using core::any_trouble;
using core::Finding;
using core::Findings;
using core::Level;

}  // namespace dnsdirector::doctor
