// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dataplane/dataplane.h"

namespace dnsdirector::control {

/// The data plane that the configuration asks for. What a predecessor left in
/// the kernel is adopted, not torn down. `ipvs_journal` is a file that only the
/// ipvs plane uses.
[[nodiscard]] Result<std::unique_ptr<dataplane::DataPlane>> make_plane(
    const core::DirectorSettings& settings, const std::string& pin_dir,
    const std::string& ipvs_journal);

}  // namespace dnsdirector::control
