// SPDX-License-Identifier: Apache-2.0
//
// The checks of the compatible form: what they inherit, keepalived's defaults.
#pragma once

#include "config/assembly.h"
#include "config/draft.h"

namespace dnsdirector::config {

struct CompatibleCheck {
    const VirtualServerDraft& virtual_server;
    const CompatibleServerDraft& server;
    const CompatibleCheckDraft& check;
    Endpoint target;  ///< the real server
};

/// Adds it to the configuration and to the server; says what is wrong with it.
void add_compatible_check(const CompatibleCheck& what, Assembly& assembly, core::RealServer& real);

}  // namespace dnsdirector::config
