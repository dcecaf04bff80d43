// SPDX-License-Identifier: Apache-2.0
//
// Directories on a bpffs.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace dnsdirector::dataplane::xdp {

/// Makes the directory and those above it (mode 0700). An error that names the
/// mount command where it does not lie on a bpffs.
Result<void> make_pin_dir(const std::string& path);
/// Removes it if it is empty and no mount point.
void remove_pin_dir(const std::string& path);
/// The names in it.
[[nodiscard]] std::vector<std::string> names_in(const std::string& path);

}  // namespace dnsdirector::dataplane::xdp
