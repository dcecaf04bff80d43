// SPDX-License-Identifier: Apache-2.0
//
// The comments of files, to be kept when what they speak of is written anew.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/places.h"

namespace dnsdirector::config {

class Comments {
public:
    explicit Comments(const Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

    /// The comment lines right above the line of a position, without their marks, and the
    /// comment behind it on its line. Each comment is handed out once.
    [[nodiscard]] std::vector<std::string> take(const Position& at);

    /// The first lines of the first file, up to what is not a comment, when an empty line
    /// parts them from the rest.
    [[nodiscard]] std::vector<std::string> take_head();

    /// The definitions ($NAME=value) of all files, as they stand: what is kept may use them.
    [[nodiscard]] std::string definitions();

    /// The text of a statement, with the comments in front of it and behind it, as it stands.
    [[nodiscard]] std::string verbatim(const Statement& statement);

private:
    struct File {
        std::vector<std::string_view> lines;
        std::set<std::size_t> taken;  ///< indices of `lines`
    };
    File& file_of(std::uint32_t file);

    const Diagnostics& diagnostics_;
    std::map<std::uint32_t, File> files_;
};

}  // namespace dnsdirector::config
