// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "base/result.h"
#include "control/director.h"
#include "control/hooks.h"
#include "control/run_dir.h"
#include "core/desired.h"
#include "dataplane/dataplane.h"
#include "netlink/netlink.h"
#include "probe/prober.h"

namespace dnsdirector::control {

/// What a director is made of; all that may be refused before it starts.
struct Parts {
    std::unique_ptr<dataplane::DataPlane> plane;
    std::unique_ptr<probe::Prober> prober;
    std::unique_ptr<Hooks> hooks;
    std::unique_ptr<netlink::Socket> netlink;
    std::unique_ptr<netlink::Monitor> monitor;
    core::Overrides overrides;
};

/// Errors: the data plane's (no bpffs, no such interface), no netlink socket.
/// Saved drains that can't be read are set aside with a message.
[[nodiscard]] Result<Parts> make_parts(const DirectorOptions& options,
                                       const core::Configuration& configuration,
                                       const RunDir& run_dir);

}  // namespace dnsdirector::control
