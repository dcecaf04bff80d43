// SPDX-License-Identifier: Apache-2.0
//
// dataplane/none: forwards nothing. For directors that only check (and later
// announce) while routers balance. It remembers what it was told, so that the
// engine and `status` work as with any other plane. It touches no kernel.
#pragma once

#include <memory>

#include "dataplane/dataplane.h"

namespace dnsdirector::dataplane {

[[nodiscard]] std::unique_ptr<DataPlane> make_none();

}  // namespace dnsdirector::dataplane
