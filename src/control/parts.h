// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "announce/routes.h"
#include "announce/sessions.h"
#include "base/result.h"
#include "control/director.h"
#include "control/hooks.h"
#include "control/run_dir.h"
#include "core/desired.h"
#include "dataplane/dataplane.h"
#include "netlink/netlink.h"
#include "probe/prober.h"
#include "realserver/keeper.h"

namespace dnsdirector::control {

/// Of the announcements' descriptor in systemd's store.
inline constexpr const char* announcements_name = "announce";

/// What a director is made of; all that may be refused before it starts.
struct Parts {
    std::unique_ptr<dataplane::DataPlane> plane;
    std::unique_ptr<probe::Prober> prober;
    std::unique_ptr<Hooks> hooks;
    std::unique_ptr<netlink::Socket> netlink;
    std::unique_ptr<netlink::Monitor> monitor;
    std::unique_ptr<announce::Routes> routes;
    std::unique_ptr<announce::Sessions> sessions;
    std::unique_ptr<realserver::Keeper> keeper;  ///< of a real server only
    core::Overrides overrides;
};

/// Errors: the data plane's (no bpffs, no such interface), no netlink socket.
/// Saved drains that can't be read are set aside with a message.
[[nodiscard]] Result<Parts> make_parts(const DirectorOptions& options,
                                       const core::Configuration& configuration,
                                       const RunDir& run_dir);

}  // namespace dnsdirector::control
