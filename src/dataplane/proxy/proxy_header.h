// SPDX-License-Identifier: Apache-2.0
//
// The PROXY protocol, version 2 (haproxy's doc/proxy-protocol.txt, section 2.2): who the client
// is and whom it asked, before what it sent. Servers that want it get it from us, and a balancer
// in front of us may bring it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/proxy.h"
#include "dataplane/proxy/socket_address.h"

namespace dnsdirector::dataplane::proxy {

inline constexpr std::size_t largest_proxy_header = 16 + 36;

/// Returns its size. Client and service are of one family.
std::size_t write_proxy_header(std::uint8_t* out, const SocketAddress& client,
                               const SocketAddress& service, bool tcp);

/// The most that is read: addresses, and TLVs, which are passed over.
inline constexpr std::size_t largest_read_header = 16 + 2048;

/// What a balancer in front of us sent before a query.
struct ProxyHeader {
    enum class Kind : std::uint8_t {
        whole,
        part,  ///< so far right, and there must be more
        bad,   ///< none, of version 1, too long, or nothing that the specification allows
    };
    Kind kind = Kind::bad;
    std::size_t size = 0;  ///< of a whole one
    /// False: the balancer speaks for itself (LOCAL), or for a client whose address is neither
    /// IPv4 nor IPv6; then who sent it is the client.
    bool names_client = false;
    SocketAddress client;
    SocketAddress asked;  ///< by the client, at the balancer; of the client's family
};
/// Over UDP and over TCP alike: what the header says of the transport is the client's own, and
/// may be another one.
[[nodiscard]] ProxyHeader read_proxy_header(std::span<const std::uint8_t> bytes);

/// Whether it is one of those that send the header.
[[nodiscard]] bool is_within(std::span<const core::Prefix> networks, const SocketAddress& peer);

}  // namespace dnsdirector::dataplane::proxy
