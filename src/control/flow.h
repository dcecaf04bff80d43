// SPDX-License-Identifier: Apache-2.0
//
// `why CLIENT:PORT SERVICE_IP[:PORT][/PROTOCOL]`: where a client's packets go,
// and by which rule.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dataplane/dataplane.h"

namespace dnsdirector::control {

struct FlowQuestion {
    Endpoint client;
    IpAddress service;
    std::optional<std::uint16_t> port;  ///< absent: 53
    std::optional<Protocol> protocol;   ///< absent: both
};
/// Errors: no address and port, families that differ.
[[nodiscard]] Result<FlowQuestion> parse_flow(std::string_view client, std::string_view service);

struct FlowAnswer {
    dataplane::Flow flow;
    std::string cluster;  ///< "" where there is none, or no service
    core::Scheduler scheduler = core::Scheduler::wrr;
    Result<dataplane::Choice> choice;
    std::vector<std::string> names;      ///< of the servers in choice.shares
    std::vector<std::string> elsewhere;  ///< not a service: those that the address has
};

/// One for each service that is meant; where there is none, one that says so.
[[nodiscard]] std::vector<FlowAnswer> follow_flow(const core::Configuration& configuration,
                                                  const dataplane::DataPlane& plane,
                                                  const FlowQuestion& question);

/// "198.51.100.10:4242 to 192.0.2.53:53/tcp goes to ns1 203.0.113.11:53: …"
[[nodiscard]] std::string sentence_of(const FlowAnswer& answer);

/// {"answer", "flows": [...]}
[[nodiscard]] std::string to_json(const std::vector<FlowAnswer>& answers);

}  // namespace dnsdirector::control
