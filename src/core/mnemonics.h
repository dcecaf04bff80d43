// SPDX-License-Identifier: Apache-2.0
//
// Names of DNS types, classes and response codes (IANA "DNS Parameters"), the
// one table that the parser, the checks and the status screen share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dnsdirector::core {

/// "A", "SOA", …; RFC 3597's "TYPE65280" for what has no name here.
[[nodiscard]] std::string type_name(std::uint16_t type);
/// Any letter case; RFC 3597's "TYPE123" too.
[[nodiscard]] std::optional<std::uint16_t> type_number(std::string_view name);

/// "IN", "CH", …; "CLASS123".
[[nodiscard]] std::string class_name(std::uint16_t klass);
[[nodiscard]] std::optional<std::uint16_t> class_number(std::string_view name);

/// "NOERROR", "SERVFAIL", …; "RCODE123" for what has no name here.
[[nodiscard]] std::string rcode_name(std::uint16_t rcode);
[[nodiscard]] std::optional<std::uint16_t> rcode_number(std::string_view name);

}  // namespace dnsdirector::core
