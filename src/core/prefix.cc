// SPDX-License-Identifier: Apache-2.0
#include "core/prefix.h"

#include <algorithm>

namespace dnsdirector::core {

bool Prefix::contains(const IpAddress& other) const {
    if (address.family() != other.family()) return false;
    const unsigned whole = length / 8;
    const auto& own = address.bytes();
    const auto& theirs = other.bytes();
    if (!std::equal(own.begin(), own.begin() + whole, theirs.begin())) return false;
    const unsigned rest = length % 8;
    return rest == 0 || (own[whole] ^ theirs[whole]) >> (8 - rest) == 0;
}

std::string Prefix::to_string() const {
    return address.to_string() + "/" + std::to_string(length);
}

}  // namespace dnsdirector::core
