// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace dnsdirector::support {

/// A port (UDP and TCP, both families) that nobody uses, drawn at random from 10240 to 29999:
/// below those that the kernel gives by itself (net.ipv4.ip_local_port_range), so that it stays
/// unused until somebody asks for it by number. Of the others a socket opened later may get it,
/// and a TCP connection to it may even be one with itself (RFC 9293, 3.5: simultaneous open).
/// Throws std::runtime_error where it finds none.
[[nodiscard]] std::uint16_t unused_port();

}  // namespace dnsdirector::support
