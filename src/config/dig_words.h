// SPDX-License-Identifier: Apache-2.0
//
// The words of a dig line, each for itself, as dig 9.18 understands them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/address.h"

namespace dnsdirector::config {

/// Whether two words are one, whatever the case of their letters.
[[nodiscard]] bool same_letters(std::string_view left, std::string_view right);

/// isc_parse_uint32() to base 10, and a limit.
[[nodiscard]] std::optional<std::uint32_t> number(std::string_view text, std::uint32_t most);

/// TYPE or CLASS with a number. dig reads them with strtoul(), so with a sign,
/// too, but no more than nine or ten letters of them.
[[nodiscard]] bool numbered(std::string_view word, std::string_view prefix);

/// Of a class's name, also those that only dig has.
[[nodiscard]] std::optional<std::uint16_t> class_of(std::string_view word);

/// A type that BIND has a word for and we have none (core/mnemonics.h).
[[nodiscard]] bool is_other_type(std::string_view word);

/// The name of -x (RFC 1035, 3.5; RFC 3596, 2.5).
[[nodiscard]] std::string reverse_name(const IpAddress& address);

}  // namespace dnsdirector::config
