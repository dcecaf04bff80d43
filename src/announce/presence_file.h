// SPDX-License-Identifier: Apache-2.0
//
// The file that remembers which addresses the director added.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"

namespace dnsdirector::announce {

struct PresenceFile {
    std::set<std::pair<std::string, IpAddress>> own;
    std::vector<std::string>
        complaints;  ///< lines that were not understood, a file that can't be read
};

/// A file that does not exist is an empty one.
[[nodiscard]] PresenceFile read_presence_file(const std::string& path);

/// Whole or not at all: written beside it, then renamed into place.
[[nodiscard]] Result<void> write_presence_file(
    const std::string& path, const std::set<std::pair<std::string, IpAddress>>& own);

[[nodiscard]] Result<void> remove_presence_file(const std::string& path);

}  // namespace dnsdirector::announce
