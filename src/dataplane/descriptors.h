// SPDX-License-Identifier: Apache-2.0
//
// Descriptors that outlive the process: what was left for it, and where it leaves its own.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace dnsdirector::dataplane {

struct NamedDescriptor {
    std::string name;  ///< in the store, or in the socket unit (FileDescriptorName=)
    int descriptor = -1;
};

/// systemd's store of our unit (FDSTORE=1 of sd_notify(3)): it holds a copy over crashes and
/// restarts, and closes it when the unit is stopped or given up.
struct DescriptorStore {
    /// How many it takes from a plane; 0: there is none. May ask systemd; to be called once.
    std::function<std::size_t()> room = [] { return std::size_t{0}; };
    /// Beside those that it has by that name; one that it has already changes nothing.
    std::function<void(const std::string& name, std::span<const int> descriptors)> keep =
        [](const std::string&, std::span<const int>) {};
    /// All of that name.
    std::function<void(const std::string& name)> forget = [](const std::string&) {};
};

/// What a plane starts with.
struct Inheritance {
    std::vector<NamedDescriptor> descriptors;  ///< from systemd; the plane's to close
    DescriptorStore store;
    std::string journal;  ///< a file of the plane's own in the run directory; "": none
};

}  // namespace dnsdirector::dataplane
