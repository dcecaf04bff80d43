// SPDX-License-Identifier: Apache-2.0
//
// dataplane/proxy: queries are handed on by this process itself, in threads of its own, and
// the answers come back through it. It needs no right and no interface of its own; the servers
// see the director as their client, unless they are told the client's address (PROXY
// protocol). docs/proxy.md says when it is the right plane.
#pragma once

#include <memory>

#include "dataplane/dataplane.h"
#include "dataplane/descriptors.h"

namespace dnsdirector::dataplane {

/// Starts the workers, and goes on by what a predecessor left. Errors: no threads or descriptors
/// to be had.
[[nodiscard]] Result<std::unique_ptr<DataPlane>> make_proxy(const core::DirectorSettings& settings,
                                                            Inheritance inheritance);

}  // namespace dnsdirector::dataplane
