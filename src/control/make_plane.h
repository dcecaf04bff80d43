// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "dataplane/dataplane.h"
#include "dataplane/descriptors.h"

namespace dnsdirector::control {

/// The data plane that the configuration asks for. What a predecessor left in
/// the kernel is adopted, not torn down. `ipvs_journal` is a file that only the
/// ipvs plane uses, `inheritance` is the proxy plane's; on another one its descriptors are
/// closed, and forgotten by systemd.
[[nodiscard]] Result<std::unique_ptr<dataplane::DataPlane>> make_plane(
    const core::DirectorSettings& settings, const std::string& pin_dir,
    const std::string& ipvs_journal, dataplane::Inheritance inheritance);

}  // namespace dnsdirector::control
