// SPDX-License-Identifier: Apache-2.0
//
// What is right by the language, and yet probably not what its author meant:
// warnings with a short, stable code and a hint. A table of rules, each a
// function over the configuration and its positions; docs/checks.md lists them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/places.h"

namespace dnsdirector::config {

/// What a rule looks at, and whom it tells.
struct Scene {
    const core::Configuration& configuration;
    const Places& places;
    Diagnostics& diagnostics;
};

struct Rule {
    std::string_view code;  ///< never changed: pipelines go by it
    std::string_view about;
    void (*find)(const Scene& scene);
};

/// All but `persistence`, which the keyword itself says.
[[nodiscard]] std::span<const Rule> service_rules();  ///< findings_services.cc
[[nodiscard]] std::span<const Rule> check_rules();    ///< findings_checks.cc
[[nodiscard]] std::span<const Rule> target_rules();   ///< findings_targets.cc

/// As load() and parse(), with the findings among the messages when there is no error.
[[nodiscard]] Loaded examine(const std::string& path, const std::string& config_id = {});
[[nodiscard]] Loaded examine(std::string_view text, const std::string& name, const Files& files);

}  // namespace dnsdirector::config
