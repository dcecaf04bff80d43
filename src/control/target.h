// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/desired.h"

namespace dnsdirector::control {

/// TARGET of drain, undrain and why: `[CLUSTER/]NAME` or
/// `ADDRESS[:PORT][/udp|/tcp]`, IPv6 in brackets (without a port also bare).
struct Target {
    std::string text;     ///< as given
    std::string cluster;  ///< "" matches all
    std::string name;     ///< "" when it is an address
    std::optional<IpAddress> address;
    std::optional<std::uint16_t> port;
    std::optional<Protocol> protocol;
};

[[nodiscard]] Result<Target> parse_target(std::string_view text);

/// Whether the target means this server of this cluster and protocol.
[[nodiscard]] bool matches(const Target& target, const std::string& cluster, Protocol protocol,
                           const std::string& name, const Endpoint& server);

/// What to say when nothing matches.
[[nodiscard]] std::string unknown_target(const Target& target);

struct TargetMatch {
    core::DrainKey key;
    core::ServiceKey service;
    std::string name;
};

/// Every real server of every service that the target means, in the order of
/// the configuration.
[[nodiscard]] std::vector<TargetMatch> find_matches(const core::Configuration& configuration,
                                                    const Target& target);

/// "ns1 203.0.113.11:53 in 192.0.2.53:53/udp (resolvers)"
[[nodiscard]] std::string to_string(const TargetMatch& match);

}  // namespace dnsdirector::control
