// SPDX-License-Identifier: Apache-2.0
//
// The word that was probably meant.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace dnsdirector::config {

/// Edits that make `b` of `a`: a letter added, left out, changed, or swapped
/// with its neighbour (Damerau 1964, the restricted form); letter case is free.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `words` when it is near enough to be meant (a third of its
/// letters wrong at most), else "".
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       std::span<const std::string_view> words);

}  // namespace dnsdirector::config
