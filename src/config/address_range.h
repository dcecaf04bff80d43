// SPDX-License-Identifier: Apache-2.0
//
// Addresses in a row, as the entries of a virtual_server_group name them.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "core/prefix.h"

namespace dnsdirector::config {

/// From `first` to `last`, both included, of one family, first <= last.
struct AddressRange {
    IpAddress first;
    IpAddress last;

    /// How many addresses; saturates at UINT32_MAX.
    [[nodiscard]] std::uint32_t size() const;
    /// The first `most` of them.
    [[nodiscard]] std::vector<IpAddress> addresses(std::uint32_t most) const;
};

/// `A`, `A/LENGTH` (all of its addresses; the bits behind the length are zero),
/// `A-B`, or `A-N`, where N takes the place of A's last number (decimal for
/// IPv4, hexadecimal for IPv6), as in keepalived.conf(5).
[[nodiscard]] Result<AddressRange> parse_address_range(std::string_view text);

/// `A/LENGTH` (the bits behind the length are zero), or `A`: that address alone.
[[nodiscard]] Result<core::Prefix> parse_network(std::string_view text);

}  // namespace dnsdirector::config
