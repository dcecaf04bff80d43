// SPDX-License-Identifier: Apache-2.0
//
// What the configuration says of the proxy plane alone; as it stands here on the others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "core/prefix.h"

namespace dnsdirector::core {

/// EDNS client subnet (RFC 7871): so many bits of a client's address are told to the servers.
struct ClientSubnet {
    std::uint8_t ipv4 = 0;  ///< 0 to 32; 0: nothing is
    std::uint8_t ipv6 = 0;  ///< 0 to 128; likewise

    [[nodiscard]] bool any() const { return ipv4 != 0 || ipv6 != 0; }
    friend bool operator==(const ClientSubnet&, const ClientSubnet&) = default;
};

struct ProxySettings {
    std::uint32_t workers = 0;           ///< threads; 0: one a core
    std::uint32_t upstream_sockets = 4;  ///< UDP, of each worker and family; each a random port
    Nanoseconds retry_after{0};          ///< silence after which another server is asked; 0: learnt
    std::uint32_t retry_percent = 20;    ///< most second tries, of all queries; 0: none at all
    Nanoseconds query_timeout{10'000'000'000};  ///< after which nobody waits any more
    std::uint32_t tcp_clients = 4096;           ///< connections of clients, of all workers together
    std::uint32_t tcp_per_address = 64;         ///< of one client's address; 0: no limit
    std::uint32_t tcp_in_flight = 64;           ///< queries of one connection that wait for answers
    std::uint64_t tcp_bytes = 0;                ///< that one connection may send; 0: no limit
    Nanoseconds tcp_idle{10'000'000'000};       ///< without a query; a peer that reads nothing
    std::uint32_t tcp_to_server = 4;            ///< connections of each worker to one server
    /// Who comes from there brings its clients' addresses in PROXY headers, version 2.
    std::vector<Prefix> proxy_protocol_from;

    friend bool operator==(const ProxySettings&, const ProxySettings&) = default;
};

/// Messages that go to every server of a service in the place of one.
struct ToAll {
    bool notify = false;        ///< NOTIFY (RFC 1996)
    bool update = false;        ///< UPDATE (RFC 2136)
    std::uint32_t answers = 0;  ///< NOERROR of so many in service is the client's; 0: of all
    std::vector<Prefix> from;   ///< clients that may send them; none: every one

    [[nodiscard]] bool any() const { return notify || update; }
    friend bool operator==(const ToAll&, const ToAll&) = default;
};
/// "notify update, answers 2, from 198.51.100.0/24"; "none".
[[nodiscard]] std::string to_string(const ToAll& to_all);

}  // namespace dnsdirector::core
