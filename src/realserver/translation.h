// SPDX-License-Identifier: Apache-2.0
//
// realserver/: what makes a machine a real server: its addresses, settings, tunnels and the
// translation from its service IPs to several DNS processes. It decides nothing about health.
//
// This header is pure: a machine → the nftables ruleset that it needs. The rules keep no state for
// the questions of clients to the first service IP of a family, nor do they let connection
// tracking keep any; docs/realserver_processes.md says why, and what the exceptions remember.
#pragma once

#include <string>
#include <string_view>

#include "core/real_server_machine.h"

namespace dnsdirector::realserver {

/// The name of our table, of family inet.
inline constexpr std::string_view table_name = "dnsdirector_realserver";

/// What `nft -f -` shall read to replace our table in one transaction; "" when the machine needs
/// no table (no processes and no tunnel_from). It is nft's own language rather than its JSON,
/// since nft before 1.1 cannot say in JSON that a set's key holds part of a payload (`typeof`).
[[nodiscard]] std::string ruleset_of(const core::RealServerMachine& machine);

/// What a process's counters count.
enum class Way {
    queries,  ///< packets to a service IP that were translated; for UDP, one a question
    replies,  ///< packets of the process that left with a service IP as source
    direct,   ///< UDP questions and TCP connections to the process's own address
    refused,  ///< questions (UDP) or connections (TCP) dropped since a memory was full
};
inline constexpr std::string_view way_names[] = {"queries", "replies", "direct", "refused"};

[[nodiscard]] constexpr std::string_view to_string(Way way) {
    return way_names[static_cast<std::size_t>(way)];
}

/// The name in nftables of a process's counter: "process.bind1.udp.queries".
[[nodiscard]] std::string counter_name(std::string_view process, Protocol protocol, Way way);

/// Counts packets that tunnel_from refused.
inline constexpr std::string_view tunnel_counter = "tunnel.refused";

}  // namespace dnsdirector::realserver
