// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include "control/director.h"
#include "dataplane/dataplane.h"

namespace dnsdirector::control {

/// USR2, first step: runs `check-config` of the binary that now lies at our path,
/// on a thread of its own, and says whether it accepts the configuration.
[[nodiscard]] std::thread check_then(const DirectorOptions& options,
                                     std::function<void(bool accepted)> done);

/// Second step: this process becomes that binary. The kernel goes on forwarding
/// meanwhile, and the new program adopts what it finds. Returns only when the
/// binary cannot be executed; then nothing has changed but a line in the log.
/// `kept`: a descriptor that the new program finds by take_descriptors() as kept_name; or -1.
/// `of_plane`: what the data plane's next one finds by itself.
void reexec(const DirectorOptions& options, int kept,
            const std::optional<dataplane::KeptOverExec>& of_plane);

/// The environment's word for it, set in the moment of the re-execution only.
inline constexpr const char* kept_descriptor_variable = "DNSDIRECTOR_KEPT_DESCRIPTOR";

}  // namespace dnsdirector::control
