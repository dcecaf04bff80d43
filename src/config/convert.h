// SPDX-License-Identifier: Apache-2.0
//
// A file with blocks of the compatible form → the same in the native form.
#pragma once

#include <string>

#include "config/config.h"

namespace dnsdirector::config {

struct Converted {
    /// Of the file that was read: its messages. What has no native form is an error
    /// among them although `text` is there.
    Loaded loaded;
    /// The native form; empty when the file has errors of its own. What has no native form
    /// stands in front as a comment, with a line that no check-config accepts.
    std::string text;
    /// Nothing is left out, and reading `text` gives the same desired state (same_state.h).
    bool complete = false;
};

[[nodiscard]] Converted convert(const std::string& path, const std::string& config_id = {});
[[nodiscard]] Converted convert(std::string_view text, const std::string& name, const Files& files);

}  // namespace dnsdirector::config
