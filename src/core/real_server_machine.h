// SPDX-License-Identifier: Apache-2.0
//
// The other side: what makes a machine a real server for direct routing or tunnels (the
// `realserver` block). It holds the service IPs without answering ARP or ND for them, and hands
// what clients ask to the DNS process that it is for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/prefix.h"

namespace dnsdirector::core {

/// One of several DNS processes of a machine: what clients ask the service IPs in packets that
/// come in on `input` is translated to where it listens.
struct DnsProcess {
    std::string name;
    std::string input;             ///< a network interface; no two processes share one
    std::vector<Endpoint> listen;  ///< one of each family at most, at least one
    /// Clients that are served; others' packets stay as they are. Of a family that has none in
    /// it, every client is.
    std::vector<Prefix> from;

    friend bool operator==(const DnsProcess&, const DnsProcess&) = default;
};

struct RealServerMachine {
    std::vector<IpAddress> service_ips;            ///< unique, in the order of the file
    std::uint16_t port = 53;                       ///< that clients ask
    std::array<bool, 2> protocols = {true, true};  ///< by Protocol
    std::string interface = "lo";                  ///< holds the service IPs
    /// Empty: the DNS server listens on the service IPs themselves.
    std::vector<DnsProcess> processes;
    /// Addresses of this machine at which the director's tunnels end (lb_kind TUN).
    std::vector<IpAddress> tunnel_ends;
    std::vector<Prefix> tunnel_from;  ///< outer sources that are taken; empty: all
    /// What `realserver check` asks and expects to get more than 1,232 bytes for; its target
    /// says nothing.
    std::optional<DnsCheck> large_query;
    /// `realserver run` takes a service IP away while no process that serves it is up.
    bool withdraw_on_failure = false;

    friend bool operator==(const RealServerMachine&, const RealServerMachine&) = default;
};

}  // namespace dnsdirector::core
