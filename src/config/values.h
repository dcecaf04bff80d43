// SPDX-License-Identifier: Apache-2.0
//
// Single values as text. Each function reads the whole text or says what it
// should have been.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/address.h"
#include "base/result.h"
#include "base/time.h"

namespace dnsdirector::config {

/// A number of the compatible form as the functions below want it: keepalived takes
/// `+5`, and of durations `.5` and `5.`, too.
[[nodiscard]] std::string as_keepalived_reads(std::string_view text);

/// Decimal digits only, minimum to maximum.
[[nodiscard]] Result<std::uint64_t> parse_number(std::string_view text, std::uint64_t minimum,
                                                 std::uint64_t maximum);

/// As parse_number, perhaps with a sign.
[[nodiscard]] Result<std::int64_t> parse_signed(std::string_view text, std::int64_t minimum,
                                                std::int64_t maximum);

/// Bytes, each as two hexadecimal digits.
[[nodiscard]] Result<std::vector<std::uint8_t>> parse_hex(std::string_view text);

/// An HTTP status, 100 to 599, or a range of them: `200`, `200-299`.
[[nodiscard]] Result<std::pair<std::uint16_t, std::uint16_t>> parse_status_range(
    std::string_view text);

/// `50%` or `50`: 0 to 100.
[[nodiscard]] Result<std::uint32_t> parse_percent(std::string_view text);

/// A decimal number with a unit: ns us ms s m h; without one: seconds.
[[nodiscard]] Result<Nanoseconds> parse_duration(std::string_view text, Nanoseconds minimum,
                                                 Nanoseconds maximum);

[[nodiscard]] Result<IpAddress> parse_address(std::string_view text);

/// A cluster's, server's or check's name: letters, digits, `_`, `-`, `.`, at
/// most 64 of them, not `-` first, nothing that reads as an address.
[[nodiscard]] Result<std::string> parse_name(std::string_view text);

/// What Linux takes as the name of a network interface (dev_valid_name() in
/// net/core/dev.c): at most 15 bytes, no `/`, `:` or white space.
[[nodiscard]] Result<std::string> parse_interface(std::string_view text);

/// on, yes, true; off, no, false.
[[nodiscard]] Result<bool> parse_flag(std::string_view text);

}  // namespace dnsdirector::config
