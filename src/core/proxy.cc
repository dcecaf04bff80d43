// SPDX-License-Identifier: Apache-2.0
#include "core/proxy.h"

#include <fmt/format.h>

namespace dnsdirector::core {

std::string to_string(const ToAll& to_all) {
    const auto& [notify, update, answers, from] = to_all;
    if (!to_all.any()) return "none";
    std::string text = notify ? "notify" : "";
    if (update) text += notify ? " update" : "update";
    text += answers == 0 ? ", answers all" : fmt::format(", answers {}", answers);
    text += ", from";
    for (const Prefix& network : from)
        text += " " + network.to_string();
    return from.empty() ? text + " all" : text;
}

}  // namespace dnsdirector::core
