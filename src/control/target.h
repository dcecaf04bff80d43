// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "core/desired.h"

namespace dnsdirector::control {

inline constexpr std::size_t max_target_length = 1024;  ///< bytes

/// TARGET of drain, undrain and why: `[CLUSTER/]NAME` or
/// `ADDRESS[:PORT][/udp|/tcp]`, IPv6 in brackets (without a port also bare). For
/// why, ADDRESS may be a service IP or a sorry server, too. Any PORT means a server that
/// takes all of them.
struct Target {
    std::string text;     ///< as given
    std::string cluster;  ///< "" matches all
    std::string name;     ///< "" when it is an address
    std::optional<IpAddress> address;
    std::optional<std::uint16_t> port;
    std::optional<Protocol> protocol;
};

/// Errors: an empty name, and more than max_target_length bytes.
[[nodiscard]] Result<Target> parse_target(std::string_view text);

/// Whether the target means this server of this cluster and protocol.
[[nodiscard]] bool matches(const Target& target, const std::string& cluster, Protocol protocol,
                           const std::string& name, const Endpoint& server);

/// Whether it means this service: its service IP, with what else it names.
[[nodiscard]] bool matches(const Target& target, const core::ServiceKey& service);

/// Whether it means the sorry server of this service.
[[nodiscard]] bool matches(const Target& target, const core::ServiceKey& service,
                           const std::optional<core::SorryServer>& sorry);

/// What to say when nothing matches.
[[nodiscard]] std::string unknown_target(const Target& target);
/// The same for `why`, which also knows services and sorry servers.
[[nodiscard]] std::string unknown_to_why(const Target& target);

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
