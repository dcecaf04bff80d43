// SPDX-License-Identifier: Apache-2.0
//
// Who takes packets at which address and port of this machine, by /proc.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/address.h"

namespace dnsdirector::realserver {

struct Listener {
    Protocol protocol = Protocol::udp;
    Endpoint local;       ///< unspecified: at all addresses
    std::string program;  ///< "named"; "" where the kernel does not tell (takes root)

    friend bool operator==(const Listener&, const Listener&) = default;
};

/// Of the calling thread's network namespace, at these ports.
[[nodiscard]] std::vector<Listener> read_listeners(const std::set<std::uint16_t>& ports);

}  // namespace dnsdirector::realserver
