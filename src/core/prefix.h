// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/address.h"

namespace dnsdirector::core {

/// Addresses that begin alike; the bits behind `length` do not count.
struct Prefix {
    IpAddress address;
    unsigned length = 0;  ///< bits, 0 to 32 or 128

    [[nodiscard]] bool contains(const IpAddress& other) const;
    [[nodiscard]] std::string to_string() const;  ///< "198.51.100.0/24"
    friend auto operator<=>(const Prefix&, const Prefix&) = default;
    friend bool operator==(const Prefix&, const Prefix&) = default;
};

}  // namespace dnsdirector::core
