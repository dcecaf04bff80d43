// SPDX-License-Identifier: Apache-2.0
//
// How strict an include is about files that are not there: keepalived's include
// variants and its include_check.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace dnsdirector::config {

/// A file named without a pattern must be there, and what is found must be
/// readable, whatever is set here; there only from `readable` and `match` on.
struct IncludeCheck {
    bool wildcard_match = false;  ///< a pattern must match a file
    bool brace_match = false;     ///< each of `{a,b}` must

    friend bool operator==(const IncludeCheck&, const IncludeCheck&) = default;
};

/// What `include`, includer, includem, includew, includeb and includea ask for
/// beside what include_check does; nothing for any other word.
[[nodiscard]] std::optional<IncludeCheck> include_variant(std::string_view keyword);

/// The words of include_check applied to what is set: `match` and `readable`,
/// which always hold; +NAME and -NAME change one, a bare NAME sets exactly those
/// named, no word at all sets them all.
[[nodiscard]] Result<IncludeCheck> set_include_check(const std::vector<std::string_view>& words,
                                                     IncludeCheck present);

/// The names that `{a,b}` in a pattern stand for; too many are an error.
[[nodiscard]] Result<std::vector<std::string>> brace_alternatives(const std::string& pattern);

}  // namespace dnsdirector::config
