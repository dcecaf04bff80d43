// SPDX-License-Identifier: Apache-2.0
//
// Single values of the bgp block as text; each function says what the text should have been.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "core/bgp.h"

namespace dnsdirector::config {

/// One community: `5430:100` (RFC 1997), `5430:1:100` (RFC 8092), or the name of one that is
/// well known, as `no-export`.
[[nodiscard]] Result<core::Communities> parse_community(std::string_view text);

/// What is wrong with the number of an AS that is none of ours to use, or "".
[[nodiscard]] std::string_view reserved_as(core::AsNumber as);

/// A description: printable ASCII without `"`, at most 80 characters, blanks only between words
/// and one at a time.
[[nodiscard]] Result<std::string> parse_description(std::string_view text);

/// A password for TCP MD5 signatures: 1 to 80 printable ASCII characters but blank and `"`,
/// which both routing daemons take as they stand.
[[nodiscard]] Result<std::string> parse_bgp_password(std::string_view text);

}  // namespace dnsdirector::config
