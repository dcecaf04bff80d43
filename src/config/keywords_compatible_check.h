// SPDX-License-Identifier: Apache-2.0
//
// What the files of the compatible checks' keywords share.
#pragma once

#include <span>

#include "config/keywords.h"

namespace dnsdirector::config {

/// A word of keepalived's that has no effect or is refused; `instead` says what serves.
constexpr Keyword keepalived_word(Block in, std::string_view name, Status status,
                                  std::string_view instead) {
    return {.in = in,
            .name = name,
            .kind = Kind::anything,
            .help = "Known from keepalived",
            .status = status,
            .instead = instead,
            .opens = status == Status::ignored ? Block::none : Block::skipped};
}

/// Of FILE_CHECK, track_file and HTTP_GET.
[[nodiscard]] std::span<const Keyword> file_and_http_keywords();

}  // namespace dnsdirector::config
