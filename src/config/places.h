// SPDX-License-Identifier: Apache-2.0
//
// Where the parts of a configuration stand in its files, for whoever speaks of
// them later: the findings, the conversion.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "config/diagnostics.h"
#include "config/tree.h"
#include "core/model.h"

namespace dnsdirector::config {

struct ServicePlaces {
    Position at;     ///< what makes it: the virtual_server, the group's entry, the service_ip
    Position block;  ///< the virtual_server or dns_cluster
    std::vector<Position> servers;  ///< of Service::real_servers
};

struct Places {
    std::vector<ServicePlaces> services;  ///< of Configuration::services
    std::vector<Position> checks;         ///< of Configuration::checks, the first of equal ones
    std::vector<std::pair<core::CheckIndex, Position>> equal_checks;  ///< the others
};

/// A configuration and all that it was made of.
struct Whole {
    const core::Configuration& configuration;
    const Places& places;
    const std::vector<Statement>& tree;  ///< of all files
    Diagnostics& diagnostics;
};

/// Looks at a configuration without errors, before the messages are taken.
using Visit = std::function<void(const Whole& whole)>;

[[nodiscard]] Loaded load(const std::string& path, const Files& files, const Visit& visit);
[[nodiscard]] Loaded parse(std::string_view text, const std::string& name, const Files& files,
                           const Visit& visit);

}  // namespace dnsdirector::config
